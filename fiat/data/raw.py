"""The columns of a dataset as a graph with transforms takes them: one input a column, nothing done to them yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

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
        dtype: NumPy name of a tensor's type.
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
    return tuple(_raw_column(schema.field(name)) for name in features)


def raw_feed(table: pa.Table, columns: Sequence[RawColumn]) -> dict[str, np.ndarray]:
    """Rows of a table as the graph's inputs, by column name; what is no column of the graph is left out.

    Raises:
        SpecError: a column is missing, or of another kind than the graph takes.
    """
    feed = {}
    for column in columns:
        if column.name not in table.column_names:
            raise SpecError(f"the data doesn't have {column.name}, which the model reads")
        values = table.column(column.name)
        if _kind(values.type) != column.kind:
            raise SpecError(
                f"the model takes {column.name} as a {column.kind}, but the data holds {values.type}",
                hint="the type of the column changed since the transforms were fitted",
            )
        feed[column.name] = _fed(values, column)
    return feed


def _raw_column(field: pa.Field) -> RawColumn:
    kind = _kind(field.type)
    if kind != "tensor":
        return RawColumn(field.name, kind)
    dtype = np.dtype(field.type.value_type.to_pandas_dtype()).name
    return RawColumn(field.name, kind, dtype, tuple(field.type.shape))


def _kind(kind: pa.DataType) -> Literal["number", "text", "tensor"]:
    if is_tensor(kind):
        return "tensor"
    return "number" if is_number(kind) else "text"


def _fed(values: pa.ChunkedArray, column: RawColumn) -> np.ndarray:
    if column.kind == "tensor":
        return as_array(values)
    if column.kind == "number":
        return np.array(pc.cast(values, pa.float64(), safe=False).to_numpy()).reshape(-1, 1)
    texts = pc.fill_null(pc.cast(values, pa.string()), "")
    return np.array(texts.to_numpy(), object).reshape(-1, 1)
