"""Numbers with their intervals as dots and whiskers: one metric against baseline and limit, and slices on one scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fiat.builtin.svg_draw import drawing, element, label, line, text_width
from fiat.builtin.svg_scale import Scale, scale_of, tick_texts
from fiat.builtin.view_text import interval, score

WIDTH = 300.0
ROW_HEIGHT = 22.0
_SIDE = 14.0
_TICKS = 5


@dataclass(frozen=True)
class Spread:
    """A number and its interval.

    Attributes:
        value: may be NaN.
        low: lower end, None without an interval.
        high: upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def told(self) -> str:
        """In words."""
        span = interval(self.low, self.high)
        return score(self.value) + (f" ({span})" if span else "")


@dataclass(frozen=True)
class Limit:
    """What a gate asks of the number.

    Attributes:
        value: the limit.
        at_least: whether it is a minimum.
    """

    value: float
    at_least: bool


def metric_chart(name: str, now: Spread, baseline: Spread | None, limits: Sequence[Limit]) -> Markup:
    """The metric above its baseline on a scale of their own, with the limits that gates set."""
    spreads = [now, *([baseline] if baseline else [])]
    held = [item for spread in spreads for item in (spread.value, spread.low, spread.high)]
    scale = scale_of([*held, *(item.value for item in limits)], _SIDE, WIDTH - _SIDE, pad=0.12)
    bottom = 40.0 if baseline else 28.0
    parts = _axis(scale, bottom)
    for limit in limits:
        parts.extend(_limit(limit, scale, bottom))
    parts.append(_dot(now, scale, 18.0, "mark", f"{name}: {now.told()}"))
    if baseline:
        parts.append(_dot(baseline, scale, 31.0, "base", f"baseline: {baseline.told()}"))
    said = f"{name} {now.told()}" + (f", baseline {baseline.told()}" if baseline else "")
    return drawing(WIDTH, bottom + 16, said, parts)


def slice_scale(spreads: Sequence[Spread], overall: float | None) -> Scale:
    """One scale for all slices of a table."""
    held = [item for spread in spreads for item in (spread.value, spread.low, spread.high)]
    return scale_of([*held, overall], _SIDE, WIDTH - _SIDE, pad=0.04)


def slice_axis(scale: Scale, overall: float | None) -> Markup:
    """The head of the slices' column: the scale, and where all rows stand."""
    ticks = scale.ticks(_TICKS)
    parts = [
        label(scale(tick), 24, text, "tick", "middle")
        for tick, text in zip(ticks, tick_texts(ticks), strict=True)
    ]
    if overall is not None and math.isfinite(overall):
        x = scale(overall)
        half = text_width("all rows", 11) / 2
        parts.append(label(min(max(x, half), WIDTH - half), 10, "all rows", "tick strong", "middle"))
    return drawing(WIDTH, 28, "scale of the slices", parts)


def slice_chart(name: str, spread: Spread, scale: Scale, overall: float | None, *, worse: bool) -> Markup:
    """A slice: a bar from all rows' value to its own, its interval, its dot.

    Args:
        name: the slice.
        spread: its value.
        scale: from `slice_scale`.
        overall: value of all rows, None when unknown.
        worse: its whole interval is on the worse side of all rows.
    """
    middle = ROW_HEIGHT / 2
    parts = [line(scale(tick), 0, scale(tick), ROW_HEIGHT, "grid") for tick in scale.ticks(_TICKS)]
    if overall is not None and math.isfinite(overall):
        parts.append(line(scale(overall), 0, scale(overall), ROW_HEIGHT, "whole"))
        if math.isfinite(spread.value):
            left, right = sorted((scale(overall), scale(spread.value)))
            kind = "bar worse" if worse else "bar"
            parts.append(element("rect", x=left, y=middle - 4, width=right - left, height=8, class_=kind))
    parts.append(_dot(spread, scale, middle, "mark worse" if worse else "mark", f"{name}: {spread.told()}"))
    return drawing(WIDTH, ROW_HEIGHT, f"{name} {spread.told()}", parts, kind="slice")


def _axis(scale: Scale, y: float) -> list[Markup]:
    ticks = scale.ticks(_TICKS)
    parts = [line(scale.start, y, scale.end, y, "axis")]
    for tick, text in zip(ticks, tick_texts(ticks), strict=True):
        parts.append(line(scale(tick), y, scale(tick), y + 3, "axis"))
        parts.append(label(scale(tick), y + 14, text, "tick", "middle"))
    return parts


def _limit(limit: Limit, scale: Scale, bottom: float) -> list[Markup]:
    x = scale(limit.value)
    text = f"{'≥' if limit.at_least else '≤'} {limit.value:g}"
    # The label stands on the allowed side, unless it would leave the picture there.
    room = text_width(text, 11) + 6
    right = limit.at_least if (x + room < WIDTH if limit.at_least else x - room > 0) else not limit.at_least
    return [
        line(x, 2, x, bottom, "limit"),
        label(x + 4 if right else x - 4, 9, text, "tick limit", None if right else "end"),
    ]


def _dot(spread: Spread, scale: Scale, y: float, kind: str, told: str) -> Markup:
    if not math.isfinite(spread.value):
        return label(scale.start, y + 4, score(spread.value), "tick")
    parts = [element("title", told)]
    if spread.low is not None and spread.high is not None and math.isfinite(spread.low + spread.high):
        parts.append(line(scale(spread.low), y, scale(spread.high), y, "whisker"))
    parts.append(element("circle", cx=scale(spread.value), cy=y, r=4))
    return element("g", *parts, class_=kind)
