"""Which rows of two sides belong together, by their hashes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Cells = Callable[[np.ndarray], np.ndarray]
"""Hashes of the values of chosen rows: row numbers `(n,)` to `(n, n_columns)`."""
MOST_PAIRED = 100_000
"""Rows a side that are looked at to find which of them are the same row, changed, where no key says so."""
_MOST_COMPARED = 2_000
_CHUNK = 64


@dataclass(frozen=True)
class Matched:
    """Rows that are not equal on both sides, as row numbers from 0.

    Attributes:
        removed: rows of the first side alone, ascending.
        added: rows of the second side alone, ascending.
        changed_before: rows of the first side that are other on the second, ascending.
        changed_after: what they became.
    """

    removed: np.ndarray
    added: np.ndarray
    changed_before: np.ndarray
    changed_after: np.ndarray


def repeated(keys: np.ndarray) -> np.ndarray:
    """Row numbers of the rows whose key is there before, ascending."""
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
    return np.sort(order[again])


def match_keys(
    keys_before: np.ndarray, rows_before: np.ndarray, keys_after: np.ndarray, rows_after: np.ndarray
) -> Matched:
    """Rows of one key belong together. All are uint64 `(n_rows,)`; no key is twice on a side."""
    _, ones, others = np.intersect1d(keys_before, keys_after, assume_unique=True, return_indices=True)
    changed = np.flatnonzero(rows_before[ones] != rows_after[others])
    changed = changed[np.argsort(ones[changed], kind="stable")]
    removed = np.setdiff1d(np.arange(len(keys_before)), ones, assume_unique=True)
    added = np.setdiff1d(np.arange(len(keys_after)), others, assume_unique=True)
    return Matched(removed, added, ones[changed], others[changed])


def match_rows(before: np.ndarray, after: np.ndarray, cells_before: Cells, cells_after: Cells) -> Matched:
    """Equal rows belong together, each once; of those left over, two that differ in few columns.

    Few is one of three or more columns, else less than half of them.

    Args:
        before: row hashes of the first side, `(n_rows,)`.
        after: of the second.
        cells_before: gives hashes of values of the first side; a row's add up to its hash.
        cells_after: of the second.
    """
    removed, added = _left_over(before, after), _left_over(after, before)
    if not (len(removed) and len(added)):
        return Matched(removed, added, removed[:0], added[:0])
    some, others = removed[:MOST_PAIRED], added[:MOST_PAIRED]
    ones_cells, others_cells = cells_before(some), cells_after(others)
    pairs = _pair_by_one(ones_cells, others_cells)
    pairs = np.concatenate([pairs, _pair_by_few(ones_cells, others_cells, pairs)])
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    return Matched(
        np.delete(removed, pairs[:, 0]), np.delete(added, pairs[:, 1]), some[pairs[:, 0]], others[pairs[:, 1]]
    )


def _left_over(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Rows that the other side has not, or not so many times: of equal ones the last."""
    order = np.argsort(rows, kind="stable")
    ordered, there = rows[order], np.sort(others)
    rank = np.arange(len(rows)) - np.searchsorted(ordered, ordered, "left")
    count = np.searchsorted(there, ordered, "right") - np.searchsorted(there, ordered, "left")
    return np.sort(order[rank >= count])


def _pair_by_one(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pairs of rows that differ in one column, `(n_pairs, 2)`: their sums without that column are equal."""
    if ones.shape[1] < 3:
        return np.zeros((0, 2), np.int64)
    sums, other_sums = ones.sum(axis=1, dtype=np.uint64), others.sum(axis=1, dtype=np.uint64)
    free, other_free = np.arange(len(ones)), np.arange(len(others))
    found = [np.zeros((0, 2), np.int64)]
    for column in range(ones.shape[1]):
        rest = sums[free] - ones[free, column]
        other_rest = other_sums[other_free] - others[other_free, column]
        _, mine, theirs = np.intersect1d(rest, other_rest, return_indices=True)
        found.append(np.column_stack([free[mine], other_free[theirs]]))
        free, other_free = np.delete(free, mine), np.delete(other_free, theirs)
    return np.concatenate(found)


def _pair_by_few(ones: np.ndarray, others: np.ndarray, paired: np.ndarray) -> np.ndarray:
    """Of what is left, the pairs that have most values in common first; `(n_pairs, 2)`."""
    free = np.setdiff1d(np.arange(len(ones)), paired[:, 0])[:_MOST_COMPARED]
    other_free = np.setdiff1d(np.arange(len(others)), paired[:, 1])[:_MOST_COMPARED]
    if not (len(free) and len(other_free)):
        return np.zeros((0, 2), np.int64)
    most = (ones.shape[1] - 1) // 2
    candidates = [np.zeros((0, 3), np.int64)]
    for start in range(0, len(free), _CHUNK):
        part = free[start : start + _CHUNK]
        differ = (ones[part][:, None, :] != others[other_free][None, :, :]).sum(axis=2)
        mine, theirs = np.nonzero(differ <= most)
        candidates.append(np.column_stack([differ[mine, theirs], part[mine], other_free[theirs]]))
    pairs, taken, other_taken = [], set(), set()
    for _, one, other in sorted(map(tuple, np.concatenate(candidates).tolist())):
        if one not in taken and other not in other_taken:
            taken.add(one)
            other_taken.add(other)
            pairs.append((one, other))
    return np.array(pairs, np.int64).reshape(-1, 2)
