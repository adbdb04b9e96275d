"""Some rows of a table by number, chunk by chunk: Arrow's own take of a chunked column first joins all chunks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from fiat.data.split import SPLITS
from fiat.errors import EnvironmentFault


def pick_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Rows in the order asked for.

    Args:
        table: of any number of chunks, may be mapped from disk.
        rows: row numbers from 0, each below the table's; may repeat.

    Returns:
        A table of one chunk a column.
    """
    order = np.argsort(rows, kind="stable")
    ordered = np.asarray(rows, np.int64)[order]
    parts, start = [], 0
    for batch in table.to_batches():
        low, high = np.searchsorted(ordered, [start, start + batch.num_rows])
        if high > low:
            parts.append(batch.take(pa.array(ordered[low:high] - start)))
        start += batch.num_rows
    joined = pa.Table.from_batches(parts, table.schema).combine_chunks()
    inverse = np.empty_like(order)
    inverse[order] = np.arange(order.size)
    return joined.take(pa.array(inverse)) if joined.num_rows else joined


def is_among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which values are among ascending ones; bool `(n_values,)`.

    NumPy's own sorts or hashes both, in five times the memory, and its hashing is slow for numbers that are no chance ones.
    """
    if not len(known):
        return np.zeros(len(values), bool)
    return np.asarray(known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values)


def distinct(values: np.ndarray) -> np.ndarray:
    """Different values, ascending; by sorting, see `is_among`."""
    ordered = np.sort(values)
    return np.asarray(ordered[np.append(True, ordered[1:] != ordered[:-1])]) if len(ordered) else ordered


def split_tables(folder: Path, columns: Sequence[str] | None = None) -> dict[str, pa.Table]:
    """The splits of a dataset that have rows, mapped from disk, not loaded.

    Args:
        folder: of the dataset format.
        columns: these only, where the data have them; None for all.

    Raises:
        EnvironmentFault: a split can't be read.
    """
    tables = {}
    for split in SPLITS:
        try:
            table = pa.ipc.open_file(pa.memory_map(str(folder / f"{split}.arrow"))).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise EnvironmentFault(f"{split}.arrow of the dataset can't be read: {error}") from error
        if table.num_rows:
            kept = [name for name in columns if name in table.schema.names] if columns is not None else None
            tables[split] = table if kept is None else table.select(kept)
    return tables


def pairs(splits: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each two of the splits, the earlier first."""
    for later in range(1, len(splits)):
        for earlier in range(later):
            yield splits[earlier], splits[later]
