"""A course of numbers in one line of text, and how to keep a long one in little memory. Imports nothing heavy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH = 32
DECADES = 100.0
"""Of what is all positive and spans this factor, only the logarithm shows where it goes."""
_HEIGHTS = "▁▂▃▄▅▆▇█"
_GAP = "·"
_MOST_CELLS = 4 * WIDTH


def sparkline(values: Sequence[float], width: int = WIDTH, span: tuple[float, float] | None = None) -> str:
    """A curve of one line: equal stretches of the values are averaged, what is no number is a gap.

    Args:
        values: in order.
        width: most characters.
        span: values of the lowest and the highest character; None for those of the curve itself.
    """
    if not values:
        return ""
    n_cells = min(width, len(values))
    cells = []
    for place in range(n_cells):
        stretch = values[place * len(values) // n_cells : (place + 1) * len(values) // n_cells]
        known = [value for value in stretch if math.isfinite(value)]
        cells.append(mean_of(known) if known else math.nan)
    known = [cell for cell in cells if math.isfinite(cell)]
    low, high = span or (min(known, default=0.0), max(known, default=0.0))
    return "".join(_height(cell, low, high) for cell in cells)


def mean_of(values: Sequence[float]) -> float:
    """The mean of finite values, one or more; a number also where they are the largest that there are."""
    half = math.fsum(value / 2 / len(values) for value in values)
    return min(max(2 * half, min(values)), max(values))


def course_line(values: Sequence[float], width: int = WIDTH) -> str:
    """`sparkline` of a training curve: by its logarithm where that alone shows its course."""
    if spans_decades(values):
        return sparkline([math.log10(value) if math.isfinite(value) else value for value in values], width)
    return sparkline(values, width)


def spans_decades(values: Sequence[float]) -> bool:
    """Whether all finite values are above 0 and the largest is DECADES times the smallest."""
    known = [value for value in values if math.isfinite(value)]
    return bool(known) and min(known) > 0 and max(known) / DECADES >= min(known)


def _height(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return _GAP
    # Halves are taken, so that the span of the largest numbers is a number too.
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span > 0 else 0.5
    return _HEIGHTS[int(min(max(share, 0.0) * len(_HEIGHTS), len(_HEIGHTS) - 1))]


@dataclass
class Course:
    """All values of one metric so far, in bounded memory: neighbours are averaged when there are too many.

    Attributes:
        last: the newest value.
        n_values: how many were added.
    """

    last: float = math.nan
    n_values: int = 0
    _stride: int = 1
    _cells: list[tuple[float, int, int]] = field(default_factory=list)  # mean, finite values, values

    def add(self, value: float) -> None:
        """Take over the next value."""
        self.last = value
        self.n_values += 1
        if not self._cells or self._cells[-1][2] == self._stride:
            if len(self._cells) == _MOST_CELLS:
                pairs = zip(self._cells[::2], self._cells[1::2], strict=True)
                self._cells = [_merged(*pair) for pair in pairs]
                self._stride *= 2
            self._cells.append((0.0, 0, 0))
        self._cells[-1] = _merged(self._cells[-1], (value, 1, 1) if math.isfinite(value) else (0.0, 0, 1))

    def values(self) -> list[float]:
        """Means of equally long stretches, in order; NaN for one without a number. At most 4 * WIDTH."""
        return [mean if n_known else math.nan for mean, n_known, _ in tuple(self._cells)]


def _merged(a: tuple[float, int, int], b: tuple[float, int, int]) -> tuple[float, int, int]:
    n_known = a[1] + b[1]
    mean = a[0] * (a[1] / n_known) + b[0] * (b[1] / n_known) if n_known else 0.0
    return mean, n_known, a[2] + b[2]
