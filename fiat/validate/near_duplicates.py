"""Rows of two splits that are nearly equal, in time that grows with the rows, not with their pairs.

Candidates come from locality-sensitive hashing: MinHash over token sets, random hyperplanes over the vectors of tensors.
Each row gets some bands of bits; rows that share a band are candidates, and each candidate's likeness is then computed
exactly: a pair that is told is as like as it says, and a pair is missed with a small chance only.

Source: A. Broder 1997, "On the resemblance and containment of documents" (MinHash); P. Indyk, R. Motwani 1998 (banding);
M. Charikar 2002, "Similarity estimation techniques from rounding algorithms" (hyperplanes).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fiat.data.stream import is_tensor
from fiat.validate.likeness import EMPTY, Grids, grids_of, jaccard, tokens_of, vectors_of
from fiat.validate.row_pick import is_among, pick_rows

_SEED = 20_260_101
_CHUNK_ROWS = 4_096
_MOST_CANDIDATES = 8
_ROUNDING = 1e-9
_MISS = 0.002
_HYPERPLANE_BITS = 16
_HYPERPLANE_BANDS = 24
Floats = np.ndarray


@dataclass(frozen=True)
class NearPairs:
    """Rows of the second table, each with a row of the first that is like it.

    Attributes:
        first: row numbers from 0 in the first table, `(n_pairs,)`.
        second: in the second table, ascending, each once.
        likeness: 0..1.
    """

    first: np.ndarray
    second: np.ndarray
    likeness: np.ndarray


@dataclass(frozen=True)
class _Measure:
    """How rows are hashed into bands, which pairs of bands are worth a look, and how like two rows are."""

    bands: Callable[[pa.Table], np.ndarray]
    likeness: Callable[[pa.Table, pa.Table], Floats]
    sieve: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class _Asked:
    """How like two rows must be, and by which measure."""

    measure: _Measure
    near: float


def find_near_pairs(first: pa.Table, second: pa.Table, near: float, rows: np.ndarray) -> NearPairs:
    """For rows of the second table, a row of the first that is at least so like.

    Where a column holds tensors, tensors alone are compared. About 80 bytes a row of both tables are held.

    Args:
        first: rows to compare with (train).
        second: rows to look for, with the same columns.
        near: least likeness, above 0 and at most 1.
        rows: row numbers of the second table to look for, ascending.
    """
    if not len(rows) or not first.num_rows:
        return _none()
    tensors = any(is_tensor(kind) for kind in first.schema.types)
    measure = _by_tensors(first, near) if tensors else _by_tokens(grids_of(first), near)
    mine = _all_bands(first, measure.bands)
    theirs = _all_bands(_chosen(second, rows), measure.bands)
    return _search(first, second, rows, (mine, theirs), _Asked(measure, near))


def _chosen(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """The table itself where all its rows are wanted, else those."""
    return table if len(rows) == table.num_rows else pick_rows(table, rows)


def _none() -> NearPairs:
    return NearPairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _by_tokens(grids: Grids, near: float) -> _Measure:
    length, count = _banding(near)
    rng = np.random.default_rng(_SEED)
    factors = rng.integers(1, 2**63, (count, length), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    adds = rng.integers(0, 2**63, (count, length), dtype=np.uint64)

    def bands(table: pa.Table) -> np.ndarray:
        tokens = tokens_of(table, grids)
        out = np.empty((table.num_rows, count), np.uint32)
        blank = tokens == EMPTY
        for band in range(count):
            key = np.zeros(table.num_rows, np.uint64)
            for factor, add in zip(factors[band], adds[band], strict=True):
                hashed = (tokens * factor + add) >> np.uint64(32)
                hashed[blank] = np.uint64(2**32 - 1)
                key = _mixed(key ^ hashed.min(axis=1, initial=np.uint64(2**32 - 1)))
            out[:, band] = key >> np.uint64(32)
        return out

    return _Measure(bands, lambda one, other: jaccard(tokens_of(one, grids), tokens_of(other, grids)))


def _banding(near: float) -> tuple[int, int]:
    """Hashes a band and bands: as selective as 256 hashes allow while a pair just as like as asked is rarely missed."""
    for length in range(16, 0, -1):
        chance = near**length
        bands = 1 if chance >= 1 else math.ceil(math.log(_MISS) / math.log1p(-chance))
        if length * bands <= 256:
            return length, bands
    return 1, 64


def _by_tensors(first: pa.Table, near: float) -> _Measure:
    sample = np.unique(np.linspace(0, first.num_rows - 1, min(first.num_rows, 1_000)).astype(np.int64))
    known = vectors_of(pick_rows(first, sample))
    centre = known.mean(axis=0)
    rng = np.random.default_rng(_SEED)
    planes = rng.standard_normal((len(centre), _HYPERPLANE_BANDS * _HYPERPLANE_BITS)).astype(np.float32)
    powers = 1 << np.arange(_HYPERPLANE_BITS, dtype=np.uint32)

    def bands(table: pa.Table) -> np.ndarray:
        # Centred by the mean picture, so that planes part pictures that all look alike.
        sides = (vectors_of(table) - centre) @ planes > 0
        bits = sides.reshape(table.num_rows, _HYPERPLANE_BANDS, _HYPERPLANE_BITS)
        return np.asarray((bits * powers).sum(axis=2, dtype=np.uint32))

    def likeness(one: pa.Table, other: pa.Table) -> Floats:
        return np.asarray(1 - np.linalg.norm(vectors_of(one) - vectors_of(other), axis=1))

    return _Measure(bands, likeness, _sieve(np.linalg.norm(known - centre, axis=1), near))


def _sieve(lengths: np.ndarray, near: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Of all planes, few part two pictures that are so like: as many as their angle is of a half circle.

    Two vectors that are 1 - near apart are at most this angle apart as seen from the centre, the longer of them being
    no shorter than all but 1 % of the sample. Four standard deviations more are let through.
    """
    ratio = (1 - near) / max(float(np.quantile(lengths, 0.01)), 1e-9)
    share = math.asin(min(1.0, ratio)) / math.pi
    planes = _HYPERPLANE_BANDS * _HYPERPLANE_BITS
    most = planes * share + 4 * math.sqrt(planes * share * (1 - share)) + 1
    words = np.arange(1 << _HYPERPLANE_BITS)
    bits: np.ndarray = sum(((words >> bit) & 1 for bit in range(_HYPERPLANE_BITS)), np.zeros_like(words))
    return lambda ones, others: bits[ones ^ others].sum(axis=1, dtype=np.int64) <= most


