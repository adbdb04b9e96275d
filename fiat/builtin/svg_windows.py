"""Windows over time as bars: each as high as what was measured in it, with the limit and what chance makes."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fiat.builtin.svg_draw import drawing, element, label, line
from fiat.builtin.svg_scale import Scale, tick_texts
from fiat.builtin.view_text import number

_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 8.0, 10.0, 20.0
_GAP = 0.2


@dataclass(frozen=True)
class Bar:
    """One window.

    Attributes:
        value: what was measured, 0 or more.
        noise: what chance alone makes.
        alarms: it is beyond its limit.
        title: said when it is pointed at.
    """

    value: float
    noise: float
    alarms: bool
    title: str


@dataclass(frozen=True)
class Dot:
    """One judgement of a model's quality.

    Attributes:
        value: of the metric.
        low: end of its interval.
        high: the other end.
        alarms: it is beyond its limit.
        title: said when it is pointed at.
    """

    value: float
    low: float
    high: float
    alarms: bool
    title: str


def window_bars(
    title: str,
    bars: Sequence[Bar],
    limit: float,
    ends: tuple[str, str],
    width: float = 380,
    height: float = 110,
) -> Markup:
    """Bars in the order of the windows, the limit as a dashed line, what chance makes as a mark across each bar.

    Args:
        title: for screen readers.
        bars: oldest first, at least one.
        limit: largest value allowed.
        ends: words below the first and the last bar.
        width: in pixels.
        height: in pixels.
    """
    top = max([limit * 1.25, *(bar.value * 1.05 for bar in bars), *(bar.noise for bar in bars)]) or 1.0
    scale = Scale(0.0, top, height - _BOTTOM, _TOP)
    parts = _frame(scale, width, height, ends)
    step = (width - _LEFT - _RIGHT) / max(len(bars), 12)
    for place, bar in enumerate(bars):
        left = _LEFT + place * step
        y = min(scale(bar.value), scale.start - 1)
        kind = "bar window bad" if bar.alarms else "bar tone1"
        parts.append(
            element(
                "rect",
                element("title", bar.title),
                x=left + step * _GAP / 2,
                y=y,
                width=max(1.0, step * (1 - _GAP)),
                height=scale.start - y,
                class_=kind,
            )
        )
        parts.append(line(left, scale(bar.noise), left + step, scale(bar.noise), "whole"))
    parts.append(line(_LEFT, scale(limit), width - _RIGHT, scale(limit), "limit"))
    highest = max(bar.value for bar in bars)
    return drawing(width, height, f"{title}: up to {number(highest)}, limit {number(limit)}", parts)


def window_dots(
    title: str,
    dots: Sequence[Dot],
    limits: Sequence[float],
    ends: tuple[str, str],
    width: float = 380,
    height: float = 130,
) -> Markup:
    """Values with their intervals in order, and the limits as dashed lines.

    Args:
        title: for screen readers.
        dots: oldest first, at least one.
        limits: values that are not to be passed.
        ends: words below the first and the last.
        width: in pixels.
        height: in pixels.
    """
    values = [*limits, *(dot.low for dot in dots), *(dot.high for dot in dots)]
    pad = (max(values) - min(values)) * 0.1 or 0.05
    scale = Scale(min(values) - pad, max(values) + pad, height - _BOTTOM, _TOP)
    parts = _frame(scale, width, height, ends)
    step = (width - _LEFT - _RIGHT) / max(len(dots), 8)
    for place, dot in enumerate(dots):
        x = _LEFT + (place + 0.5) * step
        whisker = line(x, scale(dot.low), x, scale(dot.high), "whisker")
        circle = element("circle", element("title", dot.title), cx=x, cy=scale(dot.value), r=3.5)
        parts.append(element("g", whisker, circle, class_="mark worse" if dot.alarms else "mark"))
    parts += [line(_LEFT, scale(limit), width - _RIGHT, scale(limit), "limit") for limit in limits]
    return drawing(width, height, f"{title}: last {number(dots[-1].value)}", parts)


def _frame(scale: Scale, width: float, height: float, ends: tuple[str, str]) -> list[Markup]:
    parts = []
    ticks = scale.ticks(4)
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        parts.append(line(_LEFT, scale(tick), width - _RIGHT, scale(tick), "grid"))
        parts.append(label(_LEFT - 6, scale(tick) + 4, text, "tick", "end"))
    parts.append(line(_LEFT, scale.start, width - _RIGHT, scale.start, "axis"))
    parts.append(label(_LEFT, height - 5, ends[0], "tick"))
    parts.append(label(width - _RIGHT, height - 5, ends[1], "tick", "end"))
    return parts
