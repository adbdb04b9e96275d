"""The columns of a dataset as a graph with transforms takes them: one input a column, nothing done to them yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.layout import as_array, is_number
from fiat.data.stream import is_tensor
from fiat.errors import SpecError

RAW = "raw"
"""The layout of such a graph, beside those of `fiat.data.layout`."""


@dataclass(frozen=True)
class RawColumn:
    """A column as the served graph takes it.

    Attributes:
        name: of the column and of the graph's input.
        kind: `number` (float64 `(n, 1)`, NaN where missing), `text` (string `(n, 1)`, empty where missing; times as
            ISO 8601) or `tensor` (`dtype` `(n, *shape)`).
        dtype: NumPy name of the type, `string` for texts.
        shape: of a tensor, without the row axis.
    """

    name: str
    kind: Literal["number", "text", "tensor"]
    dtype: str = "float64"
    shape: tuple[int, ...] = ()


def raw_columns(schema: pa.Schema, features: Sequence[str]) -> tuple[RawColumn, ...]:
    """How a graph takes these columns.

    Raises:
        SpecError: a column is missing, or holds what no graph can take.
    """
    missing = [name for name in features if name not in schema.names]
    if missing:
        raise SpecError(
            f"the data doesn't have {', '.join(missing)}, which the model reads",
            hint="the data changed since the transforms were fitted",
        )
    return tuple(_raw_column(name, schema.field(name).type) for name in features)


def raw_feed(table: pa.Table | pa.RecordBatch, columns: Sequence[RawColumn]) -> dict[str, np.ndarray]:
    """Rows of a table as the graph's inputs, by column name; what is no column of the graph is left out.

    Raises:
        SpecError: a column is missing, or of another kind than the graph takes.
    """
    return {column.name: _fed(column_of(table, column), column) for column in columns}


def column_of(table: pa.Table | pa.RecordBatch, column: RawColumn) -> Any:
    """The column of a table, once it is known to be of the kind that the graph takes.

    Raises:
        SpecError: it is missing or of another kind.
    """
    if column.name not in table.schema.names:
        raise SpecError(f"the data doesn't have {column.name}, which the model reads")
    values = table.column(column.name)
    held = _raw_column(column.name, values.type)
    if held.kind != column.kind or column.shape not in ((), held.shape):
        raise SpecError(
            f"the model takes {column.name} as {_words(column)}, but the data holds {values.type}",
            hint="the type of the column changed since the transforms were fitted",
        )
    return values


def as_texts(values: Any) -> Any:
    """A column of texts or times as texts, the empty text where missing; times as ISO 8601, in UTC with a zone."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        mark = "%Y-%m-%dT%H:%M:%S" + ("Z" if kind.tz else "")
        values = pc.strftime(pc.cast(values, pa.timestamp(kind.unit, "UTC" if kind.tz else None)), mark)
    if values.type != pa.string():
        values = pc.cast(values, pa.string())
    return pc.fill_null(values, "") if values.null_count else values


def as_floats(values: Any) -> np.ndarray:
    """A column of numbers, bools or durations as float64 `(n,)`, NaN where missing; it may be a view of `values`."""
    if pa.types.is_duration(values.type):
        values = pc.cast(values, pa.int64())
    if values.type != pa.float64():
        values = pc.cast(values, pa.float64(), safe=False)
    found = (
        values.to_numpy() if isinstance(values, pa.ChunkedArray) else values.to_numpy(zero_copy_only=False)
    )
    return np.asarray(found, np.float64)


def _raw_column(name: str, kind: pa.DataType) -> RawColumn:
    if is_tensor(kind):
        dtype = np.dtype(kind.value_type.to_pandas_dtype()).name
        return RawColumn(name, "tensor", dtype, tuple(kind.shape))
    if is_number(kind) or pa.types.is_decimal(kind) or pa.types.is_duration(kind):
        return RawColumn(name, "number")
    if pa.types.is_dictionary(kind):
        return _raw_column(name, kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_temporal(kind):
        return RawColumn(name, "text", "string")
    raise SpecError(f"column {name!r} holds {kind}, which no graph can take", hint="list it under `drop`")


def _words(column: RawColumn) -> str:
    if column.kind == "tensor":
        return f"tensors of {column.dtype} {column.shape}"
    return {"number": "numbers", "text": "texts"}[column.kind]


def _fed(values: Any, column: RawColumn) -> np.ndarray:
    if column.kind == "tensor":
        return as_array(values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values]))
    if column.kind == "number":
        return np.array(as_floats(values)).reshape(-1, 1)
    texts = as_texts(values)
    found = texts.to_numpy() if isinstance(texts, pa.ChunkedArray) else texts.to_numpy(zero_copy_only=False)
    return np.array(found, object).reshape(-1, 1)
