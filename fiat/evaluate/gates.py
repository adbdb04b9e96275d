"""Judge a model: gates and what is known about it in, judgements with reasons out. Pure.

The rules:

- A value that is not a number, or that nobody computed, never passes.
- `min` and `max` are judged by the point estimate; the interval is told in the reason.
- Against a baseline the drop is how much worse the candidate is, whichever direction the metric has. It is refused when
  it is above `max_drop`; with `significant`, only when also its whole interval is above 0, so that the drop is no chance.
- By slice, each slice with `min_examples` rows is judged, the worst decides. Slices with fewer rows, and slices where
  the metric is undefined although every prediction is a number (recall without a row of the class), are skipped and
  counted. When nothing is left to judge, the gate warns.
- Without a baseline, `if_missing` decides: `pass` skips the gate, `warn` warns, `error` refuses.
- Severity `warn` turns a refusal into a warning.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fiat.evaluate.comparison import Comparison
from fiat.evaluate.measure import Measured
from fiat.evaluate.parity import Parity

State = Literal["pass", "warn", "fail", "skipped"]
Severity = Literal["error", "warn"]


@dataclass(frozen=True)
class MetricGate:
    """A gate on a metric.

    Attributes:
        metric: its name.
        min: smallest value that passes, None without one.
        max: largest value that passes.
        against_baseline: compare with the baseline too.
        max_drop: how much worse than the baseline it may be, 0 or more.
        significant: refuse a drop only when it is beyond chance.
        slice: columns whose worst part is judged instead of all rows; empty for all rows.
        min_examples: slices with fewer rows are not judged.
        severity: `warn` turns a refusal into a warning.
        key: key path in the spec.
    """

    metric: str
    min: float | None = None
    max: float | None = None
    against_baseline: bool = False
    max_drop: float = 0.0
    significant: bool = False
    slice: tuple[str, ...] = ()
    min_examples: int = 0
    severity: Severity = "error"
    key: str = ""

    @property
    def name(self) -> str:
        """How people call it, such as `recall by label >= 0.6`."""
        subject = self.metric + (f" by {', '.join(self.slice)}" if self.slice else "")
        limits = [f">= {self.min:g}"] if self.min is not None else []
        limits += [f"<= {self.max:g}"] if self.max is not None else []
        title = " and ".join([f"{subject} {limits[0]}", *limits[1:]]) if limits else subject
        if self.against_baseline:
            title += f"{' and' if limits else ''} at most {self.max_drop:g} worse than the baseline"
        return title


@dataclass(frozen=True)
class LimitGate:
    """A gate on one number that must not be above a limit: the model's size, or parity.

    Attributes:
        name: how people call it.
        limit: largest value that passes.
        severity: `warn` turns a refusal into a warning.
        key: key path in the spec.
    """

    name: str
    limit: float
    severity: Severity = "error"
    key: str = ""


@dataclass(frozen=True)
class MissingBaseline:
    """Why there is nothing to compare with, and what that means.

    Attributes:
        reason: one sentence without a full stop.
        if_missing: `pass`, `warn` or `error`.
    """

    reason: str
    if_missing: Literal["pass", "warn", "error"]


@dataclass(frozen=True)
class Evidence:
    """What is known about a gate's metric.

    Attributes:
        overall: its value on all rows, None when nobody computed it.
        slices: its values on the gate's slices.
        invalid_rows: rows without a finite prediction.
        comparison: with the baseline, a MissingBaseline without one, None when the gate doesn't ask.
    """

    overall: Measured | None = None
    slices: Sequence[Measured] = ()
    invalid_rows: int = 0
    comparison: Comparison | MissingBaseline | None = None


@dataclass(frozen=True)
class Judgement:
    """What a gate said; fields as in a run's gate results.

    Attributes:
        name: the gate's.
        state: `pass`, `warn`, `fail` or `skipped`.
        reason: one sentence with the numbers.
        value: the number judged, None when there is none or it is not finite.
        limit: the number it was judged by.
        key: key path in the spec.
    """

    name: str
    state: State
    reason: str
    value: float | None = None
    limit: float | None = None
    key: str = ""


@dataclass(frozen=True)
class Finding:
    """What one rule of a gate found; a gate may have several.

    Attributes:
        state: before the gate's severity is applied.
        reason: one sentence with the numbers.
        value: the number judged.
        limit: the number it was judged by.
    """

    state: State
    reason: str
    value: float | None
    limit: float | None


def judge_parity(gate: LimitGate, parity: Parity | None) -> Judgement:
    """Judge how far the exported graph is from the framework's model.

    The largest difference of any float output decides, if there is one: a label that flips between two scores which
    agree within the limit was a tie. Without float outputs every differing label refuses.
    """
    if parity is None:
        return conclude(gate, Finding("fail", "parity was not measured", None, gate.limit))
    where = f"on {parity.n_rows} rows"
    if not parity.has_floats:
        state: State = "fail" if parity.label_mismatches else "pass"
        reason = f"{parity.label_mismatches} labels differ between model and graph {where}"
        return conclude(gate, Finding(state, reason, float(parity.label_mismatches), 0.0))
    if not math.isfinite(parity.max_abs):
        reason = f"model and graph differ beyond any number {where}: one side is not finite where the other differs"
        return conclude(gate, Finding("fail", reason, None, gate.limit))
    passes = parity.max_abs <= gate.limit
    value, limit = show(parity.max_abs, gate.limit)
    reason = f"model and graph differ by {value} at most {where}, {'within' if passes else 'above'} {limit}"
    if parity.label_mismatches:
        reason += f"; {parity.label_mismatches} labels differ"
    return conclude(gate, Finding("pass" if passes else "fail", reason, parity.max_abs, gate.limit))


def judge_size(gate: LimitGate, size_bytes: int | None) -> Judgement:
    """Judge the size of the model file."""
    if size_bytes is None:
        return conclude(gate, Finding("fail", "the size of the model is not known", None, gate.limit))
    passes = size_bytes <= gate.limit
    value, limit = show_bytes(size_bytes), show_bytes(gate.limit)
    if value == limit:
        value, limit = f"{size_bytes} bytes", f"{gate.limit:.0f} bytes"
    reason = f"the model has {value}, {'within' if passes else 'above'} {limit}"
    return conclude(gate, Finding("pass" if passes else "fail", reason, float(size_bytes), gate.limit))


def judge_answer(
    name: str, ok: bool | None, reason: str, value: float | None, *, severity: Severity, key: str
) -> Judgement:
    """Judge by what a function of the user's said.

    Args:
        name: the function.
        ok: passes or refuses; None when it has nothing to say, which skips the gate.
        reason: its sentence, may be empty.
        value: its number, if any.
        severity: `warn` turns a refusal into a warning.
        key: key path in the spec.
    """
    state: State = "skipped" if ok is None else "pass" if ok else "fail"
    said = reason or {"skipped": "it had nothing to say", "pass": "it passed", "fail": "it refused"}[state]
    return conclude(LimitGate(name, 0.0, severity, key), Finding(state, said, value, None))


def conclude(gate: MetricGate | LimitGate, finding: Finding) -> Judgement:
    """The gate's answer: the finding under the gate's severity."""
    state = "warn" if finding.state == "fail" and gate.severity == "warn" else finding.state
    value = finding.value if finding.value is not None and math.isfinite(finding.value) else None
    return Judgement(gate.name, state, finding.reason, value, finding.limit, gate.key)


def show(value: float, limit: float) -> tuple[str, str]:
    """Both numbers with as few digits as tell them apart, at least 4."""
    for digits in range(4, 17):
        pair = f"{value:.{digits}g}", f"{limit:.{digits}g}"
        if pair[0] != pair[1] or value == limit:
            return pair
    return repr(value), repr(limit)


def show_bytes(size: float) -> str:
    """A size for people, such as `20 MiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