def _mixed(words: np.ndarray) -> np.ndarray:
    words = (words ^ (words >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray(words ^ (words >> np.uint64(29)))


def _all_bands(table: pa.Table, bands: Callable[[pa.Table], np.ndarray]) -> np.ndarray:
    parts = [
        bands(table.slice(start, _CHUNK_ROWS).combine_chunks())
        for start in range(0, table.num_rows, _CHUNK_ROWS)
    ]
    return np.concatenate(parts)


def _candidates(mine: np.ndarray, theirs: np.ndarray, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (row of the first, position in `theirs`) of one band's equal keys, at most _MOST_CANDIDATES a row.

    A crowded key is entered at a place of each row's own, so that not all rows meet the same few.
    """
    order = np.argsort(mine, kind="stable")
    ordered = mine[order]
    low, high = (np.searchsorted(ordered, theirs, side) for side in ("left", "right"))
    count = np.minimum(high - low, _MOST_CANDIDATES)
    others = np.repeat(np.arange(len(theirs)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    place = low[others] + (within + turns[others]) % (high - low)[others]
    return order[place], others


def _search(
    first: pa.Table, second: pa.Table, rows: np.ndarray, bands: tuple[np.ndarray, np.ndarray], asked: _Asked
) -> NearPairs:
    """Band by band; a row that has found its like looks no further, and no pair is compared twice."""
    mine, theirs = bands
    free = np.arange(len(rows))
    tried = np.zeros(0, np.int64)
    found: list[np.ndarray] = [np.zeros((0, 3))]
    for band in range(mine.shape[1]):
        turns = theirs[free, (band + 1) % theirs.shape[1]].astype(np.int64)
        ones, positions = _candidates(mine[:, band], theirs[free, band], turns)
        others = free[positions]
        if asked.measure.sieve is not None:
            kept = asked.measure.sieve(mine[ones], theirs[others])
            ones, others = ones[kept], others[kept]
        codes = others * len(mine) + ones
        codes = codes[~is_among(codes, tried)]
        tried = np.sort(np.concatenate([tried, codes]))
        ones, others = codes % len(mine), codes // len(mine)
        likeness = _likeness(first, second, ones, rows[others], asked.measure)
        good = np.flatnonzero(likeness >= asked.near - _ROUNDING)
        best = good[np.lexsort((-likeness[good], others[good]))]
        met, index = np.unique(others[best], return_index=True)
        found.append(np.column_stack([ones[best[index]], met, likeness[best[index]]]))
        free = free[~is_among(free, met)]
        tried = tried[is_among(tried // len(mine), free)]
    pairs = np.concatenate(found)
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    return NearPairs(pairs[:, 0].astype(np.int64), rows[pairs[:, 1].astype(np.int64)], pairs[:, 2])


def _likeness(
    first: pa.Table, second: pa.Table, ones: np.ndarray, others: np.ndarray, measure: _Measure
) -> np.ndarray:
    out = np.zeros(len(ones))
    for start in range(0, len(ones), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        out[part] = measure.likeness(pick_rows(first, ones[part]), pick_rows(second, others[part]))
    return out
