"""Points and bars: calibration, residuals, histograms of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from fiat.builtin.svg_draw import drawing, element, label, line
from fiat.builtin.svg_scale import Scale, scale_of, tick_texts
from fiat.builtin.view_text import count, number

_LEFT = 46.0
_TOP = 16.0
_BOTTOM = 34.0
_SIZE = 250.0
_LARGEST_R = 7.0
_LEAST_R = 2.0
_UPPER = 0.62
_FAINTEST = 0.2


@dataclass(frozen=True)
class Bin:
    """One bin of a calibration.

    Attributes:
        said: mean confidence, 0 to 1.
        was: share that is right, 0 to 1.
        n_rows: rows in it, 1 or more.
    """

    said: float
    was: float
    n_rows: int


def calibration_chart(bins: Sequence[Bin]) -> Markup:
    """How often the model is right against how sure it was; a dot's area says how many rows."""
    x_scale, y_scale = Scale(0, 1, _LEFT, _LEFT + _SIZE), Scale(0, 1, _TOP + _SIZE, _TOP)
    parts = [*_grid(x_scale, y_scale, "confidence", "share right")]
    parts.append(line(x_scale(0), y_scale(0), x_scale(1), y_scale(1), "diagonal"))
    most = max((item.n_rows for item in bins), default=1)
    for item in bins:
        radius = max(_LEAST_R, _LARGEST_R * (item.n_rows / most) ** 0.5)
        told = f"said {number(item.said)}, was {number(item.was)}, {count(item.n_rows, 'row')}"
        x = x_scale(item.said)
        # A bin of few rows says little, so its distance to the diagonal is drawn faintly.
        weight = max(_FAINTEST, (item.n_rows / most) ** 0.5)
        gap = element(
            "line",
            x1=x,
            y1=y_scale(item.said),
            x2=x,
            y2=y_scale(item.was),
            class_="gap",
            stroke_opacity=weight,
        )
        parts.append(gap)
        dot = element("circle", element("title", told), cx=x, cy=y_scale(item.was), r=radius, class_="point")
        parts.append(dot)
    return drawing(_LEFT + _SIZE + 10, _TOP + _SIZE + _BOTTOM, "Calibration by confidence", parts)


def residual_chart(points: Sequence[tuple[float, float]]) -> Markup:
    """Residual against prediction; the line is no error.

    Args:
        points: (prediction, label minus prediction), one or more.
    """
    x_scale = scale_of((x for x, _ in points), _LEFT, _LEFT + 1.3 * _SIZE, pad=0.03)
    y_scale = scale_of([0.0, *(y for _, y in points)], _TOP + _SIZE, _TOP)
    parts = _grid(x_scale, y_scale, "prediction", "label − prediction")
    parts.append(line(x_scale.start, y_scale(0), x_scale.end, y_scale(0), "whole"))
    parts += [element("circle", cx=x_scale(x), cy=y_scale(y), r=2, class_="point thin") for x, y in points]
    title = f"Residuals of {count(len(points), 'row')}"
    return drawing(_LEFT + 1.3 * _SIZE + 10, _TOP + _SIZE + _BOTTOM, title, parts)


def histogram_chart(x_name: str, edges: Sequence[float], groups: Mapping[str, Sequence[int]]) -> Markup:
    """How many rows fall where; of two groups the second hangs below the line, on a scale of its own.

    Args:
        x_name: what the values are.
        edges: one more than each group has counts, ascending.
        groups: name to counts; one or two.
    """
    x_scale = Scale(edges[0], edges[-1], _LEFT, _LEFT + 1.3 * _SIZE)
    names = list(groups)[:2]
    zero = _TOP + (_SIZE if len(names) == 1 else _SIZE * _UPPER)
    parts = []
    for place, name in enumerate(names):
        end = _TOP + _SIZE if place else _TOP
        y_scale = Scale(0, max([1, *groups[name]]), zero, end)
        parts += _bars(x_scale, y_scale, edges, groups[name], f"tone{place + 1}", name)
        if len(names) > 1:
            parts.append(
                label(x_scale.start + 8, end - 6 if place else end + 12, name, f"tick named tone{place + 1}")
            )
    parts.append(line(x_scale.start, zero, x_scale.end, zero, "axis"))
    x_ticks = x_scale.ticks(5)
    for tick, text in zip(x_ticks, tick_texts(x_ticks), strict=True):
        parts.append(label(x_scale(tick), _TOP + _SIZE + 14, text, "tick", "middle"))
    parts.append(label(x_scale.end, _TOP + _SIZE + 28, x_name, "tick strong", "end"))
    return drawing(_LEFT + 1.3 * _SIZE + 10, _TOP + _SIZE + _BOTTOM, f"Histogram of {x_name}", parts)


def _bars(
    x_scale: Scale, y_scale: Scale, edges: Sequence[float], counts: Sequence[int], kind: str, name: str
) -> list[Markup]:
    """Bars that stand on the start of `y_scale` or hang from it, and its whole numbers."""
    parts = []
    ticks = [tick for tick in y_scale.ticks(4) if tick == int(tick)]
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        parts.append(line(x_scale.start, y_scale(tick), x_scale.end, y_scale(tick), "grid"))
        parts.append(label(x_scale.start - 6, y_scale(tick) + 4, text, "tick", "end"))
    for (left, right), n_rows in zip(pairwise(edges), counts, strict=False):
        if n_rows:
            top, bottom = sorted((y_scale(0), y_scale(n_rows)))
            told = element(
                "title", f"{number(left)} to {number(right)}: {count(n_rows, 'row')} {name}".rstrip()
            )
            x, width = x_scale(left), max(0.5, x_scale(right) - x_scale(left) - 1)
            bar = element("rect", told, x=x, y=top, width=width, height=bottom - top, class_=f"bar {kind}")
            parts.append(bar)
    return parts


def _grid(x_scale: Scale, y_scale: Scale, x_name: str, y_name: str) -> list[Markup]:
    parts = []
    y_ticks, x_ticks = y_scale.ticks(5), x_scale.ticks(5)
    for tick, text in zip(y_ticks, tick_texts(y_ticks), strict=True):
        parts.append(line(x_scale.start, y_scale(tick), x_scale.end, y_scale(tick), "grid"))
        parts.append(label(x_scale.start - 6, y_scale(tick) + 4, text, "tick", "end"))
    for tick, text in zip(x_ticks, tick_texts(x_ticks), strict=True):
        parts.append(label(x_scale(tick), y_scale.start + 14, text, "tick", "middle"))
    parts.append(line(x_scale.start, y_scale.start, x_scale.end, y_scale.start, "axis"))
    parts.append(label(x_scale.end, y_scale.start + 28, x_name, "tick strong", "end"))
    parts.append(label(x_scale.start, y_scale.end - 5, y_name, "tick strong"))
    return parts
