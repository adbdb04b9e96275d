"""How many different values there are, without keeping them: the smallest of their hashes.

Hashes spread evenly over 0..2^64, so where the k-th smallest lies says how many there are. Two sets of smallest
hashes merge into that of both, in any order; below k values it is a count.

Source: Bar-Yossef et al., "Counting distinct elements in a data stream" (2002); the estimate (k - 1) / h_k, whose
relative standard error is 1 / sqrt(k - 2).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

MOST_HASHES = 2048
"""Smallest hashes kept: an error of 2.2 % (one standard deviation)."""
Hashes = npt.NDArray[np.uint64]
_SEED = 1


def hash_series(values: pl.Series) -> Hashes:
    """Hash of each value, `(n,)`; the same in every process with the same Polars."""
    return values.hash(_SEED).to_numpy()


def smallest(hashes: Hashes, kept: Hashes | None = None) -> Hashes:
    """The MOST_HASHES smallest of new hashes and of those kept, ascending, each once."""
    if kept is not None:
        if len(kept) == MOST_HASHES:
            hashes = hashes[hashes < kept[-1]]
        hashes = np.concatenate([kept, hashes])
    if len(hashes) > 16 * MOST_HASHES:
        # Sorting a part is enough unless it is full of repeats.
        part = np.unique(np.partition(hashes, 8 * MOST_HASHES)[: 8 * MOST_HASHES])
        if len(part) >= MOST_HASHES:
            return part[:MOST_HASHES]
    return np.unique(hashes)[:MOST_HASHES]


def estimate(hashes: Hashes) -> int:
    """How many different values have these smallest hashes; exact (but for collisions) below MOST_HASHES."""
    if len(hashes) < MOST_HASHES:
        return len(hashes)
    return round((MOST_HASHES - 1) / (int(hashes[MOST_HASHES - 1]) / 2**64))


def merge_hashes(first: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """The smallest hashes of both."""
    return tuple(smallest(np.array(first, np.uint64), np.array(other, np.uint64)).tolist())
