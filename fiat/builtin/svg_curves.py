"""Training curves: metrics over steps, on linear or logarithmic axes, small however many values they have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from fiat.builtin.svg_draw import clipped, drawing, element, line, text_width
from fiat.builtin.svg_lines import BOTTOM, LEFT, LONGEST_LABEL, TOP, Series, curve, end_label, frame, spaced
from fiat.builtin.svg_scale import Axis, Scale, log_scale_of, scale_of
from fiat.builtin.view_spark import mean_of
from fiat.builtin.view_text import number

MOST_COLUMNS = 200
_LOST_HEIGHT = 6.0
_NEAR_ZERO = 0.35
_LABEL_PX = 11.5
_LABEL_GAP = 12.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Column:
    """Neighbouring values of a long curve.

    Attributes:
        x: of the first of them.
        mean: of those that are finite; NaN when there is none.
        low: smallest of those.
        high: largest.
        n_lost: values that are no finite number.
    """

    x: float
    mean: float
    low: float
    high: float
    n_lost: int = 0


def training_chart(
    title: str, series: Sequence[Series], *, log: bool = False, width: float = 420, height: float = 210
) -> Markup:
    """Metrics over steps; each line ends with its name and last value.

    A curve of more values than there is room for is a line through the means of neighbours, on a band that reaches from
    the smallest to the largest of them. Values that are no number are gaps, marked at the lower edge.

    Args:
        title: for screen readers.
        series: x ascends; those of tone 0 stand behind and have no label.
        log: draw values by their logarithm; all finite ones are above 0.
        width: in pixels.
        height: in pixels.
    """
    xs = [x for item in series for x, _ in item.points]
    ys = [y for item in series for _, y in item.points]
    lasts = [_last(item) for item in series]
    right, bottom = width - _label_width(series, lasts), height - BOTTOM
    x_scale = scale_of(xs, LEFT, right, pad=0.0)
    y_scale = log_scale_of(ys, bottom, TOP) if log else scale_of(ys, bottom, TOP, zero=_near_zero(ys))
    parts = frame(x_scale, y_scale, "step", whole_x=True)
    ends = []
    for item, last in sorted(zip(series, lasts, strict=True), key=lambda pair: pair[0].tone != 0):
        parts.extend(_drawn(item, x_scale, y_scale))
        if last and item.tone:
            x, y = x_scale(last[0]), y_scale(last[1])
            parts.append(element("circle", cx=x, cy=y, r=2.5, class_=f"end tone{item.tone}"))
            ends.append((y, item, item.note or number(last[1])))
    for y, item, value in spaced(ends, bottom):
        parts.append(end_label(right + 8, y + 4, item, value))
    said = ", ".join(f"{item.name} ends at {value}" for _, item, value in ends)
    return drawing(width, height, f"{title}: {said}" if said else title, parts)


def _last(item: Series) -> Point | None:
    return next(((x, y) for x, y in reversed(item.points) if math.isfinite(y)), None)


def _label_width(series: Sequence[Series], lasts: Sequence[Point | None]) -> float:
    """Room for what stands behind the curves."""
    said = [
        f"{clipped(item.name, LONGEST_LABEL)} {item.note or number(last[1])}"
        for item, last in zip(series, lasts, strict=True)
        if item.tone and last
    ]
    return max((text_width(text, _LABEL_PX) for text in said), default=0.0) + _LABEL_GAP


def is_long(points: Sequence[Point]) -> bool:
    """Whether a curve of these is drawn as a band and means."""
    return len(points) > 2 * MOST_COLUMNS


def columns(points: Sequence[Point], most: int = MOST_COLUMNS) -> list[Column]:
    """Equally many neighbours each, at most so many columns; x ascends."""
    n_columns = min(most, len(points))
    found = []
    for place in range(n_columns):
        part = points[place * len(points) // n_columns : (place + 1) * len(points) // n_columns]
        known = [y for _, y in part if math.isfinite(y)]
        if known:
            found.append(Column(part[0][0], mean_of(known), min(known), max(known), len(part) - len(known)))
        else:
            found.append(Column(part[0][0], math.nan, math.nan, math.nan, len(part)))
    if found and math.isfinite(points[-1][1]):
        y = points[-1][1]
        found.append(Column(points[-1][0], y, y, y))
    return found


def _drawn(item: Series, x_scale: Scale, y_scale: Axis) -> list[Markup]:
    points, bands, lost = item.points, [], [x for x, y in item.points if not math.isfinite(y)]
    if is_long(points):
        made = columns(points)
        points = tuple((column.x, column.mean) for column in made)
        if item.tone:
            bands = _bands(made, x_scale, y_scale, item.tone)
    bottom = y_scale.start
    pixels = dict.fromkeys(float(round(x_scale(x))) for x in lost) if item.tone else {}
    marks = [line(x, bottom, x, bottom - _LOST_HEIGHT, "lost") for x in pixels]
    return [*bands, *curve(points, x_scale, y_scale, item.tone), *marks]


def _bands(made: Sequence[Column], x_scale: Scale, y_scale: Axis, tone: int) -> list[Markup]:
    """From the smallest to the largest value of each column, in pieces without gaps."""
    found = []
    for known, group in groupby(made, key=lambda column: math.isfinite(column.mean)):
        piece = list(group)
        if known and len(piece) > 1:
            above = [(x_scale(column.x), y_scale(column.high)) for column in piece]
            below = [(x_scale(column.x), y_scale(column.low)) for column in reversed(piece)]
            corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in above + below)
            found.append(element("polygon", points=corners, class_=f"band tone{tone}"))
    return found


def _near_zero(values: Sequence[float]) -> bool:
    found = [value for value in values if math.isfinite(value)]
    return bool(found) and 0 <= min(found) < max(found) * _NEAR_ZERO
