"""TensorFlow Data Validation on the same rows, by an interpreter that has it: `python statistics_tfdv.py WHAT FILE`.

WHAT is `csv` (its own reader) or `memory` (an Arrow file, read before the clock starts; values in lists, as it wants).
Prints `seconds` and `rows` as JSON.
"""

import json
import sys
import time

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl


def main() -> None:
    """Do what the arguments say."""
    what, path = sys.argv[1:3]
    if what == "csv":
        started = time.perf_counter()
        found = tfdv.generate_statistics_from_csv(path)
        rows = found.datasets[0].num_examples
    else:
        with pa.memory_map(path) as file:
            table = pa.ipc.open_file(file).read_all()
        batches = [
            pa.RecordBatch.from_arrays([_as_lists(column) for column in batch.columns], batch.schema.names)
            for batch in table.to_batches()
        ]
        started = time.perf_counter()
        options = tfdv.StatsOptions()
        for batch in batches:
            stats_impl.generate_statistics_in_memory(batch, options)
        rows = table.num_rows
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))


def _as_lists(column: pa.Array) -> pa.Array:
    """A list of one value a row, or none where it is missing."""
    present = pa.compute.is_valid(column).to_numpy(zero_copy_only=False)
    ends = present.cumsum()
    offsets = pa.array([0, *ends.tolist()], pa.int32())
    return pa.ListArray.from_arrays(offsets, column.drop_null())


if __name__ == "__main__":
    main()
