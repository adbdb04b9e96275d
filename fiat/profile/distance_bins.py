"""Two columns laid over the same bins: categories, or intervals of numbers, and what is missing in bins of its own."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fiat.profile.model import MOST_TOP, ColumnProfile, Numbers
from fiat.profile.shown import text_of
from fiat.profile.sketch import Aligned, align

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MOST_BINS = 20
MOST_VALUES = 50
_LEAST_NORMAL = sys.float_info.min
_NARROW = 1e-9
MISSING, REST = "(missing)", "(all other values)"


@dataclass(frozen=True)
class Bins:
    """Shares of two columns' rows in the same bins.

    Attributes:
        names: what each bin holds, for people.
        first: shares (0..1) of the first column, summing to 1, `(n_bins,)`.
        second: of the second.
    """

    names: tuple[str, ...]
    first: Floats
    second: Floats


def value_bins(first: ColumnProfile, second: ColumnProfile) -> Bins:
    """A bin a value. Where not all values of both are known: those that are frequent in either, and one for the rest.

    A value that is frequent here and not known there is taken to be as frequent there as is possible, so that no
    movement is told that may not be.
    """
    known, others = value_counts(first), value_counts(second)
    if has_all_values(first) and has_all_values(second):
        names = sorted(known.keys() | others.keys())
    else:  # one side's rare values can't be told among the other's rest, so they are in both rests
        names = sorted({text_of(value) for column in (first, second) for value, _ in column.top})
    mine = np.array([_rows_of(name, known, first, others.get(name, 0), second) for name in names], float)
    theirs = np.array([_rows_of(name, others, second, known.get(name, 0), first) for name in names], float)
    parts = [
        _with_rest(counts, column.n_rows, column.n_missing)
        for counts, column in ((mine, first), (theirs, second))
    ]
    return _drop_empty(Bins((*names, REST, MISSING), parts[0], parts[1]))


def value_counts(column: ColumnProfile) -> dict[str, int]:
    """Values as texts to rows: all of them where they are known, else the most frequent."""
    return dict(column.counts) if column.counts else {text_of(value): rows for value, rows in column.top}


def has_all_values(column: ColumnProfile) -> bool:
    """Whether the count of every value is known."""
    return bool(column.counts) or column.n_missing == column.n_rows


def number_bins(first: ColumnProfile, second: ColumnProfile) -> Bins:
    """Intervals that hold equal shares of the first column's numbers, at most MOST_BINS, fewer for few rows.

    Ends of intervals are ends of buckets, so that counts are exact. Numbers below and above all of the first's have
    intervals of their own; so have NaN, the infinities and missing values.
    """
    buckets = align(_numbers(first).sketch, _numbers(second).sketch)
    count = bin_count(min(first.n_rows, second.n_rows))
    places = _places(buckets, count)
    edges = np.flatnonzero(np.diff(places, prepend=-1))
    names = _interval_names(buckets, edges)
    mine = np.add.reduceat(buckets.first, edges) if len(edges) else np.zeros(0)
    theirs = np.add.reduceat(buckets.second, edges) if len(edges) else np.zeros(0)
    parts = [_with_odd(counts, column) for counts, column in ((mine, first), (theirs, second))]
    return _drop_empty(Bins((*names, "NaN", "+infinity", "-infinity", MISSING), parts[0], parts[1]))


def picture_bins(first: ColumnProfile, second: ColumnProfile) -> Bins:
    """A bin a format and a size of pictures."""
    groups: list[Mapping[str, int]] = []
    for column in (first, second):
        images = column.images
        groups.append({**images.formats, **images.sizes} if images else {})
    names = sorted(groups[0].keys() | groups[1].keys())
    parts = []
    for group, column in zip(groups, (first, second), strict=True):
        counts = np.array([group.get(name, 0) for name in names], float)
        present = 1 - column.n_missing / column.n_rows if column.n_rows else 0.0
        total = counts.sum()
        parts.append(np.append(counts / total * present if total else counts, 1 - present if total else 1.0))
    return _drop_empty(Bins((*names, MISSING), parts[0], parts[1]))


def bin_count(n_rows: int) -> int:
    """How many intervals so many rows are told apart by: two times their cube root (Rice's rule), 2 to MOST_BINS."""
    return max(2, min(MOST_BINS, math.ceil(2 * math.cbrt(n_rows))))


def _numbers(column: ColumnProfile) -> Numbers:
    return column.numbers or Numbers(0, math.nan, math.nan, math.nan, math.nan)


def _rows_of(
    name: str, known: Mapping[str, int], column: ColumnProfile, there: int, other: ColumnProfile
) -> float:
    """Rows of a value: as known, or the most that an unknown one may have, but no larger a share than there."""
    if name in known:
        return known[name]
    if has_all_values(column):
        return 0
    # Values of one row are not among the most frequent.
    least = min((rows for _, rows in column.top), default=1) if len(column.top) == MOST_TOP else 1
    return min(float(least), there / max(1, other.n_rows) * column.n_rows)


def _with_rest(counts: Floats, n_rows: int, n_missing: int) -> Floats:
    present = n_rows - n_missing
    total = counts.sum()
    if total > present:  # estimates of several values may add up to too much
        counts = counts * (present / total)
        total = present
    whole = np.array([*counts, max(0.0, present - total), n_missing], float)
    return whole / n_rows if n_rows else np.array([*np.zeros(len(counts) + 1), 1.0])


def _with_odd(counts: Floats, column: ColumnProfile) -> Floats:
    """Shares of numbers with NaN, infinities and missing: of several numbers a row each counts as a part of the row."""
    numbers = _numbers(column)
    whole = np.array([*counts, numbers.n_nan, numbers.n_pos_inf, numbers.n_neg_inf], float)
    present = 1 - column.n_missing / column.n_rows if column.n_rows else 0.0
    total = whole.sum()
    if not total:
        return np.array([*whole, 1.0])
    return np.append(whole / total * present, 1 - present)


def _places(buckets: Aligned, count: int) -> Ints:
    """Number of the interval that each bucket falls into: 0 below all of the first, `count + 1` above all."""
    total = buckets.first.sum()
    if not total:
        return np.zeros(len(buckets.first), np.int64)
    below = np.cumsum(buckets.first) - buckets.first
    places = 1 + np.minimum(count - 1, np.floor(below / total * count)).astype(np.int64)
    held = np.flatnonzero(buckets.first)
    places[: held[0]] = 0
    places[held[-1] + 1 :] = count + 1
    return np.asarray(places, np.int64)


def _interval_names(buckets: Aligned, edges: Ints) -> tuple[str, ...]:
    ends = [*edges[1:].tolist(), len(buckets.lower)] if len(edges) else []
    return tuple(
        interval_name(float(buckets.lower[start]), float(buckets.upper[end - 1]))
        for start, end in zip(edges.tolist(), ends, strict=True)
    )


def interval_name(low: float, high: float) -> str:
    """An interval for people, with as many digits as tell its ends apart; one number where a bucket is that narrow."""
    # The bucket of 0 ends at the smallest doubles there are.
    low, high = (0.0 if abs(end) < _LEAST_NORMAL else end for end in (low, high))
    if high - low <= _NARROW * max(abs(low), abs(high)):
        return f"{low:.10g}"
    for digits in range(4, 12):
        ends = f"{low:.{digits}g}", f"{high:.{digits}g}"
        if ends[0] != ends[1]:
            break
    return " to ".join(ends)


def _drop_empty(bins: Bins) -> Bins:
    held = (bins.first > 0) | (bins.second > 0)
    names = tuple(name for name, keep in zip(bins.names, held.tolist(), strict=True) if keep)
    return Bins(names, bins.first[held], bins.second[held])
