"""What every reader takes and gives: files in, pieces of rows out, faults that name file and line."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from fiat.data.cells import BadCell
from fiat.errors import EnvironmentFault, SpecError, Where

PIECE_BYTES = 4 * 1024 * 1024
ABOUT = {b"fiat": b"about"}
"""Field metadata of columns that say where a row comes from: they are no features and no part of a row's hash."""


@dataclass(frozen=True)
class SourceFile:
    """One file to read.

    Attributes:
        path: where it lies.
        name: what people call it: its path relative to the checkout or the download folder, with `/`.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class ReadOptions:
    """How files are written.

    Attributes:
        format: `csv`, `jsonl`, `parquet`, `arrow`, `npy`, `idx`, `images` or `text`.
        header: the first line of a CSV names its columns.
        columns: column names of a CSV without header; empty for `column_1`, `column_2`, ...
        delimiter: character between CSV fields; None for a tab in `.tsv` files and a comma elsewhere.
        loose: columns whose faulty values don't matter because nobody reads them.
        types: column to what it is said to hold: `int`, `float`, `bool`, `text` or `time`; a CSV or JSON Lines column
            of that name is read as this and nothing else. Other formats know their types themselves.
        tolerant: columns of `types` whose cells that are no such value become missing and are told, not refused.
    """

    format: str
    header: bool = True
    columns: tuple[str, ...] = ()
    delimiter: str | None = None
    loose: frozenset[str] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)
    tolerant: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Piece:
    """Some rows of a file, in its order.

    Attributes:
        batch: the rows, with the reading's schema.
        files: names of the files they come from; several where columns lie in files of their own.
        first_row: 1-based number of the first row within its file, header and blank lines not counted.
        rows: such a number for each row, `(n_rows,)`; None where they follow each other without a gap.
    """

    batch: pa.RecordBatch
    files: tuple[str, ...]
    first_row: int
    rows: np.ndarray | None = None

    def row_number(self, index: int) -> int:
        """1-based number within its file of a row of this piece, counted from 0 here."""
        return self.first_row + index if self.rows is None else int(self.rows[index])

    def keep(self, chosen: np.ndarray) -> "Piece":
        """Only the rows that are chosen: bools `(n_rows,)`."""
        if chosen.all():
            return self
        kept = np.flatnonzero(chosen)
        numbers = self.first_row + kept if self.rows is None else self.rows[kept]
        single = len(self.files) == self.batch.num_rows and "path" in self.batch.schema.names
        files = tuple(self.files[index] for index in kept) if single and len(kept) else self.files
        first = int(numbers[0]) if len(kept) else self.first_row
        return Piece(self.batch.filter(pa.array(chosen)), files, first, numbers)


@dataclass(frozen=True)
class Reading:
    """Files ready to be read.

    Attributes:
        schema: columns and types of every piece.
        pieces: starts reading from the beginning each time it is called; raises SpecError at a fault of a file.
        notes: sentences that people should know, such as a column without any value.
        cells: values of tolerant columns that became missing, the first MOST_NAMED of each column.
        n_bad: column to how many such values it has.
    """

    schema: pa.Schema
    pieces: Callable[[], Iterator[Piece]]
    notes: tuple[str, ...] = field(default=())
    cells: tuple[BadCell, ...] = ()
    n_bad: Mapping[str, int] = field(default_factory=dict)


def bounded(reading: Reading, max_bytes: int) -> Reading:
    """The reading, which ends with a fault when its rows take more bytes than that: a small file can unpack to anything.

    Raises:
        SpecError: while the pieces are read.
    """

    def pieces() -> Iterator[Piece]:
        size_bytes = 0
        for piece in reading.pieces():
            size_bytes += piece.batch.nbytes
            if size_bytes > max_bytes:
                raise file_fault(
                    piece.files[0], f"its rows unpack to more than the {max_bytes:,} bytes allowed"
                )
            yield piece

    return replace(reading, pieces=pieces)


def file_fault(name: str, message: str, *, line: int = 0, hint: str = "") -> SpecError:
    """A fault of a data file, with its place."""
    return SpecError(message, hint=hint, where=Where(name, line=line))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn faults of reading a file into ours.

    Raises:
        SpecError: it is not there, or not a whole gzip or zip file.
        EnvironmentFault: it can't be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise file_fault(name, "there is no such file") from error
    except EOFError as error:
        raise file_fault(name, "the file is cut off before its end", hint="fetch it again") from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise file_fault(name, f"a damaged file: {error}", hint="fetch it again") from error
    except OSError as error:
        raise EnvironmentFault(f"{name} can't be read: {error.strerror or error}") from error


@contextmanager
def open_bytes(file: SourceFile) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked when its name ends with `.gz`.

    Raises:
        SpecError: it is not there, or not a whole gzip file.
        EnvironmentFault: it can't be read.
    """
    with reading(file.name), file.path.open("rb") as plain:
        if file.path.name.lower().endswith(".gz"):
            with gzip.open(plain) as unpacked:
                yield io.BufferedReader(unpacked, PIECE_BYTES)
        else:
            yield plain


def tensor_array(values: np.ndarray) -> pa.Array:
    """An array `(n_rows, ...)` as an Arrow column: a tensor a row, or plain numbers when it has one axis."""
    if values.ndim == 1:
        return pa.array(values)
    shape = values.shape[1:]
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    size = int(np.prod(shape))
    storage = pa.FixedSizeListArray.from_arrays(flat, size)
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(flat.type, shape), storage)


def is_tensor(kind: pa.DataType) -> bool:
    """Whether a column holds a tensor a row."""
    return isinstance(kind, pa.FixedShapeTensorType)


def rows_per_piece(row_bytes: int) -> int:
    """How many rows of a size make a piece of about PIECE_BYTES; 1 to 65,536."""
    return max(1, min(65_536, PIECE_BYTES // max(1, row_bytes)))
