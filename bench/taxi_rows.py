"""Many rows made from the taxi data: rows drawn again and again, with fresh noise, so that no two columns are easy.

`python taxi_rows.py SOURCE.csv TARGET.parquet ROWS` writes ROWS x 20 columns.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

ROWS_A_GROUP = 500_000
_NOISY = (
    "fare",
    "tips",
    "trip_miles",
    "pickup_latitude",
    "pickup_longitude",
    "dropoff_latitude",
    "dropoff_longitude",
)
_MOVED = ("trip_start_timestamp", "trip_seconds")


def taxi_batches(
    source: Path, n_rows: int, *, seed: int = 0, step: int = ROWS_A_GROUP
) -> Iterator[pa.RecordBatch]:
    """Rows drawn from the 15,002 of the CSV, `step` at a time: the 18 columns and two more, `trip_id` and `speed`.

    Amounts and places get noise of 5 % and 0.001 degrees, times of up to 15 minutes; missing values stay missing.
    """
    rows = pacsv.read_csv(source)
    draws = np.random.default_rng(seed)
    for start in range(0, n_rows, step):
        count = min(step, n_rows - start)
        part = rows.take(pa.array(draws.integers(0, rows.num_rows, count))).combine_chunks()
        for name in _NOISY:
            wide = 0.001 if name.endswith("tude") else 0.05
            part = _changed(part, name, _noise(part, name, draws.normal(0, wide, count)))
        for name in _MOVED:
            part = _changed(part, name, _moved(part, name, draws.integers(0, 900, count)))
        speed = (
            part["trip_miles"].to_numpy() * 3600 / np.maximum(part["trip_seconds"].fill_null(0).to_numpy(), 1)
        )
        part = part.append_column("trip_id", pa.array(np.arange(start, start + count)))
        part = part.append_column("speed", pa.array(speed))
        yield part.to_batches()[0]


def write_parquet(source: Path, target: Path, n_rows: int) -> None:
    """The rows as one Parquet file with row groups of ROWS_A_GROUP."""
    batches = taxi_batches(source, n_rows)
    first = next(batches)
    with pq.ParquetWriter(target, first.schema) as writer:
        writer.write_batch(first)
        for batch in batches:
            writer.write_batch(batch)


def _noise(part: pa.Table, name: str, noise: np.ndarray) -> pa.Array:
    column = part[name].combine_chunks()
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    changed = (
        values + noise
        if name.endswith("tude")
        else np.where(values == 0, 0, np.round(values * (1 + noise), 4))
    )
    return pa.array(changed, from_pandas=True)


def _moved(part: pa.Table, name: str, moved: np.ndarray) -> pa.Array:
    column = part[name].combine_chunks()
    values = column.fill_null(0).to_numpy() + moved
    return pa.array(values, mask=column.is_null().to_numpy(zero_copy_only=False))


def _changed(part: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return part.set_column(part.schema.get_field_index(name), name, values)


if __name__ == "__main__":
    write_parquet(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
