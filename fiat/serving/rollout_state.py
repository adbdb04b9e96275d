"""How far a rollout is: a value that is written down with every change and read again after any death."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from fiat.serving.rollout_plan import RolloutPlan, Stage

Verdict = Literal["pass", "fail", "inconclusive"]
RolloutPhase = Literal["running", "paused", "done", "refused"]


@dataclass(frozen=True)
class CheckResult:
    """What one check said at the last look.

    Attributes:
        name: of the check.
        verdict: `fail` when the interval leaves the limit out, `pass` when what was measured keeps it.
        estimate: what was measured; None without requests.
        low: what the true value is above, at the level that this look may spend; None without requests.
        limit: of the plan.
        n_requests: that it was judged by.
    """

    name: str
    verdict: Verdict
    estimate: float | None
    low: float | None
    limit: float
    n_requests: int

    def sentence(self) -> str:
        """For people."""
        if self.estimate is None:
            return f"{self.name} could not be measured yet"
        told = f"{self.name} is {self.estimate:.4g} by {self.n_requests} requests, limit {self.limit:g}"
        return f"{told}, surely above {self.low:.4g}" if self.verdict == "fail" else told


@dataclass(frozen=True)
class RolloutState:
    """Where a rollout is.

    Attributes:
        phase: what it does.
        stage: index of the stage, 0 and up; of the last one when it is over.
        since_s: when the stage began, seconds since 1970.
        paused_s: when it was paused; None when it is not.
        looks: how often this stage was judged.
        looked_s: when it was judged last, seconds since 1970.
        next_look: requests of the new version at which it is judged next.
        held: the stage was judged after its time was over.
        checks: of the last look at this stage.
        reason: why it was refused or paused.
    """

    phase: RolloutPhase = "running"
    stage: int = 0
    since_s: float = 0.0
    paused_s: float | None = None
    looks: int = 0
    looked_s: float = 0.0
    next_look: int = 0
    held: bool = False
    checks: tuple[CheckResult, ...] = ()
    reason: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.phase in ("done", "refused")

    def document(self) -> dict[str, Any]:
        """The state as JSON values."""
        return asdict(self)


def read_state(document: Mapping[str, Any]) -> RolloutState:
    """The state that a document of `RolloutState.document` says.

    Raises:
        TypeError, KeyError: it says none.
    """
    return RolloutState(**{**document, "checks": tuple(CheckResult(**item) for item in document["checks"])})


def begin(plan: RolloutPlan, now_s: float) -> RolloutState:
    """The state of a rollout whose new version has just been loaded."""
    if not plan.stages:
        return RolloutState(phase="done", since_s=now_s)
    return RolloutState(since_s=now_s, next_look=_first_look(plan.stages[0]))


def next_stage(plan: RolloutPlan, state: RolloutState, now_s: float) -> RolloutState:
    """The state after a stage that went well."""
    following = state.stage + 1
    if following >= len(plan.stages):
        return replace(state, phase="done", paused_s=None, reason="")
    return RolloutState(stage=following, since_s=now_s, next_look=_first_look(plan.stages[following]))


def shares(plan: RolloutPlan, state: RolloutState) -> tuple[float, float]:
    """Per cent of traffic and per cent of copies that the new version gets now."""
    if state.phase == "done":
        return 100.0, 0.0
    if state.phase == "refused":
        return 0.0, 0.0
    stage = plan.stages[state.stage]
    return stage.percent, stage.shadow_percent


def _first_look(stage: Stage) -> int:
    return max(1, stage.min_requests)
