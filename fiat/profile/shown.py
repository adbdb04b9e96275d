"""Counted values as a profile keeps them: as JSON has them, and as texts."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from fiat.profile.counting import ROWS, VALUE, Counting
from fiat.profile.model import MOST_COUNTED, MOST_TOP, ColumnProfile

Show = Callable[[Sequence[object]], list[object]]
"""Values as they were counted to values as JSON has them."""

_LONGEST = 1000
_COUNTED_KINDS = ("text", "bool", "int", "bytes", "list")


def describe_counts(profile: ColumnProfile, counting: Counting, show: Show) -> ColumnProfile:
    """The profile with its distinct and most frequent values."""
    table = counting.counted()
    exact = counting.is_exact
    top = table.head(MOST_TOP)
    if not exact:
        # A value seen once is as frequent as any other.
        top = top.filter(top[ROWS] > 1)
    counts: dict[str, int] = {}
    if exact and profile.kind in _COUNTED_KINDS and table.height <= MOST_COUNTED:
        counts = _counts(show(table[VALUE].to_list()), table[ROWS].to_list())
    shown = [_cut(value) for value in show(top[VALUE].to_list())]
    return replace(
        profile,
        n_distinct=counting.n_distinct(),
        distinct_exact=exact,
        top=tuple(zip(shown, top[ROWS].to_list(), strict=True)),
        top_exact=exact,
        counts=counts,
        hashes=tuple(counting.hashes().tolist()),
    )


def text_of(value: object) -> str:
    """A value as `ColumnProfile.counts` has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def show_plain(values: Sequence[object]) -> list[object]:
    """Numbers are what they are."""
    return list(values)


def show_truth(values: Sequence[object]) -> list[object]:
    """Bools, counted as 0 and 1."""
    return [bool(value) for value in values]


def show_bytes(values: Sequence[object]) -> list[object]:
    """Texts, with a replacement character for what is no UTF-8."""
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]


def show_time(kind: pa.DataType) -> Show:
    """Times of a type, counted by their number, in ISO 8601; times of a zone in UTC."""
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        unit = "D" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit
        suffix = "Z" if getattr(kind, "tz", None) else ""
        return lambda values: [
            str(moment).removesuffix("T00:00:00.000") + suffix
            for moment in np.array(values, np.int64).astype(f"datetime64[{unit}]")
        ]
    if pa.types.is_time(kind):
        physical = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        return lambda values: pa.array(values, physical).view(kind).cast(pa.string()).to_pylist()
    return show_plain


def _counts(values: Sequence[object], rows: Sequence[int]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for value, n in zip(values, rows, strict=True):
        text = text_of(value)
        if len(text) > _LONGEST:
            return {}
        # Values that are no UTF-8 may look the same.
        counted[text] += n
    return dict(counted)


def _cut(value: object) -> object:
    return value[:_LONGEST] + "…" if isinstance(value, str) and len(value) > _LONGEST else value
