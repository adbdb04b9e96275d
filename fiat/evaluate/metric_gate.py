"""Judge a gate on a metric: all rows, the worst slice, the drop against the baseline. The rules stand in `gates.py`."""

import math
from collections.abc import Mapping

from fiat.evaluate.comparison import Comparison
from fiat.evaluate.gates import (
    Evidence,
    Finding,
    Judgement,
    MetricGate,
    MissingBaseline,
    State,
    conclude,
    show,
)
from fiat.evaluate.measure import Measured

ROUNDING = 1e-12
"""A difference of two decimals misses the limit it equals by this much at most: 0.88 - 0.878 is above 0.002."""

_ORDER: tuple[State, ...] = ("skipped", "pass", "warn", "fail")
_WITHOUT_BASELINE: Mapping[str, State] = {"pass": "skipped", "warn": "warn", "error": "fail"}


def judge_metric(gate: MetricGate, evidence: Evidence) -> Judgement:
    """Judge a gate on a metric."""
    findings = [_judge_slices(gate, evidence)] if gate.slice else _judge_overall(gate, evidence)
    if gate.against_baseline:
        findings.append(_judge_drop(gate, evidence.comparison))
    worst = max(findings, key=lambda finding: _ORDER.index(finding.state))
    told = [finding.reason for finding in findings if finding.state == worst.state]
    return conclude(gate, Finding(worst.state, "; ".join(told), worst.value, worst.limit))


def _judge_overall(gate: MetricGate, evidence: Evidence) -> list[Finding]:
    if gate.min is None and gate.max is None:
        return []
    limit = gate.min if gate.min is not None else gate.max
    item = evidence.overall
    if item is None:
        return [Finding("fail", f"{gate.metric} was not computed", None, limit)]
    if math.isnan(item.value):
        return [Finding("fail", f"{gate.metric} is not a number", None, limit)]
    return [_against_limits(gate, item, gate.metric, "")]


def _against_limits(gate: MetricGate, item: Measured, subject: str, tail: str) -> Finding:
    """Judge a number by `min` and `max`; the limit that it breaks is told, else the first."""
    below = gate.min is not None and item.value < gate.min
    above = gate.max is not None and item.value > gate.max
    limit = gate.max if above or gate.min is None else gate.min
    value, edge = show(item.value, limit if limit is not None else 0.0)
    relation = (
        "is below" if below else "is above" if above else "reaches" if limit == gate.min else "is within"
    )
    reason = f"{subject} {value}{_ends(item.low, item.high)} {relation} {edge}"
    if tail:
        verb = relation.removeprefix("is ")
        reason = f"{subject} is {value}{_ends(item.low, item.high)}, {tail}, {verb} {edge} ({item.n_rows} examples)"
    return Finding("fail" if below or above else "pass", reason, item.value, limit)


def _judge_slices(gate: MetricGate, evidence: Evidence) -> Finding:
    limit = gate.min if gate.min is not None else gate.max
    large = [item for item in evidence.slices if item.n_rows >= gate.min_examples]
    known = [item for item in large if not math.isnan(item.value)]
    if evidence.invalid_rows and len(known) < len(large):
        bad = next(item for item in large if math.isnan(item.value))
        return Finding("fail", f"{gate.metric} of {bad.slice} is not a number", None, limit)
    skipped = _skipped(gate, len(evidence.slices) - len(large), len(large) - len(known))
    if not known:
        return Finding("warn", f"no slice by {', '.join(gate.slice)} could be judged{skipped}", None, limit)
    worst = min(known, key=lambda item: _room(gate, item.value))
    rank = f"the worst of {len(known)} slices" if len(known) > 1 else "the only slice"
    found = _against_limits(gate, worst, f"{gate.metric} of {worst.slice}", rank)
    return Finding(found.state, found.reason + skipped, found.value, found.limit)


def _room(gate: MetricGate, value: float) -> float:
    """How far a value is on the right side of its limits; below 0 when it breaks one."""
    return min(
        value - gate.min if gate.min is not None else math.inf,
        gate.max - value if gate.max is not None else math.inf,
    )


def _skipped(gate: MetricGate, small: int, undefined: int) -> str:
    said = [f"{small} with fewer than {gate.min_examples} examples"] if small else []
    said += [f"{undefined} where {gate.metric} is undefined"] if undefined else []
    return f"; skipped {' and '.join(said)}" if said else ""


def _judge_drop(gate: MetricGate, comparison: Comparison | MissingBaseline | None) -> Finding:
    if comparison is None or isinstance(comparison, MissingBaseline):
        missing = comparison or MissingBaseline("there is no baseline", "error")
        state = _WITHOUT_BASELINE[missing.if_missing]
        return Finding(state, f"nothing to compare {gate.metric} with: {missing.reason}", None, gate.max_drop)
    if math.isnan(comparison.drop):
        which = "the candidate" if math.isnan(comparison.candidate) else "the baseline"
        return Finding("fail", f"{gate.metric} of {which} is not a number", None, gate.max_drop)
    value, other = show(comparison.candidate, comparison.baseline)
    if comparison.drop <= 0:
        relation = "equals" if comparison.drop == 0 else "is better than"
        return Finding(
            "pass", f"{gate.metric} {value} {relation} the baseline's {other}", comparison.drop, gate.max_drop
        )
    drop, limit = show(comparison.drop, gate.max_drop)
    told = f"{gate.metric} {value} is {drop}{_ends(comparison.low, comparison.high)} worse than the baseline's {other}"
    if comparison.drop <= gate.max_drop + ROUNDING:
        return Finding("pass", f"{told}, within {limit}", comparison.drop, gate.max_drop)
    if gate.significant and comparison.low is not None and comparison.low <= 0:
        return Finding("pass", f"{told}, above {limit} but not beyond chance", comparison.drop, gate.max_drop)
    return Finding("fail", f"{told}, more than {limit}", comparison.drop, gate.max_drop)


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{low:.3g}, {high:.3g}]"
