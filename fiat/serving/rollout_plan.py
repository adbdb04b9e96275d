"""What a rollout does: the stages that traffic moves through, the limits that end it, and how long that takes.

Plain values only: who reads specs turns its words into them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

StageKind = Literal["shadow", "step", "bake"]
OnInconclusive = Literal["pause", "promote", "abort"]
CHECKS = (
    "error_ratio",
    "error_increase",
    "p95_ms",
    "p95_ratio",
    "disagreement",
    "distance",
    "drift",
    "quality_drop",
)
RELATIVE = frozenset({"error_increase", "p95_ratio", "drift", "quality_drop"})
"""Checks that compare with the stable version's own requests."""
OF_COPIES = frozenset({"disagreement", "distance"})
"""Checks that compare two answers to one request, and so need copied requests."""
SETTLE_S = 1.0
"""How long servers take to follow a new manifest, rounded up."""


@dataclass(frozen=True)
class Stage:
    """One share of traffic, and how long it is watched.

    Attributes:
        kind: copies only, a share of traffic, or all traffic at the end.
        percent: of the traffic that the new version gets, 0..100.
        hold_s: how long it is watched.
        min_requests: fewest requests to judge by; at `shadow`, copied ones.
        shadow_percent: of the requests that are copied to the new version.
    """

    kind: StageKind
    percent: float
    hold_s: float
    min_requests: int
    shadow_percent: float = 0.0


@dataclass(frozen=True)
class RolloutPlan:
    """How traffic moves to a new version. No stages: all of it at once.

    Attributes:
        stages: in order; the last one goes over into all traffic for good.
        limits: name of a check (`CHECKS`) to its limit; times in milliseconds, ratios 0..1.
        confidence: 1 minus the chance that a version that keeps within all limits is refused in the whole rollout.
        on_inconclusive: what happens when a stage's time is over and too little is known.
        patience_s: how long a pause lasts before the rollout is given up.
    """

    stages: tuple[Stage, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    confidence: float = 0.99
    on_inconclusive: OnInconclusive = "pause"
    patience_s: float = 86400.0

    @property
    def alpha(self) -> float:
        """Chance of a wrong refusal that one check of one stage may spend over all of its looks.

        Half of what a union bound over stages and checks would give stays unused where checks depend on each other.
        """
        return (1 - self.confidence) / max(1, len(self.stages) * len(self.limits))

    def document(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return asdict(self)


def read_plan(document: Mapping[str, Any]) -> RolloutPlan:
    """The plan that a document of `RolloutPlan.document` says.

    Raises:
        TypeError, KeyError: it says none.
    """
    return RolloutPlan(**{**document, "stages": tuple(Stage(**stage) for stage in document["stages"])})


def promotion_s(plan: RolloutPlan) -> float:
    """Shortest time from a loaded version to all traffic for good, in seconds; load time not counted."""
    return sum(stage.hold_s + SETTLE_S for stage in plan.stages) + SETTLE_S


def rollback_s(plan: RolloutPlan) -> float:
    """Longest time from the decision against a version until no request goes to it, in seconds.

    The earlier version stays loaded while there are stages, so it is a change of the manifest.
    """
    return SETTLE_S if plan.stages else 2 * SETTLE_S


def describe(plan: RolloutPlan) -> str:
    """Sentences for people: the way, its shortest time, how it ends, and how long the way back is."""
    if not plan.stages:
        return (
            "all traffic moves at once when the new version is loaded and warm; "
            f"going back takes about {rollback_s(plan):g} s and the load of the earlier version"
        )
    way = ", then ".join(_stage_words(stage) for stage in plan.stages)
    judged = ", ".join(f"{name} {limit:g}" for name, limit in plan.limits.items())
    ends = f"ends on {judged}" if judged else "ends only if the version can't be loaded or kills its server"
    wait = {
        "pause": f"waits up to {seconds_words(plan.patience_s)} when too little is known",
        "promote": "goes on when too little is known",
        "abort": "goes back when too little is known",
    }[plan.on_inconclusive]
    return (
        f"{way}; a promotion takes {seconds_words(promotion_s(plan))} or longer, {ends} "
        f"(wrongly at most once in {1 / (1 - plan.confidence):.0f} rollouts), {wait}; "
        f"going back takes about {seconds_words(rollback_s(plan))}, the earlier version stays loaded until then"
    )


def seconds_words(seconds: float) -> str:
    """A time such as `1 h 30 min` or `12.5 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _stage_words(stage: Stage) -> str:
    held = f"for {seconds_words(stage.hold_s)}"
    if stage.kind == "shadow":
        return f"copies of {stage.shadow_percent:g} % of the requests {held}"
    if stage.kind == "bake":
        return f"all traffic {held} with the earlier version warm"
    return f"{stage.percent:g} % of the traffic {held}"
