"""Curves: their frame, their ends labelled instead of in a legend; ROC, precision and recall. See also `svg_curves.py`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fiat.builtin.svg_draw import clipped, drawing, element, label, line, path
from fiat.builtin.svg_scale import Axis, Scale, axis_texts

LEFT = 46.0
TOP = 14.0
BOTTOM = 30.0
LONGEST_LABEL = 16
_LABEL_WIDTH = 118.0
_LABEL_GAP = 13.0


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        name: said at its end.
        points: (x, y) in the order of the line; y that is not finite breaks it.
        tone: 1 to 4 for a colour, 0 for the background.
        note: a value said behind the name.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    tone: int = 1
    note: str = ""


def square_chart(
    title: str, axes: tuple[str, str], series: Sequence[Series], *, diagonal: bool, size: float = 250
) -> Markup:
    """Curves between 0 and 1 on both axes; the first few have labels at the right side.

    Args:
        title: for screen readers.
        axes: what x and y are.
        series: drawn in reverse order, so that the first is on top; tone 0 has no label.
        diagonal: draw the line of chance.
        size: of the plot in pixels.
    """
    x_scale = Scale(0, 1, LEFT, LEFT + size)
    y_scale = Scale(0, 1, TOP + size, TOP)
    parts = frame(x_scale, y_scale, axes[0], y_name=axes[1])
    if diagonal:
        parts.append(line(x_scale(0), y_scale(0), x_scale(1), y_scale(1), "diagonal"))
    for item in reversed(series):
        parts.extend(curve(item.points, x_scale, y_scale, item.tone))
    named = [item for item in series if item.tone]
    for place, item in enumerate(named):
        parts.append(end_label(LEFT + size + 10, TOP + 10 + place * 16, item, item.note))
    rest = len(series) - len(named)
    if rest:
        text = f"{rest} more, higher"
        parts.append(label(LEFT + size + 10, TOP + 10 + len(named) * 16, text, "tick"))
    return drawing(LEFT + size + _LABEL_WIDTH, TOP + size + BOTTOM + 8, title, parts)


def frame(
    x_scale: Scale, y_scale: Axis, x_name: str, *, y_name: str = "", whole_x: bool = False
) -> list[Markup]:
    """Grid, round numbers, and what the axes are."""
    parts = []
    y_ticks, x_ticks = y_scale.ticks(5), x_scale.ticks(5)
    if whole_x:
        x_ticks = [tick for tick in x_ticks if tick == int(tick)]
    for tick, text in zip(y_ticks, axis_texts(y_scale, y_ticks), strict=True):
        y = y_scale(tick)
        parts.append(line(x_scale.start, y, x_scale.end, y, "grid"))
        parts.append(label(x_scale.start - 6, y + 4, text, "tick", "end"))
    for tick, text in zip(x_ticks, axis_texts(x_scale, x_ticks), strict=True):
        parts.append(label(x_scale(tick), y_scale.start + 14, text, "tick", "middle"))
    parts.append(line(x_scale.start, y_scale.start, x_scale.end, y_scale.start, "axis"))
    parts.append(label(x_scale.end, y_scale.start + 28, x_name, "tick strong", "end"))
    if y_name:
        parts.append(label(x_scale.start, y_scale.end - 4, y_name, "tick strong"))
    return parts


def curve(points: Sequence[tuple[float, float]], x_scale: Scale, y_scale: Axis, tone: int) -> list[Markup]:
    """The line in as many pieces as it has without gaps; a piece of one point is a dot."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            pieces[-1].append((x_scale(x), y_scale(y)))
        elif pieces[-1]:
            pieces.append([])
    found = []
    for piece in pieces:
        if len(piece) == 1:
            found.append(element("circle", cx=piece[0][0], cy=piece[0][1], r=2, class_=f"end tone{tone}"))
        elif piece:
            found.append(path(piece, f"curve tone{tone}"))
    return found


def end_label(x: float, y: float, item: Series, value: str) -> Markup:
    """A curve's name in its colour, and a value."""
    name = element("tspan", clipped(item.name, LONGEST_LABEL), class_=f"named tone{item.tone}")
    return element("text", name, element("tspan", f" {value}", class_="quiet"), x=x, y=y, class_="tick")


def spaced(ends: list[tuple[float, Series, str]], bottom: float) -> list[tuple[float, Series, str]]:
    """Labels in the order of their lines, moved apart where they would overlap."""
    placed: list[tuple[float, Series, str]] = []
    for y, item, value in sorted(ends, key=lambda end: end[0]):
        least = placed[-1][0] + _LABEL_GAP if placed else y
        placed.append((max(y, least), item, value))
    over = placed[-1][0] - bottom if placed else 0.0
    return [(y - over, item, value) for y, item, value in placed] if over > 0 else placed
