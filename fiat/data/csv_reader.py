"""Read CSV: one pass over all files for the columns' types, then pieces of rows with those types.

Rules: UTF-8; fields are trimmed of spaces; empty fields and the spellings `MISSING` of `csv_parse` are missing values;
blank lines are no rows; every other line is a row or a fault. A column that `types` declares is read as this, whatever it
looks like.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from fiat.data.cells import CellTally
from fiat.data.csv_cells import DECLARED, trimmed, typed_table
from fiat.data.csv_header import read_header
from fiat.data.csv_parse import Part
from fiat.data.csv_types import ColumnTally
from fiat.data.delimited import RowChunk, bad_text, row_chunks
from fiat.data.stream import Piece, Reading, ReadOptions, SourceFile, file_fault, open_bytes
from fiat.errors import SpecError, SpecErrors


def read_csv(files: Sequence[SourceFile], options: ReadOptions) -> Reading:
    """Look at all values of all files, then offer their rows.

    Raises:
        SpecError: anything that would change or lose a row: rows with too many or too few fields, broken quotes,
            text that is not UTF-8, a cut gzip file, files with different columns, a column of numbers with a few
            texts, cells that are not what their column is declared to hold, no rows at all.
    """
    tallies: dict[str, ColumnTally] = {}
    kinds = {name: kind for name, kind in options.types.items() if kind in DECLARED}
    cells = CellTally(kinds, options.tolerant, options.loose)
    for file in files:
        for part in _parts(file, options):
            if not tallies:
                tallies = {name: ColumnTally(name) for name in part.names}
            _check_names(part, tallies)
            _look(part, tallies, _of(part.names, kinds), cells)
    cells.raise_refused()
    declared = _of(tuple(tallies), kinds)
    _raise_strays(tallies, options.loose | declared.keys())
    types = {name: DECLARED[declared[name]] if name in declared else tally.type()
             for name, tally in tallies.items()}  # fmt: skip
    schema = pa.schema(list(types.items()))
    empty = [name for name, tally in tallies.items() if tally.is_empty()]
    notes = tuple(f"column {name!r} has no value in any row" for name in empty)
    return Reading(
        schema, lambda: _pieces(files, options, schema, declared), notes, cells.cells, cells.counts
    )


def _look(
    part: Part, tallies: Mapping[str, ColumnTally], declared: Mapping[str, str], cells: CellTally
) -> None:
    """Count what the columns of a chunk hold."""
    # Parsing with the types of the chunks before is quicker than to try them all, and as good where it succeeds.
    likely = {name: kind for name in part.names if (kind := tallies[name].likely()) is not None}
    table = typed_table(part, declared, likely, cells)
    if table is None:
        table = typed_table(part, declared, {}, cells)
    if table is None:
        raise _changed(part)
    for name, values in zip(part.names, table.columns, strict=True):
        if pa.types.is_binary(values.type):
            raise bad_text(part.chunk, part.file.name) or file_fault(
                part.file.name, f"column {name!r} is no text"
            )
        if name in declared:
            tallies[name].n_texts += len(values) - values.null_count
        else:
            tallies[name].add(values, part.file.name, part.chunk)


def _pieces(
    files: Sequence[SourceFile], options: ReadOptions, schema: pa.Schema, declared: Mapping[str, str]
) -> Iterator[Piece]:
    found = {field.name: field.type for field in schema if field.name not in declared}
    for file in files:
        for part in _parts(file, options):
            table = typed_table(part, declared, found, None)
            if table is None:
                raise _changed(part)
            columns = [trimmed(table.column(name)) for name in schema.names]
            batches = pa.Table.from_arrays(columns, schema=schema).combine_chunks().to_batches()
            for batch in batches:
                yield Piece(batch, (file.name,), part.chunk.first_row)


def _parts(file: SourceFile, options: ReadOptions) -> Iterator[Part]:
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
                names, chunk = read_header(file, chunk, delimiter, options)
                n_header = int(options.header)
            else:
                chunk = RowChunk(
                    chunk.data, chunk.first_line, chunk.n_rows, chunk.first_row - n_header, chunk.quoted
                )
            n_rows += chunk.n_rows
            if chunk.n_rows:
                yield Part(file, names, delimiter, chunk)
    if not names:
        raise file_fault(file.name, "the file is empty")
    if not n_rows:
        raise file_fault(file.name, "the file has a header and no rows", line=1)


def _changed(part: Part) -> SpecError:
    message = "a value is no longer of its column's type: the file changed while it was read"
    return file_fault(part.file.name, message, line=part.chunk.first_line)


def _check_names(part: Part, tallies: Mapping[str, ColumnTally]) -> None:
    missing, extra = tallies.keys() - set(part.names), set(part.names) - tallies.keys()
    if missing or extra:
        words = [f"lacks {name!r}" for name in sorted(missing)] + [f"adds {name!r}" for name in sorted(extra)]
        message = f"its columns differ from those of the files before it: it {', '.join(words)}"
        raise file_fault(part.file.name, message, line=1)


def _raise_strays(tallies: Mapping[str, ColumnTally], accepted: frozenset[str] | set[str]) -> None:
    found = [tally.stray_fault() for name, tally in tallies.items() if name not in accepted]
    faults = [fault for fault in found if fault is not None]
    if faults:
        raise faults[0] if len(faults) == 1 else SpecErrors(faults)


def _of(names: Sequence[str], kinds: Mapping[str, str]) -> dict[str, str]:
    """What is declared of the columns that there are."""
    return {name: kinds[name] for name in names if name in kinds}
