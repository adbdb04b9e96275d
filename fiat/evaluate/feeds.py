"""Rows of a dataset as the inputs of an exported graph, in batches small enough for any model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fiat.errors import SpecError

MOST_BATCH_ROWS = 1024
MOST_BATCH_BYTES = 4 * 1024 * 1024

AnyArray = npt.NDArray[np.generic]


@dataclass(frozen=True)
class GraphInputs:
    """What a graph takes.

    Attributes:
        layout: `tensor` (one column of arrays), `matrix` (all features as one array of numbers) or `columns` (one input
            a feature).
        features: columns that it reads, in order.
        names: of the graph's inputs, in order.
        dtypes: NumPy name of each input's type, `string` for texts.
    """

    layout: Literal["tensor", "matrix", "columns"]
    features: tuple[str, ...]
    names: tuple[str, ...]
    dtypes: tuple[str, ...]


def read_feeds(table: Any, inputs: GraphInputs) -> Iterator[dict[str, AnyArray]]:
    """Feed all rows of an Arrow table in order.

    Yields:
        For each batch, input name to array: `(n, *shape)`, `(n, n_features)`, or `(n, 1)` a column. Missing numbers are
        NaN, missing texts empty.

    Raises:
        SpecError: a column is missing or has values that the input can't take.
    """
    missing = [name for name in inputs.features if name not in table.column_names]
    if missing:
        raise SpecError(
            f"the model reads the columns {', '.join(missing)}, which the data doesn't have",
            hint="the data changed since the model was made",
        )
    chosen = table.select(list(inputs.features))
    size = max(1, chosen.nbytes // max(1, chosen.num_rows))
    step = int(np.clip(MOST_BATCH_BYTES // size, 1, MOST_BATCH_ROWS))
    for start in range(0, chosen.num_rows, step):
        yield _feed(chosen.slice(start, step).combine_chunks(), inputs)


def _feed(part: Any, inputs: GraphInputs) -> dict[str, AnyArray]:
    if inputs.layout == "matrix":
        wanted = np.dtype(inputs.dtypes[0])
        columns = [_numbers(name, _chunk(part, name), wanted) for name in inputs.features]
        return {inputs.names[0]: np.stack(columns, axis=1)}
    if inputs.layout == "tensor":
        name = inputs.features[0]
        return {inputs.names[0]: _tensor(name, _chunk(part, name), np.dtype(inputs.dtypes[0]))}
    return {
        graph: _column(name, _chunk(part, name), dtype)[:, None]
        for graph, name, dtype in zip(inputs.names, inputs.features, inputs.dtypes, strict=True)
    }


def _chunk(part: Any, name: str) -> Any:
    column = part.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _column(name: str, column: Any, dtype: str) -> AnyArray:
    if dtype != "string":
        return _numbers(name, column, np.dtype(dtype))
    texts = column.cast(pa.string()) if not pa.types.is_string(column.type) else column
    return np.asarray(pc.fill_null(texts, "").to_numpy(zero_copy_only=False), dtype=object)


def _numbers(name: str, column: Any, wanted: np.dtype[Any]) -> AnyArray:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise SpecError(f"the model reads column {name} as numbers, but the data holds {kind} there")
    if column.null_count and wanted.kind != "f":
        raise SpecError(f"column {name} has missing values, but the model reads it as {wanted}")
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    return np.asarray(column.to_numpy(zero_copy_only=False).astype(wanted))


def _tensor(name: str, column: Any, wanted: np.dtype[Any]) -> AnyArray:
    if not isinstance(column, pa.FixedShapeTensorArray):
        raise SpecError(f"the model reads column {name} as arrays, but the data holds {column.type} there")
    array: AnyArray = column.to_numpy_ndarray()
    if array.dtype == wanted:
        return array
    if not np.can_cast(array.dtype, wanted, "safe"):
        raise SpecError(f"the model reads column {name} as {wanted}, but the data holds {array.dtype} there")
    return array.astype(wanted)


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
