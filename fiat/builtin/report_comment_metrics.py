"""The judgement in a comment: metrics against the baseline, gates, slices. Markdown."""

import math
from collections.abc import Mapping, Sequence

from fiat.builtin.page_json import items, mapping, text
from fiat.builtin.page_metrics import SliceTable, difference, slice_tables
from fiat.builtin.page_model import RunPage
from fiat.builtin.report_markdown import code, prose, table
from fiat.builtin.view_text import count, interval, metric_value, number
from fiat.builtin.view_usage import SPECIAL
from fiat.evaluate.catalog import direction_of
from fiat.run.model import GateResult, Metric

MOST_METRICS = 30
MOST_GATES = 40
MOST_TABLES = 4
MOST_SLICES = 5
_ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}
_SAID = {"better": "better", "worse": "**worse**", "unclear": "no clear difference", "same": "same"}
_ORDER = ("worse", "better", "unclear", "same", "", "new")
_GATES = {"fail": "❌ refused", "warn": "⚠️ warning", "skipped": "– skipped", "pass": "✅ passed"}


def metrics_part(page: RunPage) -> str:
    """The metrics of all rows: those that gates judge first, then those that changed.

    The difference is judged by the intervals: where they overlap it may be chance, and where there are none only the
    direction is told.
    """
    finals = [
        item for item in page.run.metrics if not item.slice and item.step is None and item.name not in SPECIAL
    ]
    if not finals:
        return ""
    before = {item.name: item for item in page.baseline_metrics or () if not item.slice and item.step is None}
    judged = {text(mapping(gate).get("metric")) for gate in items(page.run.config.get("gates"))}
    finals.sort(
        key=lambda item: (item.name not in judged, _ORDER.index(difference(item, before.get(item.name))))
    )
    asked = _asked_for(page.run.config)
    rows = [
        _row(item, before.get(item.name), compared=bool(before), is_new=item.name in asked)
        for item in finals[:MOST_METRICS]
    ]
    heads = ("metric", "now", "baseline", "difference", "") if before else ("metric", "now")
    lines = [table(heads, rows, frozenset({1, 2, 3})), "", _legend(page, finals)]
    if len(finals) > MOST_METRICS:
        lines[-1] += f" {count(len(finals) - MOST_METRICS, 'more metric')} in the report."
    return "\n".join(lines)


def _row(now: Metric, before: Metric | None, *, compared: bool, is_new: bool) -> tuple[str, ...]:
    name, told = code(now.name) + _ARROWS[direction_of(now.name)], _value(now, strong=True)
    if not compared:
        return name, told
    if before is None:
        return name, told, "", "", "new" if is_new else ""
    gap = now.value - before.value
    shown = ("+" if gap > 0 else "") + number(gap).replace("-", "−") if math.isfinite(gap) else ""
    word = difference(now, before)
    said = _SAID.get(word, "")
    if word in ("better", "worse") and (now.low is None or before.low is None):
        said += ", without an interval"
    return name, told, _value(before), shown, said


def _asked_for(config: Mapping[str, object]) -> frozenset[str]:
    """Metrics that the evaluation is told to measure: only these can be new, a baseline never has what steps log."""
    asked = items(mapping(config.get("evaluate")).get("metrics"))
    sections = [{"name": item} if isinstance(item, str) else mapping(item) for item in asked]
    return frozenset(text(item.get("name")) or text(item.get("call")).partition(":")[2] for item in sections)


def _value(metric: Metric, *, strong: bool = False) -> str:
    """A value with its interval, such as `0.9722 (0.9510 to 0.9846)`."""
    span = interval(metric.low, metric.high)
    value = f"**{metric_value(metric)}**" if strong else metric_value(metric)
    return f"{value} ({span})" if span else value


def _legend(page: RunPage, finals: Sequence[Metric]) -> str:
    known = {direction_of(item.name) for item in finals}
    told = [
        word
        for key, word in (("higher", "↑ higher is better"), ("lower", "↓ lower is better"))
        if key in known
    ]
    lines = [f"{', '.join(told)}."] if told else []
    rows, split = page.evaluation.get("n_rows"), page.evaluation.get("split")
    if isinstance(rows, int) and split:
        lines.append(f"Measured on {count(rows, 'row')} of the {prose(text(split), 20)} split.")
    if page.baseline:
        compared = "Baseline" if page.baseline_metrics else "No baseline"
        lines.append(f"{compared}: {prose(page.baseline)}.")
    return " ".join(lines)


def gates_part(gates: Sequence[GateResult]) -> str:
    """Every gate with its reason, refusals first."""
    if not gates:
        return ""
    states = list(_GATES)
    ordered = sorted(gates, key=lambda gate: states.index(gate.state))
    rows = [(_GATES[gate.state], code(gate.name), prose(gate.reason)) for gate in ordered[:MOST_GATES]]
    more = len(ordered) - len(rows)
    tail = f"\n\n{count(more, 'more gate')} in the report." if more else ""
    return table(("", "gate", "why"), rows) + tail


def gates_summary(gates: Sequence[GateResult]) -> str:
    """`Gates: 1 refused, 4 passed`, in our own words."""
    words = {"fail": "refused", "warn": "warned", "skipped": "skipped", "pass": "passed"}
    counts = ((sum(gate.state == state for gate in gates), word) for state, word in words.items())
    return "Gates: " + ", ".join(f"{n} {word}" for n, word in counts if n)


def slices_part(page: RunPage, most: int = MOST_SLICES) -> str:
    """The worst slices by each column.

    Args:
        page: the run.
        most: slices of a column that are shown.
    """
    tables = slice_tables(page)
    told = [_slices(found, most) for found in tables[:MOST_TABLES]]
    if len(tables) > MOST_TABLES:
        told.append(f"Slices by {count(len(tables) - MOST_TABLES, 'more column')} are in the report.")
    return "\n\n".join(told)


def _slices(found: SliceTable, most: int) -> str:
    n_slices = len(found.rows) + len(found.more)
    rows = [
        (
            code(row.name) + (" ⚠️" if row.worse else ""),
            row.n_rows,
            f"**{row.values[0]}**",
            row.interval,
            *row.values[1:],
        )
        for row in found.rows[:most]
    ]
    first, *others = (code(name) + _ARROWS[direction_of(name)] for name in found.metrics)
    heads = (code(found.by), "rows", first, "interval", *others)
    shown = f"the first {most} of {n_slices:,} slices" if n_slices > most else count(n_slices, "slice")
    marked = (
        " ⚠️ is clearly worse than all rows together." if any(row.worse for row in found.rows[:most]) else ""
    )
    order = prose(found.note)
    right = frozenset({1, 2, *range(4, len(heads))})
    return f"By {code(found.by)}: {shown}, {order}.{marked}\n\n{table(heads, rows, right)}"


def slice_count(metrics: Sequence[Metric]) -> int:
    """Number of slices that were measured."""
    return len({item.slice for item in metrics if item.slice})


def numbers_of(counts: Mapping[str, int]) -> str:
    """`1,257 train, 360 test`; names are shown as text."""
    return ", ".join(f"{n_rows:,} {prose(name, 20)}" for name, n_rows in counts.items())
