"""Two profiles of different rows into that of both."""

from collections import Counter
from dataclasses import replace

import numpy as np

from fiat.profile.distinct import MOST_HASHES, estimate, merge_hashes
from fiat.profile.images import merge_images
from fiat.profile.lengths import merge_lengths
from fiat.profile.model import MOST_COUNTED, MOST_TOP, QUANTILES, ColumnProfile, Numbers, Profile
from fiat.profile.moments import Moments, merge_moments
from fiat.profile.shown import text_of
from fiat.profile.sketch import merge_sketches, quantiles


def merge_profiles(first: Profile, other: Profile) -> Profile:
    """The profile of the rows of both, as one pass over all of them would give it.

    Counts, ends and distributions are exact. Mean and spread differ by rounding. The number of different values is
    exact while there are fewer than `MOST_HASHES` of them or every value is in `counts`, and the most frequent values
    are exact in the latter case. A column that one of them lacks is missing in all its rows. Split and slice are those
    of the first.
    """
    names = [column.name for column in first.columns]
    names += [column.name for column in other.columns if column.name not in set(names)]
    columns = []
    for name in names:
        own, more = (_column(profile, name) for profile in (first, other))
        columns.append(merge_columns(own, more))
    return Profile(first.n_rows + other.n_rows, tuple(columns), first.split, first.slice)


def _column(profile: Profile, name: str) -> ColumnProfile:
    return profile.column(name) or ColumnProfile(name, "empty", "null", profile.n_rows, profile.n_rows)


def merge_columns(first: ColumnProfile, other: ColumnProfile) -> ColumnProfile:
    """One column of the rows of both; its kind and type are those of the first unless that has no values."""
    chief, minor = (other, first) if first.kind == "empty" else (first, other)
    n_values = [column.n_rows - column.n_missing for column in (first, other)]
    numeric = first.share_numeric * n_values[0] + other.share_numeric * n_values[1]
    merged = replace(
        chief,
        n_rows=first.n_rows + other.n_rows,
        n_missing=first.n_missing + other.n_missing,
        numbers=merge_numbers(first.numbers, other.numbers),
        lengths=merge_lengths(first.lengths, other.lengths),
        images=merge_images(first.images, other.images),
        n_invalid_utf8=first.n_invalid_utf8 + other.n_invalid_utf8,
        share_numeric=round(numeric) / sum(n_values) if sum(n_values) else 0.0,
        shape=chief.shape if minor.kind == "empty" or chief.shape == minor.shape else None,
    )
    if minor.kind == "empty":
        return merged
    return _merge_values(merged, first, other)


def merge_numbers(first: Numbers | None, other: Numbers | None) -> Numbers | None:
    """The numbers of both."""
    if first is None or other is None:
        return first or other
    own = merge_moments(_moments(first), _moments(other))
    sketch = merge_sketches(first.sketch, other.sketch)
    return Numbers(
        own.n,
        own.mean,
        own.sd,
        own.min,
        own.max,
        own.n_zero,
        own.n_negative,
        first.n_nan + other.n_nan,
        first.n_pos_inf + other.n_pos_inf,
        first.n_neg_inf + other.n_neg_inf,
        quantiles(sketch, QUANTILES, own.min, own.max),
        sketch,
    )


def _moments(numbers: Numbers) -> Moments:
    return Moments(
        numbers.n, numbers.mean, numbers.sd, numbers.min, numbers.max, numbers.n_zero, numbers.n_negative
    )


def _merge_values(merged: ColumnProfile, first: ColumnProfile, other: ColumnProfile) -> ColumnProfile:
    hashes = merge_hashes(first.hashes, other.hashes)
    all_first, all_other = _all_values(first), _all_values(other)
    complete = all_first is not None and all_other is not None
    rows = Counter(dict(first.top) if all_first is None else all_first)
    rows.update(dict(other.top) if all_other is None else all_other)
    ordered = sorted(rows.items(), key=lambda item: (-item[1], _place(item[0])))
    few = complete and len(ordered) <= MOST_COUNTED and bool(first.counts or other.counts)
    n_distinct = len(ordered) if complete else estimate(np.array(hashes, np.uint64))
    exact = first.distinct_exact and other.distinct_exact
    return replace(
        merged,
        hashes=hashes,
        n_distinct=max(n_distinct, first.n_distinct, other.n_distinct),
        distinct_exact=exact and (complete or len(hashes) < MOST_HASHES),
        top=tuple(ordered[:MOST_TOP]),
        top_exact=complete,
        counts={text_of(value): n for value, n in ordered} if few else {},
    )


def _all_values(column: ColumnProfile) -> dict[object, int] | None:
    """Every value with its rows, None when the profile does not have all of them."""
    if column.top_exact and len(column.top) == column.n_distinct:
        return dict(column.top)
    if column.distinct_exact and len(column.counts) == column.n_distinct:
        # More values than `top` has, so they are no bools.
        if isinstance(column.top[0][0], int):
            return {int(text): n for text, n in column.counts.items()}
        return {text: n for text, n in column.counts.items()}  # noqa: C416  # keys of another type
    return None


def _place(value: object) -> tuple[float, str]:
    """Order among values of the same number of rows: that of the values."""
    return (value, "") if isinstance(value, int | float) else (0.0, str(value))
