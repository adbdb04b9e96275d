"""Made-up traffic for rollouts: shared as the rollout says, each version with its own faults and times."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from fiat.serving.counts import BUCKETS_A_DOUBLING, FIRST_BUCKET_S, Counts
from fiat.serving.rollout import advance
from fiat.serving.rollout_checks import Window
from fiat.serving.rollout_plan import RolloutPlan, Stage
from fiat.serving.rollout_state import RolloutState, begin, shares


@dataclass(frozen=True)
class Behaviour:
    """How a version does.

    Attributes:
        errors: share of failed requests.
        time_s: median time of an answer; the times are lognormal.
        classes: chances of its predictions.
    """

    errors: float = 0.01
    time_s: float = 0.01
    classes: tuple[float, ...] = (0.6, 0.3, 0.1)


@dataclass
class Traffic:
    """Requests in a window.

    Attributes:
        a_second: requests, shared among both versions.
    """

    generator: np.random.Generator
    stable: Behaviour
    canary: Behaviour
    a_second: int = 50
    canary_requests: int = 0
    window: Window = field(default_factory=Window)
    _stage: int = 0

    def second(self, plan: RolloutPlan, state: RolloutState) -> None:
        if state.stage != self._stage:
            before = self.window.stable if self.window.stable.requests else self.window.before
            self.window, self._stage = Window(before=before), state.stage
        percent, copies = shares(plan, state)
        ours = int(self.generator.binomial(self.a_second, percent / 100))
        copied = int(self.generator.binomial(self.a_second - ours, copies / 100))
        self.canary_requests += ours + copied
        canary = self._answers(self.canary, ours).plus(self._copies(copied))
        self.window = Window(
            self.window.canary.plus(canary),
            self.window.stable.plus(self._answers(self.stable, self.a_second - ours)),
            self.window.before,
        )

    def _answers(self, how: Behaviour, n: int) -> Counts:
        if not n:
            return Counts()
        times = how.time_s * np.exp(0.5 * self.generator.standard_normal(n))
        buckets = (np.log2(times / FIRST_BUCKET_S) * BUCKETS_A_DOUBLING).astype(int)
        classes = self.generator.multinomial(n, how.classes)
        return Counts(
            requests=n,
            failed=int(self.generator.binomial(n, how.errors)),
            latency={str(bucket): count for bucket, count in Counter(buckets.tolist()).items()},
            predictions={f"c{place}": int(count) for place, count in enumerate(classes) if count},
        )

    def _copies(self, n: int) -> Counts:
        failed = int(self.generator.binomial(n, self.canary.errors)) if n else 0
        return Counts(shadowed=n - failed, shadow_failed=failed)


def roll(plan: RolloutPlan, traffic: Traffic, seconds: int = 3000) -> RolloutState:
    """A rollout under traffic, asked twice a second, until it is over or the seconds are."""
    state, now_s = begin(plan, 0.0), 0.0
    for _ in range(seconds):
        traffic.second(plan, state)
        for _ in range(2):
            now_s += 0.5
            state = advance(plan, state, now_s, traffic.window)
            if traffic._stage != state.stage:
                break
        if state.over:
            break
    return state


def stages(*percents: float, hold_s: float = 20.0, min_requests: int = 50) -> tuple[Stage, ...]:
    """Steps of traffic."""
    return tuple(Stage("step", percent, hold_s, min_requests) for percent in percents)
