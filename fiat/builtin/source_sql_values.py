"""Values of a database's rows as Arrow columns: what a driver gives, mapped with care.

A decimal becomes a double, as it does everywhere in Fiat; a time with a zone becomes UTC; a UUID and anything else with an
own way to be written becomes text; a JSON object becomes its text. Integers beyond 64 bits, and types that don't go
together in one column, are refused with their row.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from ipaddress import _BaseAddress, _BaseNetwork
from typing import Any
from uuid import UUID

import pyarrow as pa

from fiat.errors import SpecError

_WRITTEN = (UUID, _BaseAddress, _BaseNetwork)
_AS_THEY_ARE = {bool, int, float, str, bytes, dt.date}
_INT64 = 2**63


def row_batches(
    names: Sequence[str], partitions: Iterator[Sequence[Sequence[Any]]], key: str
) -> Iterator[pa.RecordBatch]:
    """Rows as batches, a batch for each part; the types of two batches may differ.

    Args:
        names: of the columns.
        partitions: some rows each.
        key: where they come from, for people.

    Raises:
        SpecError: a value that has no place in its column, with its row.
    """
    first = 1
    for rows in partitions:
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        arrays = [
            value_array(name, list(column), first, key) for name, column in zip(names, columns, strict=True)
        ]
        yield pa.record_batch(arrays, names=list(names))
        first += len(rows)


def value_array(name: str, values: Sequence[Any], first: int, key: str) -> pa.Array:
    """One column of some rows.

    Args:
        name: of the column.
        values: of its rows.
        first: number of the first row, from 1.
        key: where they come from, for people.

    Raises:
        SpecError: values of several types, or one that is too large.
    """
    types = set(map(type, values)) - {type(None)}
    if len(types) == 1 and types <= _AS_THEY_ARE and (types != {int} or all(map(_fits, values))):
        return pa.array(values)
    plain = [_plain(value) for value in values]
    kinds: dict[str, int] = {}
    for row, value in enumerate(plain, first):
        if value is not None:
            kinds.setdefault(_kind(value), row)
    if set(kinds) == {"integer", "number"}:
        plain = [None if value is None else float(value) for value in plain]
    elif set(kinds) == {"date", "time stamp"}:
        plain = [_midnight(value) for value in plain]
    elif len(kinds) > 1:
        (one, here), (other, there) = list(kinds.items())[:2]
        raise SpecError(
            f"{key}: column {name!r} holds {one} in row {here:,} and {other} in row {there:,}",
            hint="cast it in the query",
        )
    try:
        return pa.array(plain)
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        pa.ArrowNotImplementedError,
        OverflowError,
        TypeError,
    ) as error:
        row = next((row for row, value in enumerate(plain, first) if not _fits(value)), first)
        reason = str(error).splitlines()[0][:200]
        raise SpecError(
            f"{key}: column {name!r}, row {row:,} or after: {reason}", hint="cast it in the query"
        ) from error


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (memoryview, bytearray)):
        return bytes(value)
    if isinstance(value, dt.datetime):
        return value if value.tzinfo is None else value.astimezone(dt.UTC)
    if isinstance(value, (dt.date, dt.timedelta)):
        return value
    if isinstance(value, dt.time):
        return value.replace(tzinfo=None)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, (list, tuple)):
        items = [_plain(item) for item in value]
        return items if all(_is_scalar(item) for item in items) else json.dumps(items, default=str)
    if isinstance(value, Mapping):
        return json.dumps(value, default=str)
    return str(value) if isinstance(value, _WRITTEN) else _other(value)


def _other(value: Any) -> Any:
    """NumPy's values and the like say what they are; all else is written."""
    tolist = getattr(value, "tolist", None)
    return _plain(tolist()) if callable(tolist) else str(value)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, dt.datetime):
        return "time stamp" if value.tzinfo is None else "time stamp with a zone"
    names = {float: "number", str: "text", bytes: "bytes", dt.date: "date", dt.time: "time"}
    return names.get(type(value), {list: "list", dt.timedelta: "duration"}.get(type(value), "other"))


def _midnight(value: Any) -> Any:
    if value is None or isinstance(value, dt.datetime):
        return value
    return dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no zone


def _fits(value: Any) -> bool:
    return not isinstance(value, int) or -_INT64 <= value < _INT64
