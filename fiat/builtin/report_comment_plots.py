"""Plots of a comment as text, since forges take no drawings inside one: curves in eight heights, tables, bars. Markdown."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from fiat.builtin.page_json import items, mapping, real, reals, text, whole
from fiat.builtin.report_markdown import code, table
from fiat.builtin.svg_confusion import largest_confusions
from fiat.builtin.view_spark import WIDTH, course_line, sparkline
from fiat.builtin.view_text import count, number, score
from fiat.builtin.view_usage import SPECIAL
from fiat.run.model import Metric

MOST_CURVES = 8
MOST_CLASSES = 10
MOST_LISTED = 8
_LONGEST_LABEL = 24


def curves_part(curves: Sequence[tuple[str, Metric]]) -> str:
    """Training curves, from their first to their last value."""
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for step, metric in curves:
        if metric.step is not None and not metric.slice:
            lines.setdefault((step, metric.name), []).append((metric.step, metric.value))
    drawn = {
        key: [value for _, value in sorted(points, key=lambda point: point[0])]
        for key, points in sorted(lines.items(), key=lambda item: item[0][1] in SPECIAL)
        if len(points) > 1
    }
    rows = [
        (code(name), code(step), number(values[0]), f"`{course_line(values)}`", number(values[-1]))
        for (step, name), values in list(drawn.items())[:MOST_CURVES]
    ]
    if not rows:
        return ""
    more = len(drawn) - len(rows)
    tail = f"\n\n{count(more, 'more curve')} in the report." if more else ""
    return table(("curve", "step", "first", "", "last"), rows, frozenset({2, 4})) + tail


def plots_part(plots: Mapping[str, object]) -> str:
    """The plots of the evaluation that are there and can be read, in a fixed order."""
    makers = (
        ("confusion", _confusion),
        ("roc", _roc),
        ("calibration", _calibration),
        ("scores", _scores),
        ("residuals", _residuals),
    )
    told = (make(mapping(plots.get(name))) for name, make in makers)
    return "\n\n".join(part for part in told if part)


def _confusion(plot: Mapping[str, object]) -> str:
    labels = [text(label) for label in items(plot.get("labels"))]
    counts = [[whole(cell) for cell in items(row)] for row in items(plot.get("counts"))]
    if not labels or len(counts) != len(labels) or any(len(row) != len(labels) for row in counts):
        return ""
    shown = [code(label, _LONGEST_LABEL) for label in labels]
    if len(labels) > MOST_CLASSES:
        worst = largest_confusions(shown, counts, MOST_LISTED)
        listed = [(true, said, f"{n_rows:,}", f"{share:.1%}") for true, said, n_rows, share in worst]
        names = ("true", "predicted", "rows", "of the class")
        told = table(names, listed, frozenset({2, 3})) if listed else "No row was taken for another class."
        return f"**Most frequent confusions** of {count(len(labels), 'class', 'classes')}\n\n{told}"
    rows = [
        (
            f"**{label}**",
            *(f"**{n:,}**" if at == place else f"{n:,}" if n else "·" for at, n in enumerate(line)),
        )
        for place, (label, line) in enumerate(zip(shown, counts, strict=True))
    ]
    heads = ("true ╲ predicted", *shown)
    return f"**Confusion**\n\n{table(heads, rows, frozenset(range(1, len(heads))))}"


def _roc(plot: Mapping[str, object]) -> str:
    found = []
    for curve in map(mapping, items(plot.get("curves"))):
        xs, ys = reals(curve.get("fpr")), reals(curve.get("tpr"))
        if xs and len(xs) == len(ys):
            found.append((real(curve.get("auc")), text(curve.get("label")), list(zip(xs, ys, strict=True))))
    found.sort(key=lambda item: (math.isnan(item[0]), item[0]))
    rows = [
        (code(label, _LONGEST_LABEL), score(area), f"`{sparkline(_heights_at(points), span=(0.0, 1.0))}`")
        for area, label, points in found[:MOST_LISTED]
    ]
    if not rows:
        return ""
    more = f", the smallest {len(rows)} of {len(found)}" if len(found) > len(rows) else ""
    return f"**ROC**{more}\n\n{table(('class', 'area', ''), rows, frozenset({1}))}"


def _heights_at(points: Sequence[tuple[float, float]]) -> list[float]:
    """True positive rate at WIDTH false positive rates from 0 to 1, along straight lines between the points."""
    known = sorted(point for point in points if all(map(math.isfinite, point)))
    # Whatever was kept of a curve, it begins where nothing and ends where everything is called positive.
    known = [(0.0, 0.0), *known, (1.0, 1.0)]
    xs = [x for x, _ in known]
    return [_height_at(known, xs, place / (WIDTH - 1)) for place in range(WIDTH)]


def _height_at(points: Sequence[tuple[float, float]], xs: Sequence[float], place: float) -> float:
    after = bisect_right(xs, place)
    if after >= len(points):
        return points[-1][1]
    (x, y), (next_x, next_y) = points[max(after - 1, 0)], points[after]
    return y + (next_y - y) * (place - x) / (next_x - x) if next_x > x else y


def _calibration(plot: Mapping[str, object]) -> str:
    rows = []
    for item in map(mapping, items(plot.get("bins"))):
        said, was, n_rows = real(item.get("confidence")), real(item.get("right")), whole(item.get("n_rows"))
        if n_rows > 0 and 0 <= said <= 1 and 0 <= was <= 1:
            rows.append((f"{said:.0%}", f"{was:.0%}", f"`{'█' * round(was * 10):<10}`", f"{n_rows:,}"))
    if not rows:
        return ""
    ece = real(plot.get("ece"))
    error = f" Expected calibration error {number(ece)}." if math.isfinite(ece) else ""
    told = table(("says", "is right", "", "rows"), rows[: MOST_CLASSES * 2], frozenset({0, 1, 3}))
    return f"**Calibration**: how often the model is right when it is so sure.{error}\n\n{told}"


def _scores(plot: Mapping[str, object]) -> str:
    edges = reals(plot.get("edges"))
    groups = {name: [whole(n) for n in items(counts)] for name, counts in mapping(plot.get("counts")).items()}
    lines = [
        f"{code(name, _LONGEST_LABEL)} `{sparkline([float(n) for n in counts])}`"
        for name, counts in list(groups.items())[:2]
        if any(counts)
    ]
    return f"**Scores** from {_span(edges)}: {', '.join(lines)}" if lines and _ascends(edges) else ""


def _residuals(plot: Mapping[str, object]) -> str:
    histogram = mapping(plot.get("histogram"))
    edges, counts = reals(histogram.get("edges")), [float(whole(n)) for n in items(histogram.get("counts"))]
    if not _ascends(edges) or not any(counts):
        return ""
    return f"**Residuals** (label − prediction) from {_span(edges)}: `{sparkline(counts)}`"


def _span(edges: Sequence[float]) -> str:
    return f"{number(edges[0])} to {number(edges[-1])}" if edges else ""


def _ascends(edges: Sequence[float]) -> bool:
    return len(edges) > 1 and all(map(math.isfinite, edges)) and edges[0] < edges[-1]
