"""The checks of a rollout: each says pass, fail or inconclusive of what the new version did, beside the stable one.

Fail: the bound at the level of this look is beyond the limit. Pass: there were requests enough, and what was measured is
within the limit. Inconclusive: neither.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from fiat.serving.counts import Counts
from fiat.serving.rollout_intervals import (
    difference_low,
    divergence_low,
    mean_low,
    quantile_bounds_s,
    share_low,
)
from fiat.serving.rollout_plan import OF_COPIES, RELATIVE, RolloutPlan, Stage
from fiat.serving.rollout_state import CheckResult, Verdict

_SHARE = 0.95


@dataclass(frozen=True)
class Quality:
    """Predictions of a version whose labels have arrived.

    Attributes:
        n: how many.
        n_correct: of them.
    """

    n: int = 0
    n_correct: int = 0


@dataclass(frozen=True)
class Window:
    """What both versions did in the same time: that of the stage.

    Attributes:
        canary: of the new version.
        stable: of the earlier one.
        before: of the earlier one before this stage: what a version with all traffic is compared with.
        canary_quality: of the new version, since the rollout began: labels come late.
        stable_quality: of the earlier one.
    """

    canary: Counts = field(default_factory=Counts)
    stable: Counts = field(default_factory=Counts)
    before: Counts = field(default_factory=Counts)
    canary_quality: Quality = field(default_factory=Quality)
    stable_quality: Quality = field(default_factory=Quality)


@dataclass(frozen=True)
class _Measured:
    """A number: its estimate, what it is surely above, and by how many requests of which version it is known."""

    estimate: float
    low: float
    n: int
    n_stable: int | None = None


def n_judged(stage: Stage, window: Window) -> int:
    """Requests that a stage's looks are timed by."""
    if stage.kind == "shadow":
        return window.canary.shadowed + window.canary.shadow_failed
    return window.canary.requests


def judge(plan: RolloutPlan, stage: Stage, window: Window, alpha: float) -> tuple[CheckResult, ...]:
    """All checks of the plan that can be judged at this stage.

    Args:
        plan: has the limits.
        stage: of it.
        window: of the stage.
        alpha: what each check may spend at this look.
    """
    found = []
    for name, limit in plan.limits.items():
        if _judged(name, stage, window):
            measured = _MEASURES[name](stage, window, alpha)
            found.append(_result(name, limit, measured, stage.min_requests))
    return tuple(found)


def _judged(name: str, stage: Stage, window: Window) -> bool:
    """Whether a check has a meaning here: not latencies of copies, nor comparisons with what gets no requests at all."""
    if name in OF_COPIES:
        return stage.shadow_percent > 0
    if stage.kind == "shadow":
        return name in ("error_ratio", "error_increase")
    if name == "quality_drop":
        return stage.percent < 100 or window.stable_quality.n > 0
    return name not in RELATIVE or stage.percent < 100 or _reference(stage, window).requests > 0


def _result(name: str, limit: float, measured: _Measured | None, fewest: int) -> CheckResult:
    if measured is None:
        return CheckResult(name, "inconclusive" if fewest else "pass", None, None, limit, 0)
    enough = measured.n >= fewest and (measured.n_stable is None or measured.n_stable >= fewest)
    verdict: Verdict = "inconclusive"
    if enough and measured.low > limit:
        verdict = "fail"
    elif enough and measured.estimate <= limit:
        verdict = "pass"
    return CheckResult(name, verdict, measured.estimate, measured.low, limit, measured.n)


def _reference(stage: Stage, window: Window) -> Counts:
    """The stable version's counts: of the same time, or where it gets nothing any more, of the time before."""
    return window.before if stage.kind != "shadow" and stage.percent >= 100 else window.stable


def _errors(stage: Stage, counts: Counts) -> tuple[int, int]:
    """Failures, and of how many requests; at `shadow`, of copies."""
    if stage.kind == "shadow":
        return counts.shadow_failed, counts.shadowed + counts.shadow_failed
    return counts.failed, counts.requests


def _error_ratio(stage: Stage, window: Window, alpha: float) -> _Measured | None:
    hits, n = _errors(stage, window.canary)
    return _Measured(hits / n, share_low(hits, n, alpha), n) if n else None


def _error_increase(stage: Stage, window: Window, alpha: float) -> _Measured | None:
    reference = _reference(stage, window)
    ours, theirs = _errors(stage, window.canary), (reference.failed, reference.requests)
    if not (ours[1] and theirs[1]):
        return None
    increase = ours[0] / ours[1] - theirs[0] / theirs[1]
    return _Measured(increase, difference_low(ours, theirs, alpha), ours[1], theirs[1])


def _p95_ms(_: Stage, window: Window, alpha: float) -> _Measured | None:
    latency = window.canary.latency
    if not latency:
        return None
    low, middle, _high = quantile_bounds_s(latency, _SHARE, alpha)
    return _Measured(middle * 1000, low * 1000, sum(latency.values()))


def _p95_ratio(stage: Stage, window: Window, alpha: float) -> _Measured | None:
    ours, theirs = window.canary.latency, _reference(stage, window).latency
    if not (ours and theirs):
        return None
    low, middle, _ = quantile_bounds_s(ours, _SHARE, alpha / 2)
    _, stable, high = quantile_bounds_s(theirs, _SHARE, alpha / 2)
    return _Measured(middle / stable, low / high, sum(ours.values()), sum(theirs.values()))


def _disagreement(_: Stage, window: Window, alpha: float) -> _Measured | None:
    hits, n = window.canary.disagreed, window.canary.shadowed
    return _Measured(hits / n, share_low(hits, n, alpha), n) if n else None


def _distance(_: Stage, window: Window, alpha: float) -> _Measured | None:
    counts = window.canary
    if not counts.shadowed:
        return None
    low = mean_low(counts.distance, counts.distance_squares, counts.shadowed, alpha)
    return _Measured(counts.distance / counts.shadowed, low, counts.shadowed)


def _drift(stage: Stage, window: Window, alpha: float) -> _Measured | None:
    ours, theirs = window.canary.predictions, _reference(stage, window).predictions
    if not (ours and theirs):
        return None
    low, estimate = divergence_low(ours, theirs, alpha)
    return _Measured(estimate, low, sum(ours.values()), sum(theirs.values()))


def _quality_drop(_: Stage, window: Window, alpha: float) -> _Measured | None:
    ours, theirs = window.canary_quality, window.stable_quality
    if not (ours.n and theirs.n):
        return None
    drop = theirs.n_correct / theirs.n - ours.n_correct / ours.n
    low = difference_low((theirs.n_correct, theirs.n), (ours.n_correct, ours.n), alpha)
    return _Measured(drop, low, ours.n, theirs.n)


_MEASURES: dict[str, Callable[[Stage, Window, float], _Measured | None]] = {
    "error_ratio": _error_ratio,
    "error_increase": _error_increase,
    "p95_ms": _p95_ms,
    "p95_ratio": _p95_ratio,
    "disagreement": _disagreement,
    "distance": _distance,
    "drift": _drift,
    "quality_drop": _quality_drop,
}
