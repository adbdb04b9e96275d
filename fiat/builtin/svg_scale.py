"""From values to pixels, and round numbers for axes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


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
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    if zero and low >= 0:
        low = 0.0
    if high - low <= max(abs(high), abs(low)) * 1e-9:
        half = abs(high) * 0.05 or 0.5
        return Scale(low - half, high + half, start, end)
    room = (high - low) * pad
    return Scale(low if zero and low == 0 else low - room, high + room, start, end)


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
