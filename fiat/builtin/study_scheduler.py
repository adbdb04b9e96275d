"""What ends poor trials: Tune's schedulers, which are told numbers only, each at its place in the course of its trial."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from fiat.builtin.study_ledger import Trial
from fiat.builtin.study_trainable import OBJECTIVE, REPORTS

_KEPT_RATIO = 3  # of the trials at each rung one in three goes on
_LONGEST_REPORTS = _KEPT_RATIO**12

PlaceOf = Callable[[str, Mapping[str, Any]], int]
"""How many values a trial of Tune has said up to a result, also before it went on from a checkpoint."""


class Uncopied:
    """What Tune may neither copy nor write down: it would lose its ties to the study, and the ledger remembers."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Judge(Uncopied):
    """Before a scheduler: it never hears of a value that is no number, which would look like a poor one, or like none."""

    place_of: PlaceOf | None = None

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Whether a trial goes on; see the base."""
        if not math.isfinite(result[OBJECTIVE]):
            return TrialScheduler.CONTINUE
        if self.place_of is not None:
            result = {**result, REPORTS: self.place_of(trial.trial_id, result)}
        said: str = super().on_trial_result(tune_controller, trial, result)  # type: ignore[misc]  # a scheduler's
        return said

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Nothing: the end of a trial says its last value once more."""


class _Asha(_Judge, AsyncHyperBandScheduler):
    """Asynchronous successive halving."""


class _Median(_Judge, MedianStoppingRule):
    """The median stopping rule."""


@dataclass(frozen=True)
class _Earlier:
    """A trial of an earlier attempt, as schedulers know trials."""

    trial_id: str


class _NoTrials:
    """A Tune without live trials, as schedulers ask it."""

    def get_live_trials(self) -> list[object]:
        """None."""
        return []


def make_scheduler(
    stop: Literal["asha", "median", "none"],
    mode: Literal["max", "min"],
    earlier: Sequence[Trial],
    place_of: PlaceOf | None = None,
) -> TrialScheduler:
    """What ends poor trials, having seen the trials of earlier attempts.

    Args:
        stop: which rule.
        mode: whether a large or a small value is good.
        earlier: trials that have ended.
        place_of: tells how far a trial is; None takes what Tune counts.
    """
    scheduler: _Asha | _Median
    if stop == "asha":
        scheduler = _Asha(
            time_attr=REPORTS,
            metric=OBJECTIVE,
            mode=mode,
            max_t=_LONGEST_REPORTS,
            grace_period=1,
            reduction_factor=_KEPT_RATIO,
            stop_last_trials=False,
        )
    elif stop == "median":
        # A trial that can't be judged yet goes on: Tune would pause it, and our children can't be.
        scheduler = _Median(
            time_attr=REPORTS,
            metric=OBJECTIVE,
            mode=mode,
            grace_period=1,
            min_time_slice=float("inf"),  # type: ignore[arg-type]  # nothing below it holds a trial off for ever
        )
    else:
        return FIFOScheduler()  # type: ignore[no-untyped-call]  # Ray's own gap
    for trial in earlier:
        _replay(scheduler, trial)
    scheduler.place_of = place_of
    return scheduler


def _replay(scheduler: TrialScheduler, trial: Trial) -> None:
    known: Any = _Earlier(trial.digest)
    tune: Any = _NoTrials()
    scheduler.on_trial_add(tune, known)
    n_reports = trial.n_reports or len(trial.values)
    # Of a long curve only some values are kept, the first and the last among them: they lie apart.
    apart = (n_reports - 1) / max(1, len(trial.values) - 1)
    for place, (_, value) in enumerate(trial.values):
        reports = round(1 + place * apart)
        scheduler.on_trial_result(tune, known, {REPORTS: reports, OBJECTIVE: value})
