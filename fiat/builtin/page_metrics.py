"""The judgement on a report page: metrics against the baseline, slices worst first."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fiat.builtin.page_json import items, mapping, real, text
from fiat.builtin.page_model import RunPage
from fiat.builtin.svg_intervals import Limit, Spread, metric_chart, slice_axis, slice_chart, slice_scale
from fiat.builtin.view_text import interval, metric_value, number, score
from fiat.builtin.view_usage import SPECIAL
from fiat.evaluate.catalog import direction_of
from fiat.run.model import Metric

MOST_SLICES = 20
_MOST_COLUMNS = 3
_COLUMN_NAME = re.compile(r"(?:^|,)([^=,]+)=")


@dataclass(frozen=True)
class MetricRow:
    """A metric of all rows, ready to print.

    Attributes:
        name: the metric.
        better: `higher is better`, `lower is better`, or empty.
        value: as text.
        interval: as text, empty for none.
        chart: markup, empty when there is nothing to compare.
        baseline: its value there, as text.
        change: difference to the baseline with its sign.
        tone: good, bad, or empty where the difference may be chance.
    """

    name: str
    better: str
    value: str
    interval: str
    chart: Markup
    baseline: str
    change: str
    tone: str


@dataclass(frozen=True)
class SliceRow:
    """A slice.

    Attributes:
        name: its values, such as `7` or `F, 30-40`.
        n_rows: as text.
        values: one text a metric.
        interval: of the first metric.
        chart: of the first metric.
        worse: clearly worse than all rows.
    """

    name: str
    n_rows: str
    values: tuple[str, ...]
    interval: str
    chart: Markup
    worse: bool


@dataclass(frozen=True)
class SliceTable:
    """The slices by one column or cross.

    Attributes:
        by: the columns' names.
        metrics: names; the first is drawn and orders the rows.
        note: in which order they stand.
        axis: the drawn scale.
        rows: worst first, at most MOST_SLICES.
        more: the rest.
    """

    by: str
    metrics: tuple[str, ...]
    note: str
    axis: Markup
    rows: tuple[SliceRow, ...]
    more: tuple[SliceRow, ...]


def metric_rows(page: RunPage) -> list[MetricRow]:
    """Every final metric of all rows, in the run's order; how fast it went stands with its training."""
    before = {item.name: item for item in page.baseline_metrics or () if not item.slice and item.step is None}
    limits = _limits(page.run.config)
    return [
        _metric_row(item, before.get(item.name), limits.get(item.name, []))
        for item in page.run.metrics
        if not item.slice and item.step is None and item.name not in SPECIAL
    ]


def _metric_row(now: Metric, before: Metric | None, limits: Sequence[Limit]) -> MetricRow:
    direction = direction_of(now.name)
    drawn = now.low is not None or before is not None
    chart = (
        metric_chart(now.name, spread(now), spread(before) if before else None, limits)
        if drawn
        else Markup("")
    )
    gap = now.value - before.value if before else math.nan
    return MetricRow(
        name=now.name,
        better=f"{direction} is better" if direction else "",
        value=metric_value(now),
        interval=interval(now.low, now.high),
        chart=chart,
        baseline=metric_value(before) if before else "",
        change=("+" if gap > 0 else "") + number(gap).replace("-", "−") if math.isfinite(gap) else "",
        tone={"better": "good", "worse": "bad"}.get(difference(now, before), ""),
    )


def difference(now: Metric, before: Metric | None) -> str:
    """`better`, `worse`, `unclear` (the intervals overlap), `same`, `new` without a baseline, or empty: nobody knows."""
    if before is None:
        return "new"
    if not (math.isfinite(now.value) and math.isfinite(before.value)):
        return ""
    if now.value == before.value:
        return "same"
    direction = direction_of(now.name)
    if direction is None:
        return ""
    if _overlap(now, before):
        return "unclear"
    return "better" if (now.value > before.value) == (direction == "higher") else "worse"


def _overlap(a: Metric, b: Metric) -> bool:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high


def slice_tables(page: RunPage) -> list[SliceTable]:
    """One table for each column or cross that slices were made by, in the run's order."""
    groups: dict[str, list[Metric]] = {}
    for item in page.run.metrics:
        if item.slice:
            groups.setdefault(_columns(item.slice), []).append(item)
    wholes = {item.name: item.value for item in page.run.metrics if not item.slice and item.step is None}
    gated = [
        text(gate.get("metric"))
        for gate in map(mapping, items(page.run.config.get("gates")))
        if gate.get("slice") is not None
    ]
    return [_slice_table(by, metrics, wholes, gated) for by, metrics in groups.items()]


def _slice_table(
    by: str, metrics: Sequence[Metric], wholes: Mapping[str, float], gated: Sequence[str]
) -> SliceTable:
    names = list(dict.fromkeys(item.name for item in metrics))
    names.sort(key=lambda name: (name not in gated, direction_of(name) is None))
    names = names[:_MOST_COLUMNS]
    first, direction = names[0], direction_of(names[0])
    cells: dict[str, dict[str, Metric]] = {}
    for item in metrics:
        cells.setdefault(item.slice, {})[item.name] = item
    sign = -1.0 if direction == "lower" else 1.0
    ordered = sorted(
        (cell for cell in cells.values() if first in cell),
        key=lambda cell: (not math.isfinite(cell[first].value), sign * cell[first].value, cell[first].slice),
    )
    overall = wholes.get(first)
    scale = slice_scale([spread(cell[first]) for cell in ordered], overall)
    rows = []
    for cell in ordered:
        item = cell[first]
        worse = _clearly_worse(item, overall, direction)
        name = _values(item.slice, by)
        rows.append(
            SliceRow(
                name=name,
                n_rows=number(item.n_rows) if item.n_rows else "",
                values=tuple(score(cell[other].value) if other in cell else "" for other in names),
                interval=interval(item.low, item.high),
                chart=slice_chart(name, spread(item), scale, overall, worse=worse),
                worse=worse,
            )
        )
    order = {"higher": "lowest first", "lower": "highest first"}
    note = f"worst first by {first}" if direction else f"{order['higher']} by {first}"
    cut = MOST_SLICES if len(rows) > MOST_SLICES + 5 else len(rows)
    return SliceTable(
        by, tuple(names), note, slice_axis(scale, overall), tuple(rows[:cut]), tuple(rows[cut:])
    )


def spread(metric: Metric) -> Spread:
    """A metric as the drawings take it."""
    return Spread(metric.value, metric.low, metric.high)


def _clearly_worse(item: Metric, overall: float | None, direction: str | None) -> bool:
    if overall is None or item.low is None or item.high is None or direction is None:
        return False
    return item.high < overall if direction == "higher" else item.low > overall


def _columns(name: str) -> str:
    found: list[str] = _COLUMN_NAME.findall(name)
    return " × ".join(found) or name


def _values(name: str, by: str) -> str:
    """The slice without its columns' names, which stand above the table."""
    value = name
    for column in by.split(" × "):
        value = value.replace(f"{column}=", "", 1)
    return value.replace(",", ", ") if " × " in by else value or "(empty)"


def _limits(config: Mapping[str, object]) -> dict[str, list[Limit]]:
    """Limits that gates set on metrics of all rows."""
    found: dict[str, list[Limit]] = {}
    for gate in map(mapping, items(config.get("gates"))):
        if gate.get("slice") is not None or gate.get("against") is not None:
            continue
        for key, at_least in (("min", True), ("max", False)):
            value = real(gate.get(key))
            if math.isfinite(value):
                found.setdefault(text(gate.get("metric")), []).append(Limit(value, at_least))
    return found
