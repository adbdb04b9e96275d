"""Some rows only, the same ones each time: chosen by their hash, so that no order and no random state matters.

The hash is mixed anew for each seed and is another one than that of a split: a sample takes its share of every split.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from fiat.data.row_hash import hash_rows, hash_values, remix
from fiat.data.stream import Piece, Reading
from fiat.errors import SpecError

_LEAST_HELD = 65_536


@dataclass(frozen=True)
class SampleRule:
    """Which rows to take; one of `ratio` and `rows`.

    Attributes:
        ratio: share of the rows, above 0 and up to 1; a row that is taken stays so as data grows. Equal rows, or those
            of one key, are taken together.
        rows: so many rows, those with the smallest hashes; all of them where there are fewer.
        seed: another one takes others.
        key: column whose value is hashed; None for the whole row.
    """

    ratio: float | None = None
    rows: int | None = None
    seed: int = 0
    key: str | None = None


@dataclass
class SampleCount:
    """What the last whole reading of a sample came to.

    Attributes:
        read: rows that were there.
        kept: rows that were taken.
    """

    read: int = 0
    kept: int = 0


@dataclass(frozen=True)
class Sampled:
    """A reading of some rows.

    Attributes:
        reading: gives them; each piece knows the numbers of its rows in their file.
        count: filled while they are read.
    """

    reading: Reading
    count: SampleCount = field(default_factory=SampleCount)


def sample_rows(reading: Reading, rule: SampleRule) -> Sampled:
    """Take some of the rows of a reading.

    `rows` needs a pass of its own over the data, and holds at most twice as many hashes as it takes rows.

    Raises:
        SpecError: the key is no column, or a rule says both or neither.
    """
    if (rule.ratio is None) == (rule.rows is None):
        raise SpecError("sample: give one of `ratio` and `rows`")
    if rule.key is not None and rule.key not in reading.schema.names:
        raise SpecError(f"split names column {rule.key!r}, which the data does not have")
    if rule.ratio is not None:
        limit = min(int(rule.ratio * 2.0**64), 2**64 - 1)
        above, n_ties = np.uint64(limit), -1 if rule.ratio >= 1 else 0
    else:
        above, n_ties = _threshold(reading, rule)
    count = SampleCount()
    return Sampled(replace(reading, pieces=lambda: _pieces(reading, rule, above, n_ties, count)), count)


def _pieces(
    reading: Reading, rule: SampleRule, above: np.uint64, n_ties: int, count: SampleCount
) -> Iterator[Piece]:
    """Rows with hashes below a threshold, and the first `n_ties` that lie on it (-1 for all of them)."""
    count.read = count.kept = 0
    left = n_ties
    for piece in reading.pieces():
        hashes = _hashes(piece, rule)
        chosen = hashes < above
        if left:
            ties = np.flatnonzero(hashes == above)
            ties = ties if left < 0 else ties[:left]
            chosen[ties] = True
            left = left if left < 0 else left - len(ties)
        kept = piece.keep(chosen)
        count.read += piece.batch.num_rows
        count.kept += kept.batch.num_rows
        if kept.batch.num_rows:
            yield kept


def _threshold(reading: Reading, rule: SampleRule) -> tuple[np.uint64, int]:
    """The hash of the last row to take, and how many rows with just this hash to take."""
    wanted = rule.rows or 0
    held = np.empty(0, np.uint64)
    waiting: list[np.ndarray] = []
    n_waiting = 0
    for piece in reading.pieces():
        hashes = _hashes(piece, rule)
        if held.size >= wanted:
            hashes = hashes[hashes <= held.max()]
        waiting.append(hashes)
        n_waiting += len(hashes)
        if n_waiting > max(wanted, _LEAST_HELD):
            held, waiting, n_waiting = _smallest(held, waiting, wanted), [], 0
    held = _smallest(held, waiting, wanted)
    if held.size < wanted:
        return np.uint64(2**64 - 1), -1
    above = held.max()
    return above, int(np.count_nonzero(held == above))


def _smallest(held: np.ndarray, waiting: list[np.ndarray], wanted: int) -> np.ndarray:
    joined = np.concatenate([held, *waiting])
    return np.partition(joined, wanted - 1)[:wanted] if joined.size > wanted else joined


def _hashes(piece: Piece, rule: SampleRule) -> np.ndarray:
    hashes = hash_rows(piece.batch) if rule.key is None else hash_values(piece.batch.column(rule.key))
    return remix(hashes, rule.seed)
