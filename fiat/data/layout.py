"""The columns of a dataset as a model sees them: layout, and Arrow columns as NumPy arrays."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.stream import is_tensor

TENSOR, MATRIX, COLUMNS = "tensor", "matrix", "columns"


def layout_of(schema: pa.Schema, features: tuple[str, ...]) -> str:
    """How a model takes these features.

    Returns:
        `tensor`: the only feature is a tensor column; one input of its dtype, `(n, *shape)`.
        `matrix`: all features are numbers or bools; one float32 input `features`, `(n, n_features)`.
        `columns`: anything else; one input a column, `(n, 1)`, numbers float32 and the rest texts.
    """
    types = [schema.field(name).type for name in features]
    if len(types) == 1 and is_tensor(types[0]):
        return TENSOR
    return MATRIX if types and all(is_number(kind) for kind in types) else COLUMNS


def is_number(kind: pa.DataType) -> bool:
    """Whether a column holds a number or a bool a row."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def is_feature(kind: pa.DataType) -> bool:
    """Whether a column of this type can be a feature: numbers, bools, texts, times or tensors."""
    return bool(is_number(kind) or is_tensor(kind) or pa.types.is_string(kind) or pa.types.is_temporal(kind))


def as_array(values: pa.ChunkedArray) -> np.ndarray:
    """A column as a writable array of its own `(n_rows,)` or `(n_rows, *shape)`.

    Integers and bools keep their type unless values are missing (then float64 with NaN); texts are objects, None where
    missing; times are datetime64.
    """
    if is_tensor(values.type):
        shape, item = tuple(values.type.shape), values.type.value_type.to_pandas_dtype()
        out = np.empty((len(values), *shape), item)
        start = 0
        for chunk in values.chunks:
            out[start : start + len(chunk)] = chunk.to_numpy_ndarray()
            start += len(chunk)
        return out
    if pa.types.is_boolean(values.type) and values.null_count:
        values = pc.cast(values, pa.float64())
    return np.array(values.to_numpy())


def as_matrix(table: pa.Table, names: tuple[str, ...]) -> np.ndarray:
    """Columns of numbers as one float32 array `(n_rows, n_features)`; missing values are NaN."""
    return side_by_side((as_floats(table.column(name)) for name in names), (table.num_rows, len(names)))


def side_by_side(columns: Iterable[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Columns `(n_rows,)`, made one at a time, as one float32 array of this shape `(n_rows, n_columns)`."""
    out = np.empty(shape, np.float32)
    for index, column in enumerate(columns):
        out[:, index] = column
    return out


def as_inputs(table: pa.Table, features: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays that a model is fed with, by input name; see `layout_of`. A missing text is the empty text."""
    layout = layout_of(table.schema, features)
    if layout == TENSOR:
        return {features[0]: as_array(table.column(features[0]))}
    if layout == MATRIX:
        return {"features": as_matrix(table, features)}
    inputs = {}
    for name in features:
        values = table.column(name)
        if is_tensor(values.type):
            inputs[name] = as_array(values)
        elif is_number(values.type):
            inputs[name] = as_floats(values).reshape(-1, 1)
        else:
            texts = pc.fill_null(pc.cast(values, pa.string()), "")
            inputs[name] = np.array(texts.to_numpy(), object).reshape(-1, 1)
    return inputs


def as_floats(values: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers or bools as float32 `(n_rows,)`; missing values are NaN."""
    cast = pc.cast(values, pa.float64()) if pa.types.is_boolean(values.type) else values
    return np.array(cast.to_numpy(), np.float32)
