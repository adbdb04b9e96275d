"""Columns of a table as inputs of the transform graph."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.layout import as_array, is_number
from fiat.data.stream import is_tensor
from fiat.errors import SpecError
from fiat.transform.model import RawColumn


def raw_columns(schema: pa.Schema, features: Sequence[str]) -> tuple[RawColumn, ...]:
    """How the served graph takes these columns.

    Args:
        schema: of the dataset.
        features: columns that it takes, in order.

    Raises:
        SpecError: a column is missing, or of a type that no graph takes.
    """
    return tuple(_raw_column(name, _field(schema, name).type) for name in features)


def raw_feed(table: pa.Table | pa.RecordBatch, columns: Sequence[RawColumn]) -> dict[str, np.ndarray]:
    """Input name to array for all rows of a table; its other columns are ignored.

    Returns:
        Numbers float64 `(n, 1)`, NaN where missing; texts objects `(n, 1)`, empty where missing; tensors
        `(n, *shape)`.

    Raises:
        SpecError: a column is missing or of another kind.
    """
    return {column.name: _array(table, column) for column in columns}


def as_texts(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Texts or times as texts, the empty text where missing; times as ISO 8601, in UTC when they have a zone."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        mark = "%Y-%m-%dT%H:%M:%S" + ("Z" if kind.tz else "")
        values = pc.strftime(pc.cast(values, pa.timestamp(kind.unit, "UTC" if kind.tz else None)), mark)
    return pc.fill_null(pc.cast(values, pa.string()), "")


def as_floats(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Numbers or bools as float64 `(n,)`, NaN where missing."""
    cast = values if values.type == pa.float64() else pc.cast(values, pa.float64(), safe=False)
    found = cast.to_numpy() if isinstance(cast, pa.ChunkedArray) else cast.to_numpy(zero_copy_only=False)
    return np.asarray(found, np.float64)


def column_of(table: pa.Table | pa.RecordBatch, column: RawColumn) -> pa.Array | pa.ChunkedArray:
    """The column of a table, of the kind that the graph takes.

    Raises:
        SpecError: it is missing or of another kind.
    """
    found = _raw_column(column.name, _field(table.schema, column.name).type)
    if found.kind != column.kind or (found.kind == "tensor" and found != column):
        raise SpecError(
            f"column {column.name!r} holds {_describe(found)}, but {_describe(column)} when the transforms were fitted",
            hint="the data changed since; fit again",
        )
    return table.column(column.name)


def _array(table: pa.Table | pa.RecordBatch, column: RawColumn) -> np.ndarray:
    values = column_of(table, column)
    if column.kind == "number":
        return as_floats(values).reshape(-1, 1)
    if column.kind == "text":
        texts = as_texts(values)
        return np.array(texts.to_pylist() or [], object).reshape(-1, 1)
    return as_array(values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values]))


def _field(schema: pa.Schema, name: str) -> pa.Field:
    if name not in schema.names:
        raise SpecError(f"the data has no column {name!r}", hint=f"it has {', '.join(schema.names[:20])}")
    return schema.field(name)


def _raw_column(name: str, kind: pa.DataType) -> RawColumn:
    if is_tensor(kind):
        return RawColumn(name, "tensor", kind.value_type.to_pandas_dtype().__name__, tuple(kind.shape))
    if is_number(kind) or pa.types.is_decimal(kind):
        return RawColumn(name, "number")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_temporal(kind):
        return RawColumn(name, "text", "string")
    if pa.types.is_dictionary(kind):
        return _raw_column(name, kind.value_type)
    raise SpecError(f"column {name!r} holds {kind}, which no graph takes", hint="list it under `drop`")


def _describe(column: RawColumn) -> str:
    if column.kind != "tensor":
        return {"number": "numbers", "text": "texts"}[column.kind]
    return f"tensors of {column.dtype} {column.shape}"
