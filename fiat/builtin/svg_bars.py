"""Distributions as small pictures: histograms and bars of a column, each with what was before behind it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from fiat.builtin.svg_draw import clipped, drawing, element, label, line
from fiat.builtin.svg_scale import Scale, tick_texts

HEIGHT = 84.0
BAR_HEIGHT = 12.0
_TOP, _AXIS, _SIDE = 14.0, 16.0, 1.0
_LEAST = 1.5
_NAME_PX = 7.0
_MOST_TICKS = 6
_GAP = 8.0
_CHAR_PX = 6.4


@dataclass(frozen=True)
class Shares:
    """A distribution over bars.

    Attributes:
        now: share (0..1) of the values in each bar.
        before: the same of the data before; empty when there are none.
        told: what a bar holds, for who points at it; empty for pictures without such words.
    """

    now: Sequence[float]
    before: Sequence[float] = ()
    told: Sequence[str] = ()


@dataclass(frozen=True)
class Axis:
    """What stands below the bars.

    Attributes:
        low: value at the left end of the first bar.
        high: value at the right end of the last one, more than `low`.
        ends: words for both ends; empty for round numbers in between.
        names: words for each bar; empty for an axis of numbers.
    """

    low: float
    high: float
    ends: tuple[str, str] | tuple[()] = ()
    names: Sequence[str] = ()


def histogram_bars(title: str, shares: Shares, axis: Axis, most: float, width: float) -> Markup:
    """Upright bars that touch, what was before as a grey ground and a line.

    Args:
        title: what it shows, for screen readers.
        shares: one a bar, one or more bars.
        axis: below them.
        most: share at the upper edge, the same for all pictures side by side.
        width: in pixels.
    """
    floor = _TOP + HEIGHT
    y_scale = Scale(0.0, most or 1.0, floor, _TOP)
    step = (width - 2 * _SIDE) / max(1, len(shares.now))
    parts = [line(0, _TOP, width, _TOP, "grid")]
    before = _outline(shares.before, y_scale, step, floor) if any(shares.before) else ""
    if before:
        parts.append(element("path", d=before, class_="before ground"))
    parts += _upright(shares, y_scale, step, floor)
    if before and shares.told:
        parts.append(element("path", d=before, class_="before edge"))
    parts.append(line(0, floor, width, floor, "axis"))
    parts += _names(axis, width, step, floor) if axis.names else _ticks(axis, width, floor)
    if most:
        parts.append(label(width, _TOP - 4, f"{most:.0%}" if most >= 0.01 else f"{most:.1%}", "tick", "end"))
    return drawing(width, floor + _AXIS, title, parts)


def share_bars(share: float, before: float | None, most: float, width: float) -> Markup:
    """One lying bar, and a line where it was before.

    Args:
        share: 0..1.
        before: the share in the data before; None when there are none.
        most: share of the longest bar.
        width: of the longest bar in pixels.
    """
    scale = Scale(0.0, most or 1.0, 0.0, width)
    parts = []
    if before is not None:
        parts.append(
            element("rect", x=0, y=0, width=scale(before), height=BAR_HEIGHT, class_="before ground")
        )
    if share > 0:
        parts.append(
            element(
                "rect",
                x=0,
                y=2,
                width=max(_LEAST, scale(share)),
                height=BAR_HEIGHT - 4,
                rx=1,
                class_="bar tone1",
            )
        )
    if before is not None:
        parts.append(line(scale(before), 0, scale(before), BAR_HEIGHT, "before edge"))
    return drawing(width, BAR_HEIGHT, f"{share:.1%}", parts)


def _upright(shares: Shares, y_scale: Scale, step: float, floor: float) -> Iterator[Markup]:
    """A rectangle a bar with its words, or without words all of them as one shape."""
    if not shares.told:
        yield element("path", d=_outline(shares.now, y_scale, step, floor), class_="bar tone1")
        return
    for place, (share, told) in enumerate(zip(shares.now, shares.told, strict=True)):
        if share > 0:
            top = min(y_scale(share), floor - _LEAST)
            x, width = _SIDE + place * step, max(1.0, step - 1)
            words = element("title", told)
            yield element("rect", words, x=x, y=top, width=width, height=floor - top, class_="bar tone1")


def _outline(shares: Sequence[float], y_scale: Scale, step: float, floor: float) -> str:
    """The upper edge of bars that touch, down to the floor at both ends."""
    steps = []
    for place, share in enumerate(shares):
        top = min(y_scale(share), floor - _LEAST) if share > 0 else floor
        steps.append(f"V{top:.1f}H{_SIDE + (place + 1) * step:.1f}")
    return f"M{_SIDE:.0f} {floor:.0f}{''.join(steps)}V{floor:.0f}"


def _ticks(axis: Axis, width: float, floor: float) -> Iterator[Markup]:
    y = floor + 12
    if axis.ends:
        yield label(0, y, axis.ends[0], "tick")
        yield label(width, y, axis.ends[1], "tick", "end")
        return
    scale = Scale(axis.low, axis.high, _SIDE, width - _SIDE)
    if not 0 < scale.high - scale.low < math.inf:
        return
    for tick, x, text in _fitting(scale, width):
        yield line(scale(tick), floor, scale(tick), floor + 3, "axis")
        yield label(x, y, text, "tick", "middle")


def _fitting(scale: Scale, width: float) -> list[tuple[float, float, str]]:
    """Round values with the middle and text of each, as many as stand beside each other."""
    found: list[tuple[float, float, str]] = []
    for most in range(_MOST_TICKS, 2, -1):
        ticks = scale.ticks(most)
        texts = tick_texts(ticks)
        found = [
            (tick, _inside(scale(tick), text, width), text) for tick, text in zip(ticks, texts, strict=True)
        ]
        if all(after[1] - before[1] >= _room(before[2], after[2]) for before, after in pairwise(found)):
            return found
    return found[:1]


def _room(one: str, other: str) -> float:
    return (len(one) + len(other)) * _CHAR_PX / 2 + _GAP


def _inside(x: float, text: str, width: float) -> float:
    half = len(text) * _CHAR_PX / 2
    return min(max(x, half), width - half)


def _names(axis: Axis, width: float, step: float, floor: float) -> Iterator[Markup]:
    """Each name below its bar, or as many as have room."""
    longest = max(min(12, len(name)) for name in axis.names)
    every = max(1, math.ceil((longest * _NAME_PX + 4) / step))
    for place, name in enumerate(axis.names):
        if place % every == 0:
            text = clipped(name, 12)
            x = _inside(_SIDE + (place + 0.5) * step, text, width)
            yield label(x, floor + 12, text, "tick", "middle")
