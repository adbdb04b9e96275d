"""From values to pixels, and round numbers for axes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_LARGEST = 1e300
_MOST_DECADES = 305.0
_LEAST_DECADES = 1e-6
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_PARTS = (1, 2, 5)
_LEAST_TICKS = 2


@dataclass(frozen=True)
class Scale:
    """A linear scale.

    Attributes:
        low: value at `start`.
        high: value at `end`, more than `low`.
        start: pixel.
        end: pixel; less than `start` for an axis that points up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside stay at the nearer end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """At most so many round values inside; `most` is 3 or more."""
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / (most - 1)))
        step = next(power * part for part in _STEPS if span / (power * part) <= most - 1 + 1e-9)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


@dataclass(frozen=True)
class LogScale:
    """A logarithmic scale; attributes as those of Scale, `low` above 0."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside, 0 and below among them, stay at the nearer end."""
        low, high = math.log10(self.low), math.log10(self.high)
        share = (math.log10(max(value, self.low)) - low) / (high - low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """At most so many powers of ten, each as many decades from the next; of few decades other round values too.

        Args:
            most: 3 or more.
        """
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        if last - first > 1:
            stride = max(1, math.ceil((last - first) / (most - 1)))
            return [float(f"1e{power}") for power in range(first, last + 1, stride)]
        near = [float(f"{part}e{power}") for power in range(first - 1, last + 1) for part in _LOG_PARTS]
        inside = [tick for tick in near if self.low * (1 - 1e-9) <= tick <= self.high * (1 + 1e-9)]
        if len(inside) < _LEAST_TICKS:
            return Scale(self.low, self.high, 0, 1).ticks(most)
        return inside[:: math.ceil(len(inside) / most)]


Axis = Scale | LogScale


def log_scale_of(values: Iterable[float], start: float, end: float, *, pad: float = 0.08) -> LogScale:
    """A logarithmic scale that holds all finite values above 0, with room at both ends; one or more of them."""
    known = [min(value, _LARGEST) for value in values if math.isfinite(value) and value > 0]
    low, high = (math.log10(max(edge, 1 / _LARGEST)) for edge in (min(known), max(known)))
    room = (high - low) * pad if high - low > _LEAST_DECADES else 0.5
    return LogScale(
        10.0 ** max(-_MOST_DECADES, low - room), 10.0 ** min(_MOST_DECADES, high + room), start, end
    )


def scale_of(
    values: Iterable[float | None], start: float, end: float, *, pad: float = 0.08, zero: bool = False
) -> Scale:
    """A scale that holds all finite values, with room at both ends.

    Args:
        values: None and what is not finite is left out.
        start: first pixel.
        end: last pixel.
        pad: room as a share of the span.
        zero: begin at 0 when no value is below it.
    """
    found = [float(value) for value in values if value is not None and math.isfinite(value)]
    # A training that goes wrong comes close to the largest numbers: the span of these is a number too.
    found = [min(max(value, -_LARGEST), _LARGEST) for value in found]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    if zero and low >= 0:
        low = 0.0
    if high - low <= max(max(abs(high), abs(low)) * 1e-9, 1 / _LARGEST):
        half = abs(high) * 0.05 or 0.5
        return Scale(low - half, high + half, start, end)
    room = (high - low) * pad
    return Scale(low if zero and low == 0 else low - room, high + room, start, end)


def axis_texts(scale: Axis, ticks: Sequence[float]) -> list[str]:
    """What stands beside the ticks of a scale: those of a logarithmic one each in as few characters as it needs."""
    if isinstance(scale, LogScale):
        return [f"{tick:,.0f}" if 1 <= tick < 1e6 and tick == int(tick) else f"{tick:g}" for tick in ticks]
    return tick_texts(ticks)


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Round values with as many decimals as their distance needs: `0.90`, `0.95`, `1.00`."""
    if not ticks:
        return []
    step = min((abs(b - a) for a, b in pairwise(ticks)), default=abs(ticks[0]) or 1.0)
    if max(map(abs, ticks)) >= 1e6 or step < 1e-5:
        return [f"{tick:.3g}" for tick in ticks]
    decimals = 0
    while decimals < 6 and any(abs(round(tick, decimals) - tick) > step * 1e-6 for tick in ticks):
        decimals += 1
    return [f"{tick:,.{decimals}f}" for tick in ticks]
