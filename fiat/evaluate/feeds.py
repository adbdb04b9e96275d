"""Rows of a dataset as the inputs of an exported graph, in batches small enough for any model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fiat.data.layout import as_inputs, layout_of
from fiat.data.raw import RAW, RawColumn, raw_feed
from fiat.errors import SpecError

MOST_BATCH_ROWS = 1024
MOST_BATCH_BYTES = 4 * 1024 * 1024

AnyArray = npt.NDArray[np.generic]


@dataclass(frozen=True)
class GraphInputs:
    """What a graph takes.

    Attributes:
        layout: `tensor`, `matrix` or `columns`, see `fiat.data.layout`; `raw`, see `fiat.data.raw`.
        features: columns that it reads, in order.
        names: of the graph's inputs, in order.
        dtypes: NumPy name of each input's type, `string` for texts.
    """

    layout: str
    features: tuple[str, ...]
    names: tuple[str, ...]
    dtypes: tuple[str, ...]


def read_feeds(table: pa.Table, inputs: GraphInputs) -> Iterator[dict[str, AnyArray]]:
    """Feed all rows of an Arrow table in order.

    Yields:
        For each batch of at most MOST_BATCH_ROWS rows and about MOST_BATCH_BYTES, input name to array: `(n, *shape)`,
        `(n, n_features)`, or `(n, 1)` a column. Missing numbers are NaN, missing texts empty.

    Raises:
        SpecError: a column is missing, or has values that the input can't take.
    """
    missing = [name for name in inputs.features if name not in table.column_names]
    if missing:
        raise SpecError(
            f"the model reads the columns {', '.join(missing)}, which the data doesn't have",
            hint="the data changed since the model was made",
        )
    layout = RAW if inputs.layout == RAW else layout_of(table.schema, inputs.features)
    if layout != inputs.layout:
        raise SpecError(
            f"the model takes its columns as {inputs.layout}, but this data's are {layout}",
            hint="the types of the columns changed since the model was made",
        )
    chosen = table.select(list(inputs.features))
    row_bytes = max(1, chosen.nbytes // max(1, chosen.num_rows))
    step = int(np.clip(MOST_BATCH_BYTES // row_bytes, 1, MOST_BATCH_ROWS))
    for start in range(0, chosen.num_rows, step):
        rows = chosen.slice(start, step)
        arrays = raw_feed(rows, _raw(inputs)) if layout == RAW else as_inputs(rows, inputs.features)
        yield _named(arrays, inputs)


def _raw(inputs: GraphInputs) -> list[RawColumn]:
    """The raw columns of a graph whose inputs are called like them."""
    kinds = {"float64": "number", "string": "text"}
    return [
        RawColumn(name, kinds.get(dtype, "tensor"), dtype)  # type: ignore[arg-type]  # one of three words
        for name, dtype in zip(inputs.names, inputs.dtypes, strict=True)
    ]


def _named(arrays: Mapping[str, AnyArray], inputs: GraphInputs) -> dict[str, AnyArray]:
    """Under the graph's own names (an ONNX file of the user's may call its only input `X`) and of its types."""
    if len(arrays) != len(inputs.names):
        raise SpecError(
            f"the model has the inputs {', '.join(inputs.names)}, the data gives {', '.join(arrays)}",
            hint="choose the columns in data.<name>.features",
        )
    by_name = set(arrays) == set(inputs.names)
    order = inputs.names if by_name else tuple(arrays)
    return {
        graph: _typed(graph, arrays[ours], dtype)
        for graph, ours, dtype in zip(inputs.names, order, inputs.dtypes, strict=True)
    }


def _typed(name: str, array: AnyArray, dtype: str) -> AnyArray:
    if dtype == "string" or array.dtype == object:
        if dtype == "string" and array.dtype == object:
            return array
    elif array.dtype == np.dtype(dtype):
        return array
    elif np.can_cast(array.dtype, np.dtype(dtype), "safe") or _is_whole(array, dtype):
        return array.astype(dtype)
    held = "texts" if array.dtype == object else str(array.dtype)
    raise SpecError(f"input {name} of the model takes {dtype}, but the data holds {held}")


def _is_whole(array: AnyArray, dtype: str) -> bool:
    """Whether converting loses nothing: integers that travel as floats, floats that fit the smaller type's range."""
    kind = np.dtype(dtype)
    if array.dtype.kind != "f":
        return False
    if kind.kind == "f":
        return True
    return kind.kind in "iu" and bool((np.isfinite(array) & (array == np.floor(array))).all())


def stack_outputs(batches: Sequence[dict[str, AnyArray]]) -> dict[str, AnyArray]:
    """Outputs of all batches one behind another: name to array `(n_rows, ...)`.

    Raises:
        SpecError: batches have outputs of different shapes.
    """
    if not batches:
        return {}
    try:
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    except ValueError as error:
        raise SpecError(
            f"the model's outputs change their shape from batch to batch: {error}",
            hint="only the first axis may depend on the number of rows",
        ) from error


def column_array(column: Any) -> AnyArray:
    """An output column of any kind as an array `(n_rows, ...)`."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.FixedShapeTensorArray):
        tensor: AnyArray = whole.to_numpy_ndarray()
        return tensor
    if pa.types.is_list(whole.type):
        return np.array(whole.to_pylist(), dtype=object)
    return np.asarray(whole.to_numpy(zero_copy_only=False))
