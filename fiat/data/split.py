"""Which row falls into which split: by shares of a hash, by a column, by files, or by time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.cells import MOST_NAMED, listed
from fiat.data.moments import moment, moments
from fiat.data.row_hash import hash_rows, hash_values
from fiat.data.stream import Piece, file_fault
from fiat.errors import SpecError

SPLITS = ("train", "eval", "test")
"""A row's split is the index of its name here."""
_TIME_HINT = "write times as ISO 8601, or as seconds, milli-, micro- or nanoseconds since 1970"


class SplitRule(Protocol):
    """Says for each row of a piece which split it belongs to."""

    def assign(self, piece: Piece) -> np.ndarray:
        """Index into SPLITS for each row, `(n_rows,)`.

        Raises:
            SpecError: a row that belongs to none, with its file and number.
        """
        ...


@dataclass(frozen=True)
class AllTrain:
    """Every row is for training."""

    def assign(self, piece: Piece) -> np.ndarray:
        """See SplitRule."""
        return np.zeros(piece.batch.num_rows, np.int8)


@dataclass(frozen=True)
class ByShares:
    """By the hash of a key, so that a row stays in its split as data grows, whatever other rows there are.

    Attributes:
        shares: of train, eval and test relative to each other, 0 or more.
        key: column whose value decides; None for the whole row, so that equal rows stay together.
    """

    shares: tuple[float, float, float]
    key: str | None = None

    def assign(self, piece: Piece) -> np.ndarray:
        """See SplitRule."""
        batch = piece.batch
        hashes = hash_rows(batch) if self.key is None else hash_values(batch.column(self.key))
        # str() gives the decimal that the user wrote: 0.1 is one tenth here and not the double next to it.
        exact = [Fraction(str(share)) for share in self.shares]
        total = sum(exact)
        ends = [int(sum(exact[: index + 1]) / total * 2**64) for index in range(2)]
        bounds = np.array([min(end, 2**64 - 1) for end in ends], np.uint64)
        codes = np.searchsorted(bounds, hashes, side="right").astype(np.int8)
        if not self.shares[2]:
            # The one hash at the very top would fall behind the last bound.
            codes = np.minimum(codes, 1 if self.shares[1] else 0).astype(np.int8)
        return codes


@dataclass(frozen=True)
class ByColumn:
    """By a column that holds `train`, `eval` or `test`."""

    column: str

    def assign(self, piece: Piece) -> np.ndarray:
        """See SplitRule."""
        values = piece.batch.column(self.column)
        codes = pc.fill_null(pc.index_in(_as_text(values), pa.array(SPLITS)), -1).to_numpy(
            zero_copy_only=False
        )
        bad = np.flatnonzero(codes < 0)
        if bad.size:
            message = f"column {self.column!r} names no split: {_rows(piece, bad, values)}"
            raise file_fault(piece.files[0], message, hint="expected train, eval or test in every row")
        return np.asarray(codes, np.int8)


