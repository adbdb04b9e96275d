"""The history of a search: what each trial came to, and the best so far."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from fiat.builtin.svg_draw import drawing, element, line, path
from fiat.builtin.svg_lines import BOTTOM, LEFT, TOP, frame
from fiat.builtin.svg_scale import log_scale_of, scale_of
from fiat.builtin.view_text import number

_RIGHT = 16.0
_CROSS = 3.0


def trials_chart(
    title: str,
    trials: Sequence[tuple[int, str, float]],
    *,
    lower: bool,
    log: bool = False,
    width: float = 420,
    height: float = 210,
) -> Markup:
    """A dot a trial at its value, and a line of the best so far.

    Hollow dots were not trained to their end and are not among the best; a cross at the lower edge has no value.

    Args:
        title: for screen readers.
        trials: (number, state, value) in the order they were begun, one or more.
        lower: the smallest value is the best.
        log: draw values by their logarithm; all finite ones are above 0.
        width: in pixels.
        height: in pixels.
    """
    values = [value for _, _, value in trials if math.isfinite(value)]
    bottom = height - BOTTOM
    x_scale = scale_of((number for number, _, _ in trials), LEFT, width - _RIGHT, pad=0.03)
    y_scale = log_scale_of(values, bottom, TOP) if log and values else scale_of(values, bottom, TOP)
    parts = frame(x_scale, y_scale, "trial", whole_x=True)
    best: list[tuple[float, float]] = []
    dots = []
    for place, state, value in trials:
        x = x_scale(place)
        told = element("title", f"trial {place}: {state}, {number(value)}")
        if not math.isfinite(value):
            cross = (
                line(x - _CROSS, bottom - 2 * _CROSS, x + _CROSS, bottom, "lost"),
                line(x - _CROSS, bottom, x + _CROSS, bottom - 2 * _CROSS, "lost"),
            )
            dots.append(element("g", told, *cross))
            continue
        y = y_scale(value)
        kind = "trial done" if state == "done" else "trial"
        if state == "done":
            best += _steps(best, x, y, lower=lower)
        dots.append(element("circle", told, cx=x, cy=y, r=3.5, class_=kind))
    return drawing(width, height, title, [*parts, path(best, "curve tone1"), *dots])


def _steps(
    best: Sequence[tuple[float, float]], x: float, y: float, *, lower: bool
) -> list[tuple[float, float]]:
    """How the line of the best so far goes on to a trial; pixels grow downwards."""
    if not best:
        return [(x, y)]
    level = best[-1][1]
    better = y > level if lower else y < level
    return [(x, level), (x, y)] if better else [(x, level)]
