"""Transform a dataset with a fitted graph: batch by batch, in the dataset format."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from fiat.data.columns import describe_columns
from fiat.data.dataset import open_dataset
from fiat.data.split import SPLITS
from fiat.errors import EnvironmentFault, SpecError
from fiat.transform.distinct import DistinctRunner
from fiat.transform.finish import FEATURES
from fiat.transform.model import Fitted, Output
from fiat.transform.runtime import BATCH_ROWS

MOST_VALUES = 1 << 26
"""Of all outputs of the rows that are computed together: 256 MiB as float32."""


def transform_dataset(source: Path, fitted: Fitted, target: Path, *, threads: int = 1) -> None:
    """Write the transformed dataset: same splits, same rows in the same order.

    The outputs of the graph become columns: `features` and other numbers as tensors `(width,)`, texts as texts. Columns
    that are no features are copied.

    Args:
        source: folder of a dataset with the raw columns.
        fitted: the transforms.
        target: a folder that does not exist yet; its parent does.
        threads: cores to use.

    Raises:
        SpecError: a column is missing, is called like an output, or holds what the graph refuses.
        EnvironmentFault: the dataset can't be read or written.
    """
    dataset = open_dataset(source)
    raw_schema = dataset.train.table().schema
    raw = {column.name for column in fitted.inputs}
    others = [field for field in raw_schema if field.name not in raw]
    names = [output.name for output in fitted.outputs]
    for field in others:
        if field.name in names:
            raise SpecError(
                f"column {field.name!r} is called like an output of `transform`",
                hint="rename the column, or list it under `drop`",
            )
    schema = pa.schema([*(_field(output) for output in fitted.outputs), *others])
    runner = DistinctRunner(fitted, threads=threads)
    try:
        target.mkdir()
        rows = {
            split: _write_split(
                dataset.split(split).table(), schema, fitted, runner, target / f"{split}.arrow"
            )
            for split in SPLITS
        }
        document = json.loads((source / "dataset.json").read_text("utf-8"))
        made = {
            **document,
            "features": names,
            "splits": {split: {"rows": rows[split]} for split in SPLITS},
            "columns": describe_columns(schema),
            "feature_names": feature_names(fitted),
        }
        (target / "dataset.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise EnvironmentFault(
            f"the transformed dataset can't be written: {error.strerror or error}", hint="is the disk full?"
        ) from error


def feature_names(fitted: Fitted) -> list[str]:
    """What the values of `features` are called, in order; empty without `features`."""
    return [name for output in fitted.outputs if output.name == FEATURES for name in output.names]


def rows_at_once(fitted: Fitted) -> int:
    """How many rows go through the graph together: BATCH_ROWS, or fewer where they become very wide."""
    width = sum(int(np.prod(output.shape, dtype=np.int64)) for output in fitted.outputs)
    return min(BATCH_ROWS, max(1, MOST_VALUES // max(1, width)))


def _write_split(
    table: pa.Table, schema: pa.Schema, fitted: Fitted, runner: DistinctRunner, path: Path
) -> int:
    copied = [field.name for field in schema][len(fitted.outputs) :]
    with pa.ipc.new_file(str(path), schema) as writer:
        for batch in table.to_batches(max_chunksize=rows_at_once(fitted)):
            found = runner.run(batch)
            arrays = [_column(found[output.name], output) for output in fitted.outputs]
            arrays += [batch.column(name) for name in copied]
            writer.write_batch(pa.record_batch(arrays, schema))
    return int(table.num_rows)


def _field(output: Output) -> pa.Field:
    if output.dtype == "string":
        return pa.field(output.name, pa.string())
    kind = pa.from_numpy_dtype(np.dtype(output.dtype))
    return pa.field(output.name, pa.fixed_shape_tensor(kind, output.shape))


def _column(array: np.ndarray | pa.Array, output: Output) -> pa.Array:
    if isinstance(array, pa.Array):
        return array
    if output.dtype == "string":
        return pa.array(array.reshape(-1), pa.string())
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    size = int(np.prod(output.shape))
    kind = pa.fixed_shape_tensor(flat.type, output.shape)
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(flat, size))
