"""Read CSV: one pass over all files for the columns' types, then pieces of rows with those types.

Rules: UTF-8; fields are trimmed of spaces; `MISSING` spellings and empty fields are missing values; blank lines
are no rows; every other line is a row or a fault.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from fiat.data.csv_types import ColumnTally
from fiat.data.delimited import RowChunk, bad_text, first_row, lone_return, row_chunks, row_line
from fiat.data.stream import Piece, Reading, ReadOptions, SourceFile, file_fault, open_bytes
from fiat.errors import SpecError

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null")
_SPELLINGS = [spelling for word in MISSING for spelling in dict.fromkeys((word, f" {word}", f"{word} "))]


@dataclass(frozen=True)
class _Part:
    """A chunk of rows of one file, without its header."""

    file: SourceFile
    names: tuple[str, ...]
    delimiter: str
    chunk: RowChunk


def read_csv(files: Sequence[SourceFile], options: ReadOptions) -> Reading:
    """Look at all values of all files, then offer their rows.

    Raises:
        SpecError: anything that would change or lose a row: a row with too many or too few fields, broken quotes,
            text that is not UTF-8, a cut gzip file, files with different columns, a column of numbers with a few
            texts, no rows at all.
    """
    tallies: dict[str, ColumnTally] = {}
    for file in files:
        for part in _parts(file, options):
            if not tallies:
                tallies = {name: ColumnTally(name) for name in part.names}
            _check_names(part, tallies)
            table = _parse(part, None)
            for name, values in zip(part.names, table.columns, strict=True):
                if pa.types.is_binary(values.type):
                    raise bad_text(part.chunk, file.name) or file_fault(
                        file.name, f"column {name!r} is no text"
                    )
                tallies[name].add(values, file.name, part.chunk)
    faults = [tally.stray_fault() for name, tally in tallies.items() if name not in options.loose]
    for fault in faults:
        if fault:
            raise fault
    schema = pa.schema([pa.field(name, tally.type()) for name, tally in tallies.items()])
    empty = [name for name, tally in tallies.items() if _is_empty(tally)]
    notes = tuple(f"column {name!r} has no value in any row" for name in empty)
    return Reading(schema, lambda: _pieces(files, options, schema), notes)


def _pieces(files: Sequence[SourceFile], options: ReadOptions, schema: pa.Schema) -> Iterator[Piece]:
    for file in files:
        for part in _parts(file, options):
            table = _parse(part, schema)
            columns = [_trimmed(table.column(name)) for name in schema.names]
            batches = pa.Table.from_arrays(columns, schema=schema).combine_chunks().to_batches()
            for batch in batches:
                yield Piece(batch, (file.name,), part.chunk.first_row)


def _parts(file: SourceFile, options: ReadOptions) -> Iterator[_Part]:
    delimiter = options.delimiter or ("\t" if re.search(r"\.(tsv|tab)(\.gz)?$", file.name.lower()) else ",")
    if not delimiter.isascii() or delimiter in '"\r\n':
        raise SpecError(f"{delimiter!r} can't be the delimiter of a CSV", hint='such as ",", ";" or "\\t"')
    names: tuple[str, ...] = ()
    n_rows = n_header = 0
    with open_bytes(file) as stream:
        for raw in row_chunks(stream, file.name, delimiter):
            chunk = raw
            if not chunk.n_rows:
                continue
            if not names:
                names, chunk = _header(file, chunk, delimiter, options)
                n_header = int(options.header)
            else:
                chunk = RowChunk(chunk.data, chunk.first_line, chunk.n_rows, chunk.first_row - n_header)
            n_rows += chunk.n_rows
            if chunk.n_rows:
                yield _Part(file, names, delimiter, chunk)
    if not names:
        raise file_fault(file.name, "the file is empty")
    if not n_rows:
        raise file_fault(file.name, "the file has a header and no rows", line=1)


def _header(
    file: SourceFile, chunk: RowChunk, delimiter: str, options: ReadOptions
) -> tuple[tuple[str, ...], RowChunk]:
    line = row_line(chunk, 0)
    raw, rest = first_row(chunk)
    try:
        fields = next(csv.reader([raw.decode("utf-8")], delimiter=delimiter, strict=True))
    except UnicodeDecodeError:
        raise bad_text(chunk, file.name) or file_fault(
            file.name, "the header is no text", line=line
        ) from None
    except csv.Error as error:
        raise file_fault(file.name, f"the header can't be read: {error}", line=line) from error
    if len(fields) == 1 and delimiter == "," and any(other in fields[0] for other in ";\t|"):
        other = next(other for other in ";\t|" if other in fields[0])
        written = "\\t" if other == "\t" else other
        hint = f'set delimiter: "{written}"'
        raise file_fault(file.name, f"one column only, and {other!r} in its first line", line=line, hint=hint)
    if not options.header:
        names = options.columns or tuple(f"column_{index + 1}" for index in range(len(fields)))
        if len(names) != len(fields):
            message = f"the first row has {len(fields)} fields, but `columns` names {len(names)}"
            raise file_fault(file.name, message, line=line)
        return names, chunk
    names = tuple(field.strip() or f"column_{index + 1}" for index, field in enumerate(fields))
    for index, name in enumerate(names):
        if name in names[:index]:
            raise file_fault(
                file.name, f"two columns are named {name!r}", line=line, hint="rename one of them"
            )
    return names, rest


def _check_names(part: _Part, tallies: dict[str, ColumnTally]) -> None:
    missing, extra = tallies.keys() - set(part.names), set(part.names) - tallies.keys()
    if missing or extra:
        words = [f"lacks {name!r}" for name in sorted(missing)] + [f"adds {name!r}" for name in sorted(extra)]
        message = f"its columns differ from those of the files before it: it {', '.join(words)}"
        raise file_fault(part.file.name, message, line=1)


def _parse(part: _Part, schema: pa.Schema | None) -> pa.Table:
    chunk = part.chunk
    convert = arrow_csv.ConvertOptions(
        null_values=_SPELLINGS,
        strings_can_be_null=True,
        column_types={name: schema.field(name).type for name in schema.names} if schema else None,
    )
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(chunk.data),
            read_options=arrow_csv.ReadOptions(
                column_names=list(part.names), block_size=len(chunk.data) + 1, use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=part.delimiter, newlines_in_values=True),
            convert_options=convert,
        )
    except pa.ArrowInvalid as error:
        raise _parse_fault(part, str(error)) from error
    if table.num_rows != chunk.n_rows:
        line = lone_return(chunk)
        message = "a carriage return without a line feed" if line else "its rows can't be told apart"
        raise file_fault(
            part.file.name, message, line=line or chunk.first_line, hint="end lines with LF or CR LF"
        )
    return table


def _parse_fault(part: _Part, text: str) -> SpecError:
    found = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", text)
    if found:
        line = row_line(part.chunk, int(found[1]) - 1)
        return file_fault(part.file.name, f"{found[3]} fields, expected {found[2]}", line=line)
    return bad_text(part.chunk, part.file.name) or file_fault(
        part.file.name, text.splitlines()[0], line=part.chunk.first_line
    )


def _trimmed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_string(values.type):
        return values
    trimmed = pc.ascii_trim_whitespace(values)
    blank = pc.equal(trimmed, "")
    return pc.if_else(blank, pa.scalar(None, pa.string()), trimmed) if pc.any(blank).as_py() else trimmed


def _is_empty(tally: ColumnTally) -> bool:
    return not (tally.n_whole or tally.n_numbers or tally.n_flags or tally.n_texts)
