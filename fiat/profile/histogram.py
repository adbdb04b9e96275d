"""Columns of several splits (or of two runs) over the same edges, ready to be drawn side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from fiat.profile.distance import is_ordered
from fiat.profile.distance_bins import REST, value_counts
from fiat.profile.model import ColumnProfile
from fiat.profile.sketch import histogram

BINS = 30
MOST_BARS = 20


@dataclass(frozen=True)
class Histogram:
    """The same column in several places, over the same bars.

    Attributes:
        kind: `numbers` (bars are intervals) or `values` (a bar a value, most frequent first).
        edges: ends of the intervals, one more than bars, ascending; empty for `values`.
        names: what each bar holds.
        counts: a row a place: its values in each bar, `(n_places, n_bars)`; parts of a bucket that an edge cuts are
            shared by width, so that they need not be whole. NaN and infinite values have no bar.
        missing: rows without a value of each place, `(n_places,)`.
        n_values: values of each place, with those that have no bar, without missing ones, `(n_places,)`.
    """

    kind: Literal["numbers", "values"]
    edges: tuple[float, ...]
    names: tuple[str, ...]
    counts: tuple[tuple[float, ...], ...]
    missing: tuple[int, ...]
    n_values: tuple[int, ...]

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """Share (0..1) of each place's values in each bar, so that places of different size can be compared."""
        places = zip(self.counts, self.n_values, strict=True)
        return tuple(tuple(count / max(1, total) for count in counts) for counts, total in places)


def histograms(columns: Sequence[ColumnProfile], bins: int = BINS) -> Histogram:
    """Lay the same column of several places over common bars.

    Numbers get `bins` intervals of one width between the smallest and the largest, or, where a few numbers are far out,
    between the 1 % and 99 % quantiles, and the first and last interval then hold all that is beyond. Whole numbers of few
    values get a bar a value, as categories do.

    Args:
        columns: one a place, at least one.
        bins: intervals, 1 or more.
    """
    values = {name for column in columns for name in column.counts}
    counted = all(column.counts or column.n_missing == column.n_rows for column in columns)
    numbers = any(is_ordered(column) and column.numbers and column.numbers.n for column in columns)
    if numbers and not (counted and len(values) <= min(bins, MOST_BARS)):
        return _of_numbers(columns, bins)
    return _of_values(columns, ordered=numbers)


def _of_numbers(columns: Sequence[ColumnProfile], bins: int) -> Histogram:
    edges = _edges(columns, bins)
    counts, totals = [], []
    for column in columns:
        numbers = column.numbers
        held = numbers is not None and numbers.n > 0
        counts.append(
            tuple(histogram(numbers.sketch, edges).tolist())
            if numbers and held
            else (0.0,) * (len(edges) - 1)
        )
        totals.append(numbers.n + numbers.n_nan + numbers.n_pos_inf + numbers.n_neg_inf if numbers else 0)
    names = tuple(f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges))
    return Histogram("numbers", edges, names, tuple(counts), _missing(columns), tuple(totals))


def _edges(columns: Sequence[ColumnProfile], bins: int) -> tuple[float, ...]:
    known = [column.numbers for column in columns if column.numbers and column.numbers.n]
    low, high = min(item.min for item in known), max(item.max for item in known)
    inner = [item.quantiles for item in known if len(item.quantiles) == 11]
    if inner:
        near, far = min(item[1] for item in inner), max(item[9] for item in inner)
        if far > near and high / 2 - low / 2 > 2 * (far - near):
            # A few far values would leave one bar with everything.
            low, high = max(low, near - 0.1 * (far - near)), min(high, far + 0.1 * (far - near))
    if not high > low:
        width = abs(low) / 100 or 0.5
        low, high = low - width, high + width
    # Halves, because the ends can be farther apart than the largest double.
    edges = 2 * np.linspace(low / 2, high / 2, bins + 1)
    if (
        not np.isfinite(edges).all() or (np.diff(edges) <= 0).any()
    ):  # as far apart as doubles are, or next to each other
        edges = np.array([low, high])
    return tuple(edges.tolist())


def _of_values(columns: Sequence[ColumnProfile], *, ordered: bool) -> Histogram:
    known = [value_counts(column) for column in columns]
    totals = [column.n_rows - column.n_missing for column in columns]
    frequent: dict[str, float] = {}
    for counts, total in zip(known, totals, strict=True):
        for name, rows in counts.items():
            frequent[name] = max(frequent.get(name, 0.0), rows / max(1, total))
    names = sorted(frequent, key=lambda name: (-frequent[name], name))[:MOST_BARS]
    if ordered:
        names.sort(key=float)
    bars = [[float(counts.get(name, 0)) for name in names] for counts in known]
    rest = [max(0.0, total - sum(part)) for part, total in zip(bars, totals, strict=True)]
    if any(rest):
        names.append(REST)
        bars = [[*part, other] for part, other in zip(bars, rest, strict=True)]
    return Histogram("values", (), tuple(names), tuple(map(tuple, bars)), _missing(columns), tuple(totals))


def _missing(columns: Sequence[ColumnProfile]) -> tuple[int, ...]:
    return tuple(column.n_missing for column in columns)
