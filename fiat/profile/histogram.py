"""Columns of several splits (or of two runs) over the same edges, ready to be drawn side by side."""

import math
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
        shares: a row a place: share (0..1) of its rows in each bar, `(n_places, n_bars)`. With missing, NaN and
            infinite values, which have no bar of an interval, they sum to 1.
        missing: share of each place's rows without a value, `(n_places,)`.
    """

    kind: Literal["numbers", "values"]
    edges: tuple[float, ...]
    names: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]
    missing: tuple[float, ...]


def histograms(columns: Sequence[ColumnProfile], bins: int = BINS) -> Histogram:
    """Lay the same column of several places over common bars.

    Numbers get `bins` intervals of one width between the smallest and the largest, or, where a few numbers are far out,
    between the 1 % and 99 % quantiles, and the first and last interval then hold all that is beyond. Whole numbers of few
    values get a bar a value, as categories do.

    Args:
        columns: one a place, at least one.
        bins: intervals, 1 or more.
    """
    missing = tuple(_share(column.n_missing, column.n_rows) for column in columns)
    values = {name for column in columns for name in column.counts}
    counted = all(column.counts or column.n_missing == column.n_rows for column in columns)
    numbers = any(is_ordered(column) and column.numbers and column.numbers.n for column in columns)
    if numbers and not (counted and len(values) <= MOST_BARS):
        return _of_numbers(columns, bins, missing)
    return _of_values(columns, missing, ordered=numbers)


def _of_numbers(columns: Sequence[ColumnProfile], bins: int, missing: tuple[float, ...]) -> Histogram:
    edges = _edges(columns, bins)
    shares = []
    for column, lack in zip(columns, missing, strict=True):
        numbers = column.numbers
        if numbers is None or not numbers.n:
            shares.append((0.0,) * (len(edges) - 1))
            continue
        all_values = numbers.n + numbers.n_nan + numbers.n_pos_inf + numbers.n_neg_inf
        counts = histogram(numbers.sketch, edges) / all_values * (1 - lack)
        shares.append(tuple(counts.tolist()))
    names = tuple(f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges))
    return Histogram("numbers", edges, names, tuple(shares), missing)


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
    edges = np.linspace(low, high, bins + 1)
    if (
        not np.isfinite(edges).all() or (np.diff(edges) <= 0).any()
    ):  # as far apart as doubles are, or next to each other
        edges = np.array([low, high])
    return tuple(edges.tolist())


def _of_values(columns: Sequence[ColumnProfile], missing: tuple[float, ...], *, ordered: bool) -> Histogram:
    counts = [value_counts(column) for column in columns]
    frequent: dict[str, float] = {}
    for known, column in zip(counts, columns, strict=True):
        for name, rows in known.items():
            frequent[name] = max(frequent.get(name, 0.0), _share(rows, column.n_rows))
    names = sorted(frequent, key=lambda name: (-frequent[name], name))[:MOST_BARS]
    if ordered:
        names.sort(key=float)
    shares = []
    rest = False
    for known, column, lack in zip(counts, columns, missing, strict=True):
        part = [_share(known.get(name, 0), column.n_rows) for name in names]
        others = max(0.0, 1 - lack - math.fsum(part))
        rest |= others > 1e-9
        shares.append((*part, others))
    if rest:
        return Histogram("values", (), (*names, REST), tuple(shares), missing)
    return Histogram("values", (), tuple(names), tuple(part[:-1] for part in shares), missing)


def _share(rows: float, n_rows: int) -> float:
    return rows / n_rows if n_rows else 0.0
