"""Parallel coordinates: an upright axis for each parameter, and a line through them for each trial."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from fiat.builtin.svg_draw import clipped, drawing, element, label, line, path
from fiat.builtin.svg_scale import Axis, axis_texts, log_scale_of, scale_of

_TOP, _BOTTOM, _SIDE = 34.0, 34.0, 24.0
_GAP = 118.0
_MOST_TICKS = 6
_LONGEST = 14
_FAINTEST, _STRONGEST = 0.12, 0.75


@dataclass(frozen=True)
class Dimension:
    """One axis.

    Attributes:
        name: above it.
        values: one for each line, None where it has none: a number, or a text of `names`.
        names: texts on the axis, from its lower end; empty for an axis of numbers.
        log: numbers by their logarithm; all are above 0.
    """

    name: str
    values: Sequence[float | str | None]
    names: Sequence[str] = field(default_factory=tuple)
    log: bool = False


def parallel_chart(
    title: str,
    dimensions: Sequence[Dimension],
    goodness: Sequence[float],
    best: int | None,
    height: float = 320,
) -> Markup:
    """A line for each trial; the better it is the darker, the best one in colour and on top.

    Args:
        title: for screen readers.
        dimensions: two or more, each with as many values as there are lines.
        goodness: of each line, 0 (worst) to 1 (best).
        best: which line is the best; None for none.
        height: in pixels.
    """
    width = 2 * _SIDE + _GAP * (len(dimensions) - 1) + _GAP * 0.7
    bottom = height - _BOTTOM
    axes = [_SIDE + 12 + place * _GAP for place in range(len(dimensions))]
    placed = [_places(item, bottom) for item in dimensions]
    order = sorted(range(len(goodness)), key=lambda at: (at == best, goodness[at]))
    parts = [
        _trial_line(
            [(x, ys[at]) for x, ys in zip(axes, placed, strict=True)], goodness[at], is_best=at == best
        )
        for at in order
    ]
    for x, item in zip(axes, dimensions, strict=True):
        parts += _axis(x, item, bottom)
    return drawing(width, height, title, parts, kind="parallel")


def _trial_line(points: Sequence[tuple[float, float]], goodness: float, *, is_best: bool) -> Markup:
    if is_best:
        return path(points, "curve tone2 chosen")
    opacity = _FAINTEST + (_STRONGEST - _FAINTEST) * goodness**2
    return element("g", path(points, "curve tone1"), opacity=opacity)


def _scale(item: Dimension, bottom: float) -> Axis:
    numbers = [value for value in item.values if isinstance(value, int | float)]
    if item.log and numbers and min(numbers) > 0:
        return log_scale_of(numbers, bottom, _TOP, pad=0.0)
    return scale_of(numbers, bottom, _TOP, pad=0.0)


def _places(item: Dimension, bottom: float) -> list[float]:
    """Where each line meets the axis; what has no value passes below it."""
    below = bottom + _BOTTOM * 0.55
    if item.names:
        return [
            _name_place(item.names, value, bottom) if value is not None else below for value in item.values
        ]
    scale = _scale(item, bottom)
    return [
        scale(value) if isinstance(value, int | float) and math.isfinite(value) else below
        for value in item.values
    ]


def _name_place(names: Sequence[str], value: object, bottom: float) -> float:
    share = (list(names).index(str(value)) + 0.5) / len(names)
    return bottom - share * (bottom - _TOP)


def _axis(x: float, item: Dimension, bottom: float) -> list[Markup]:
    parts = [
        line(x, _TOP, x, bottom, "axis"),
        label(x, _TOP - 14, clipped(item.name, _LONGEST), "tick strong", "middle"),
    ]
    if item.names:
        marks = [(_name_place(item.names, name, bottom), name) for name in item.names]
    else:
        scale = _scale(item, bottom)
        ticks = scale.ticks(_MOST_TICKS)
        marks = [(scale(tick), text) for tick, text in zip(ticks, axis_texts(scale, ticks), strict=True)]
    for y, text in marks:
        parts.append(line(x - 3, y, x, y, "axis"))
        parts.append(label(x + 5, y + 4, clipped(text, _LONGEST), "tick halo"))
    if any(value is None for value in item.values):
        parts.append(label(x + 5, bottom + _BOTTOM * 0.55 + 4, "not there", "tick quiet"))
    return parts
