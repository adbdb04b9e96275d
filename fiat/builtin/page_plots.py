"""The plots of an evaluation on a report page. What can't be read is left out. For training see `page_training.py`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fiat.builtin.page_json import items, mapping, real, reals, text, whole
from fiat.builtin.svg_confusion import MOST_CLASSES, confusion_chart, largest_confusions
from fiat.builtin.svg_lines import Series, square_chart
from fiat.builtin.svg_points import Bin, calibration_chart, histogram_chart, residual_chart
from fiat.builtin.view_text import count, number, score

_NAMED_CURVES = 4
_MOST_LISTED = 15


@dataclass(frozen=True)
class Figure:
    """A drawing with words.

    Attributes:
        title: a heading.
        chart: markup; empty for a table only.
        caption: how to read it, one or two sentences.
        heads: headings of a table below, empty for none.
        rows: its texts.
        tall: takes the height of two figures, so that others stand beside it.
    """

    title: str
    chart: Markup
    caption: str = ""
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    tall: bool = False


def evaluation_figures(plots: Mapping[str, object]) -> list[Figure]:
    """The known plots in a fixed order, whatever order they were written in."""
    makers: dict[str, Callable[[Mapping[str, object]], list[Figure]]] = {
        "confusion": _confusion,
        "roc": _roc,
        "precision_recall": _precision_recall,
        "calibration": _calibration,
        "scores": _scores,
        "residuals": _residuals,
    }
    return [figure for name, make in makers.items() for figure in make(mapping(plots.get(name)))]


def _confusion(plot: Mapping[str, object]) -> list[Figure]:
    labels = [text(label) or "(empty)" for label in items(plot.get("labels"))]
    counts = [[whole(cell) for cell in items(row)] for row in items(plot.get("counts"))]
    if not labels or len(counts) != len(labels) or any(len(row) != len(labels) for row in counts):
        return []
    worst = largest_confusions(labels, counts, _MOST_LISTED if len(labels) > MOST_CLASSES else 5)
    rows = tuple((true, said, f"{n_rows:,}", f"{share:.1%}") for true, said, n_rows, share in worst)
    heads = ("true", "predicted", "rows", "of the class") if rows else ()
    lost = whole(plot.get("unpredicted"))
    note = f" {count(lost, 'row')} had no usable prediction." if lost else ""
    if len(labels) > MOST_CLASSES:
        return [
            Figure("Most frequent confusions", Markup(""), f"Of {len(labels)} classes.{note}", heads, rows)
        ]
    caption = "Errors are shaded by the root of their share of the row, so that rare ones show."
    return [Figure("Confusion", confusion_chart(labels, counts), caption + note, heads, rows, tall=True)]


def _curves(
    plot: Mapping[str, object], axes: tuple[str, str], area: str
) -> list[tuple[float, str, tuple[tuple[float, float], ...]]]:
    """(area, label, points) of each curve, the smallest area first."""
    found = []
    for curve in map(mapping, items(plot.get("curves"))):
        xs, ys = reals(curve.get(axes[0])), reals(curve.get(axes[1]))
        if xs and len(xs) == len(ys):
            points = tuple(zip(xs, ys, strict=True))
            found.append((real(curve.get(area)), text(curve.get("label")) or "(empty)", points))
    return sorted(found, key=lambda item: (math.isnan(item[0]), item[0]))


def _series(curves: Sequence[tuple[float, str, tuple[tuple[float, float], ...]]]) -> list[Series]:
    """The worst few in colour, the others behind them."""
    return [
        Series(label, points, tone=place + 1 if place < _NAMED_CURVES else 0, note=score(area))
        for place, (area, label, points) in enumerate(curves)
    ]


def _roc(plot: Mapping[str, object]) -> list[Figure]:
    curves = _curves(plot, ("fpr", "tpr"), "auc")
    if not curves:
        return []
    axes = ("false positive rate", "true positive rate")
    chart = square_chart("ROC curves", axes, _series(curves), diagonal=True)
    caption = (
        "Area under the curve by class, the smallest first." if len(curves) > 1 else "Area under the curve."
    )
    return [Figure("ROC", chart, caption)]


def _precision_recall(plot: Mapping[str, object]) -> list[Figure]:
    curves = _curves(plot, ("recall", "precision"), "average_precision")
    if not curves:
        return []
    chart = square_chart("Precision and recall", ("recall", "precision"), _series(curves), diagonal=False)
    caption = "Average precision by class, the smallest first." if len(curves) > 1 else "Average precision."
    return [Figure("Precision and recall", chart, caption)]


def _calibration(plot: Mapping[str, object]) -> list[Figure]:
    bins = []
    for item in map(mapping, items(plot.get("bins"))):
        said, was, n_rows = real(item.get("confidence")), real(item.get("right")), whole(item.get("n_rows"))
        if n_rows > 0 and math.isfinite(said) and math.isfinite(was):
            bins.append(Bin(said, was, n_rows))
    if not bins:
        return []
    ece = real(plot.get("ece"))
    error = f" Expected calibration error {number(ece)}." if math.isfinite(ece) else ""
    caption = f"On the line, the model is as often right as it says; a dot's area is its rows.{error}"
    return [Figure("Calibration", calibration_chart(bins), caption)]


def _scores(plot: Mapping[str, object]) -> list[Figure]:
    edges = reals(plot.get("edges"))
    groups = {name: [whole(n) for n in items(counts)] for name, counts in mapping(plot.get("counts")).items()}
    if not _ascends(edges) or not any(groups.values()):
        return []
    caption = "Rows by the model's score, one group above the line and one below, each on its own scale."
    return [Figure("Scores", histogram_chart("score", edges, groups), caption)]


def _residuals(plot: Mapping[str, object]) -> list[Figure]:
    pairs = [reals(item) for item in items(plot.get("points"))]
    points = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and all(map(math.isfinite, pair))]
    figures = []
    if points:
        caption = f"Label minus prediction, {count(len(points), 'row')}; the line is no error."
        figures.append(Figure("Residuals", residual_chart(points), caption))
    histogram = mapping(plot.get("histogram"))
    edges, counts = reals(histogram.get("edges")), [whole(n) for n in items(histogram.get("counts"))]
    if _ascends(edges) and any(counts):
        chart = histogram_chart("label − prediction", edges, {"": counts})
        figures.append(Figure("Residuals of all rows", chart))
    return figures


def _ascends(edges: Sequence[float]) -> bool:
    return len(edges) > 1 and all(map(math.isfinite, edges)) and edges[0] < edges[-1]
