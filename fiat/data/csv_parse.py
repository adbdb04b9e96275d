"""A chunk of CSV rows as an Arrow table, with every row accounted for."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.csv as arrow_csv

from fiat.data.cells import MOST_NAMED, listed
from fiat.data.delimited import RowChunk, bad_text, lone_return, row_lines
from fiat.data.stream import SourceFile, file_fault
from fiat.errors import SpecError

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null")
_SPELLINGS = [spelling for word in MISSING for spelling in dict.fromkeys((word, f" {word}", f"{word} "))]
_CONVERSION = re.compile(r"In CSV column #\d+: .*CSV conversion error")


@dataclass(frozen=True)
class Part:
    """A chunk of rows of one file, without its header."""

    file: SourceFile
    names: tuple[str, ...]
    delimiter: str
    chunk: RowChunk


@dataclass
class _OddRows:
    """Rows with another number of fields than their file has columns."""

    found: list[tuple[int, int]] = field(default_factory=list)  # number among the rows of the chunk, fields
    n_rows: int = 0

    def __call__(self, row: arrow_csv.InvalidRow) -> str:
        self.n_rows += 1
        if len(self.found) < MOST_NAMED:
            self.found.append((row.number - 1, row.actual_columns))
        return "skip"


def parse_part(part: Part, types: Mapping[str, pa.DataType]) -> pa.Table | None:
    """The rows of a chunk; columns that `types` does not name have the type that their values look like.

    Returns:
        None when a value of a column is not of the type that `types` says.

    Raises:
        SpecError: rows with too many or too few fields, bytes that are no UTF-8, a carriage return alone.
    """
    chunk = part.chunk
    try:
        table = _parse(part, types, None)
    except pa.ArrowInvalid as error:
        raised = bad_text(chunk, part.file.name) or _odd_fault(part)
        if raised is None and _CONVERSION.match(str(error)):
            return None
        message = str(error).splitlines()[0]
        raise raised or file_fault(part.file.name, message, line=chunk.first_line) from error
    if table.num_rows != chunk.n_rows:
        line = lone_return(chunk)
        message = "a carriage return without a line feed" if line else "its rows can't be told apart"
        hint = "end lines with LF or CR LF"
        raise file_fault(part.file.name, message, line=line or chunk.first_line, hint=hint)
    return table


def _parse(part: Part, types: Mapping[str, pa.DataType], odd: _OddRows | None) -> pa.Table:
    chunk = part.chunk
    return arrow_csv.read_csv(
        pa.BufferReader(chunk.data),
        read_options=arrow_csv.ReadOptions(
            column_names=list(part.names), block_size=len(chunk.data) + 1, use_threads=False
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=part.delimiter,
            quote_char='"' if chunk.quoted else False,
            newlines_in_values=chunk.quoted,
            invalid_row_handler=odd,
        ),
        convert_options=arrow_csv.ConvertOptions(
            null_values=_SPELLINGS, strings_can_be_null=True, column_types=dict(types)
        ),
    )


def _odd_fault(part: Part) -> SpecError | None:
    """Rows with too many or too few fields: the first with what it has, the others by line; None without any."""
    odd = _OddRows()
    with suppress(pa.ArrowInvalid):
        _parse(part, dict.fromkeys(part.names, pa.string()), odd)
    if not odd.n_rows:
        return None
    line = lone_return(part.chunk)
    if line:
        message = "a carriage return without a line feed"
        return file_fault(part.file.name, message, line=line, hint="end lines with LF or CR LF")
    expected = len(part.names)
    lines = row_lines(part.chunk, [index for index, _ in odd.found])
    counts = [count for _, count in odd.found]
    message = f"{counts[0]} fields, expected {expected}"
    others = [f"line {line} has {count}" for line, count in zip(lines[1:], counts[1:], strict=True)]
    if others:
        message += f"; {listed(others, odd.n_rows - 1)}"
    broken = (
        len(odd.found) > 1
        and odd.found[1][0] == odd.found[0][0] + 1
        and counts[0] + counts[1] in (expected, expected + 1)
    )
    hint = "these two lines look like one row that is broken: a line end inside a field needs quotes"
    return file_fault(part.file.name, message, line=lines[0], hint=hint if broken else "")
