"""Columns of the log as the reference has them: names of the data, missing values missing, whole numbers whole."""

from collections.abc import Mapping
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.profile.columns import is_text
from fiat.profile.missing import NUMBERS
from fiat.profile.model import ColumnProfile

FEATURE = b"fiat_feature"
"""Field metadata: the name of a feature in the data."""
_LEAST_STEPS = 20.0
"""Different numbers that a type must have within a standard deviation."""


def feature_rows(rows: pa.Table) -> pa.Table:
    """Features, `prediction` and `score` of rows of the log, features by the names that the data have."""
    chosen = _features(rows)
    for name in ("prediction", "score"):
        if name in rows.schema.names:
            # A feature of that name stays: it was in the data.
            chosen.setdefault(name, rows.column(name))
    return pa.table(chosen)


def sent_rows(rows: pa.Table) -> pa.Table:
    """What clients sent alone, by the names that the data have."""
    return pa.table(_features(rows))


def _features(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    chosen: dict[str, pa.ChunkedArray] = {}
    for place, field in enumerate(rows.schema):
        name = (field.metadata or {}).get(FEATURE)
        if name is not None:
            chosen[name.decode("utf-8", "replace")] = rows.column(place)
    return chosen


def as_sent(rows: pa.Table, reference: Mapping[str, ColumnProfile]) -> tuple[pa.Table, tuple[str, ...]]:
    """The columns that the reference has, with values as it has them, and sentences about those that can't be compared.

    Clients send numbers as floats with NaN where one is missing, texts that are empty, times as ISO 8601.
    """
    chosen: dict[str, pa.ChunkedArray] = {}
    notes = []
    for name, kind in zip(rows.schema.names, rows.schema.types, strict=True):
        if name not in reference or pa.types.is_null(kind):
            continue
        if _is_too_coarse(kind, reference[name]):
            notes.append(f"{name} is sent as {kind}, which can't tell its numbers apart")
        else:
            chosen[name] = _as_kind(rows.column(name), reference[name])
    return pa.table(chosen), tuple(notes)


def _as_kind(values: pa.ChunkedArray, column: ColumnProfile) -> pa.ChunkedArray:
    if column.kind in NUMBERS and pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        return _whole(values) if column.kind != "float" and _holds_whole(values, column) else values
    if column.kind in ("text", "time") and is_text(values.type):
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
        return _times(values) if column.kind == "time" else values
    return values


def _is_too_coarse(kind: pa.DataType, column: ColumnProfile) -> bool:
    """Whether numbers as large as the column's are rounded by more than a small part of how far they vary."""
    numbers = column.numbers
    if not pa.types.is_floating(kind) or numbers is None or not numbers.sd > 0:
        return False
    largest = max(abs(numbers.min), abs(numbers.max))
    return float(np.finfo(kind.to_pandas_dtype()).eps) * largest > numbers.sd / _LEAST_STEPS


def _holds_whole(values: pa.ChunkedArray, column: ColumnProfile) -> bool:
    """Whether whole numbers as large as the column's are what they were after they were sent as these floats."""
    numbers = column.numbers
    largest = max(abs(numbers.min), abs(numbers.max)) if numbers is not None and numbers.n else 0.0
    return largest <= 2 ** (53 if pa.types.is_float64(values.type) else 24)


def _whole(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """As whole numbers where all of them are."""
    with suppress(pa.ArrowInvalid):
        return pc.cast(values, pa.int64())
    return values


def _times(values: pa.ChunkedArray) -> pa.ChunkedArray:
    with suppress(pa.ArrowInvalid):
        return pc.cast(values, pa.timestamp("us", "UTC"))
    with suppress(pa.ArrowInvalid):
        return pc.cast(values, pa.timestamp("us"))
    return values
