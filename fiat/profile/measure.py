"""Rows in, a profile out: one pass, in bounded memory.

Rows are gathered into pieces of CHUNK_ROWS, whatever batches they come in, and each piece is measured column by column,
several columns side by side. The same rows in the same order give the same profile.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pyarrow as pa

from fiat.data.dataset import open_dataset
from fiat.data.read import read_files
from fiat.data.split import SPLITS
from fiat.data.stream import ReadOptions, SourceFile
from fiat.profile.columns import Column
from fiat.profile.model import DataProfile, Profile
from fiat.profile.parquet import parquet_batches
from fiat.profile.slices import SliceTallies, find_cuts

CHUNK_ROWS = 1 << 18
CHUNK_BYTES = 64 * 1024 * 1024


def profile_batches(batches: Iterable[pa.RecordBatch], *, split: str = "", slice: str = "") -> Profile:  # noqa: A002  # the word that profiles use
    """Measure rows in one pass.

    Args:
        batches: of one schema; each may have any number of rows.
        split: what the rows are, kept in the profile.
        slice: which part of the split they are, kept in the profile.
    """
    with _pool() as pool:
        return _measure(batches, pool, split=split, slice_name=slice)


def profile_dataset(folder: Path, *, slices: Sequence[tuple[str, ...]] = ()) -> DataProfile:
    """Measure a folder of the dataset format: each split that has rows, then the slices of each.

    Args:
        folder: the dataset.
        slices: columns, or several crossed, whose values part the rows; the 50 largest parts of each in each split.

    Raises:
        EnvironmentFault: it is no such folder, or damaged.
        SpecError: a slice names a column that the data don't have, or whose values can't part rows.
    """
    dataset = open_dataset(folder)
    wholes, parts = [], []
    with _pool() as pool:
        for name in SPLITS:
            table = dataset.split(name).table()
            if not table.num_rows:
                continue
            tallies = SliceTallies(table.schema, find_cuts(table, slices), name)
            batches = tallies.follow(table.to_batches(max_chunksize=CHUNK_ROWS), pool)
            wholes.append(_measure(batches, pool, split=name))
            parts += tallies.finish(pool)
    return DataProfile((*wholes, *parts), dataset.label, dataset.source_digest)


def profile_files(files: Sequence[SourceFile], options: ReadOptions) -> DataProfile:
    """Measure files as they are, without splits.

    Raises:
        SpecError: the files are not of their format or are damaged; see the readers of `fiat.data`.
        EnvironmentFault: a file can't be read.
    """
    reading = read_files(files, options)
    if options.format == "parquet":
        batches = parquet_batches(files, reading.schema.names)
    else:
        batches = (piece.batch for piece in reading.pieces())
    with _pool() as pool:
        return DataProfile((_measure(batches, pool, schema=reading.schema),))


def _measure(
    batches: Iterable[pa.RecordBatch],
    pool: ThreadPoolExecutor,
    *,
    schema: pa.Schema | None = None,
    split: str = "",
    slice_name: str = "",
) -> Profile:
    columns = [Column(field) for field in schema or ()]
    n_rows = 0
    work: list[Future[None]] = []
    for chunk in gather(batches):
        columns = columns or [Column(field) for field in chunk.schema]
        n_rows += chunk.num_rows
        # This chunk was read while the one before was measured.
        _wait(work)
        work = [
            pool.submit(column.add, values) for column, values in zip(columns, chunk.columns, strict=True)
        ]
    _wait(work)
    return Profile(n_rows, tuple(pool.map(Column.finish, columns)), split, slice_name)


def _wait(work: Sequence[Future[None]]) -> None:
    for part in work:
        part.result()


def gather(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of CHUNK_ROWS (fewer where rows are large); one without rows when there are none."""
    waiting: list[pa.RecordBatch] = []
    n_rows = n_bytes = 0
    any_given = False
    schema: pa.Schema | None = None
    for batch in batches:
        if waiting and batch.schema != schema:
            # Another file has the same values in another encoding.
            yield _joined(waiting)
            waiting, n_rows, n_bytes, any_given = [], 0, 0, True
        schema = batch.schema
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, CHUNK_ROWS - n_rows)
            waiting.append(part)
            start += part.num_rows
            n_rows += part.num_rows
            n_bytes += part.nbytes
            if n_rows == CHUNK_ROWS or n_bytes >= CHUNK_BYTES:
                yield _joined(waiting)
                waiting, n_rows, n_bytes, any_given = [], 0, 0, True
    if waiting:
        yield _joined(waiting)
    elif schema is not None and not any_given:
        yield pa.RecordBatch.from_pylist([], schema)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _pool() -> ThreadPoolExecutor:
    """As many threads as Polars has; `POLARS_MAX_THREADS` sets both."""
    return ThreadPoolExecutor(pl.thread_pool_size())
