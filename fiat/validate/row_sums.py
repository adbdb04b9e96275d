"""Hashes of rows that are streamed: one for the whole row, one for its key, and, of chosen rows, one a value."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fiat.data.row_hash import hash_values

Batches = Iterator[tuple[str, pa.RecordBatch]]


@dataclass(frozen=True)
class Place:
    """Where a row stands: its split (empty for none) and 1-based number in it."""

    split: str
    row: int


@dataclass(frozen=True)
class Sums:
    """Rows of one side by their hashes.

    Attributes:
        rows: hash of each row, uint64 `(n_rows,)`.
        keys: hash of each row's key, `(n_rows,)`; empty without a key.
        splits: each split with its number of rows, in their order.
    """

    rows: np.ndarray
    keys: np.ndarray
    splits: tuple[tuple[str, int], ...]

    def place(self, row: int) -> Place:
        """Where a row (from 0 over all splits) stands."""
        for split, n_rows in self.splits:
            if row < n_rows:
                return Place(split, row + 1)
            row -= n_rows
        raise IndexError("there is no such row")


def sum_rows(batches: Batches, names: Sequence[str], key: Sequence[str]) -> Sums:
    """Hash every row over the named columns, and its key.

    Args:
        batches: split and rows; a split's batches follow each other.
        names: columns to compare.
        key: columns that name a row.
    """
    rows, keys = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    splits: dict[str, int] = {}
    for split, batch in batches:
        hashes = {name: hash_values(batch.column(name)) * _odd(name) for name in names}
        rows.append(_sum([hashes[name] for name in names], batch.num_rows))
        if key:
            keys.append(_sum([hashes[name] for name in key], batch.num_rows))
        splits[split] = splits.get(split, 0) + batch.num_rows
    return Sums(np.concatenate(rows), np.concatenate(keys), tuple(splits.items()))


def hash_cells(batches: Batches, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """Hash of each value of chosen rows, scaled so that a row's add up to its sum; uint64 `(n_chosen, n_columns)`.

    Args:
        batches: as given to `sum_rows`.
        names: as given to `sum_rows`.
        rows: row numbers from 0, in any order.
    """
    out = np.empty((len(rows), len(names)), np.uint64)
    for places, chosen in pick_streamed(batches, rows):
        for index, name in enumerate(names):
            out[places, index] = hash_values(chosen.column(name)) * _odd(name)
    return out


def pick_streamed(batches: Batches, rows: np.ndarray) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """Chosen rows of a stream: positions in `rows`, and these rows. Stops behind the last one."""
    order = np.argsort(rows, kind="stable")
    ordered = np.asarray(rows, np.int64)[order]
    start = 0
    for _, batch in batches:
        low, high = np.searchsorted(ordered, [start, start + batch.num_rows])
        if high > low:
            yield order[low:high], batch.take(pa.array(ordered[low:high] - start))
        start += batch.num_rows
        if high == len(ordered):
            return


def _sum(hashes: Sequence[np.ndarray], n_rows: int) -> np.ndarray:
    """Overflow is meant."""
    return np.asarray(sum(hashes, np.zeros(n_rows, np.uint64)), np.uint64)


def _odd(name: str) -> np.uint64:
    """A factor of its own for each column, so that a value counts where it stands."""
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") | 1)