@dataclass(frozen=True)
class ByFiles:
    """By the files that rows come from.

    Attributes:
        patterns: split to a glob that matches a file or a folder above it; `*` stays within one name.
        eval_share: share of the rows of `train` that become `eval` by their hash, 0 to below 1.
    """

    patterns: Mapping[str, str]
    eval_share: float = 0.0
    carve: ByShares | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Derive the rule that carves `eval` out of `train`."""
        if self.eval_share:
            object.__setattr__(self, "carve", ByShares((1 - self.eval_share, self.eval_share, 0.0)))

    def split_of(self, name: str) -> int:
        """Index into SPLITS of a file.

        Raises:
            SpecError: no pattern matches it, or more than one.
        """
        found = [split for split in SPLITS if split in self.patterns and matches(name, self.patterns[split])]
        if len(found) == 1:
            return SPLITS.index(found[0])
        if not found:
            shown = ", ".join(f"{split}: {pattern}" for split, pattern in self.patterns.items())
            hint = "add it to a split, or let the source name fewer files"
            raise file_fault(name, f"no pattern of the split matches this file ({shown})", hint=hint)
        raise file_fault(name, f"the patterns of {' and '.join(found)} both match this file")

    def assign(self, piece: Piece) -> np.ndarray:
        """See SplitRule."""
        splits = [self.split_of(name) for name in piece.files]
        n_rows = piece.batch.num_rows
        if len(set(splits)) == 1:
            codes = np.full(n_rows, splits[0], np.int8)
        elif len(splits) == n_rows and "path" in piece.batch.schema.names:
            codes = np.array(splits, np.int8)
        else:
            both = " and ".join(piece.files[:2])
            raise SpecError(f"{both} hold columns of the same rows, but the split's patterns part them")
        if self.carve is not None:
            train = codes == 0
            codes[train] = self.carve.assign(piece)[train]
        return codes


@dataclass(frozen=True)
class ByTime:
    """By time: rows from `test` on are for testing, rows from `eval` on for choosing, older ones for training.

    Attributes:
        column: times, dates, texts in ISO 8601, or numbers since 1970 (see `fiat.data.moments`).
        test: first moment of `test`, ISO 8601 or such a number.
        eval: first moment of `eval`; None for no such split.
    """

    column: str
    test: str
    eval: str | None = None

    def assign(self, piece: Piece) -> np.ndarray:
        """See SplitRule."""
        times = self._moments(piece)
        codes = np.zeros(len(times), np.int8)
        if self.eval is not None:
            codes[times >= moment(self.eval)] = 1
        codes[times >= moment(self.test)] = 2
        return codes

    def _moments(self, piece: Piece) -> np.ndarray:
        values, name = piece.batch.column(self.column), piece.files[0]
        found = moments(values)
        if found is None:
            message = f"column {self.column!r} holds {values.type}, expected times"
            hint = "write them as ISO 8601, such as 2024-05-01T12:00:00"
            raise file_fault(name, message, hint=hint)
        bad = np.flatnonzero(np.isnat(found))
        if bad.size:
            missing = values.is_null().to_numpy(zero_copy_only=False) | _is_nan(values)
            without = bad[missing[bad]]
            if without.size:
                raise file_fault(name, f"column {self.column!r} has no time in {_rows(piece, without)}")
            shown = _rows(piece, bad, values)
            raise file_fault(name, f"column {self.column!r} holds what is no time: {shown}", hint=_TIME_HINT)
        return found


def _rows(piece: Piece, indices: np.ndarray, values: pa.Array | None = None) -> str:
    """Rows of a piece for people, each with its value if there are values."""
    first = indices[:MOST_NAMED]
    if values is None:
        named = [f"{piece.row_number(int(index))}" for index in first]
        return f"row{'s' if len(indices) > 1 else ''} " + listed(named, len(indices))
    named = [f"row {piece.row_number(int(index))} {values[int(index)].as_py()!r}" for index in first]
    return listed(named, len(indices))


def _is_nan(values: pa.Array) -> np.ndarray:
    if not pa.types.is_floating(values.type):
        return np.zeros(len(values), bool)
    return np.asarray(pc.fill_null(pc.is_nan(values), fill_value=True).to_numpy(zero_copy_only=False), bool)


def matches(name: str, pattern: str) -> bool:
    """Whether a glob matches a file's path or a folder above it, beginning at any of its folders.

    `train-*` matches `data/train-images.gz`, `train` matches `data/train/1.png`, `a/**/b` matches `a/x/y/b`.
    """
    parts, wanted = name.split("/"), pattern.strip("/").removeprefix("./").split("/")
    return any(_leads(parts[start:], wanted) for start in range(len(parts)))


def _leads(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return True
    if wanted[0] == "**":
        return any(_leads(parts[skip:], wanted[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and _leads(parts[1:], wanted[1:])


def _as_text(values: pa.Array) -> pa.Array:
    return values if pa.types.is_string(values.type) else pc.cast(values, pa.string())
