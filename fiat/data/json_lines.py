"""Read JSON Lines: an object a line, a column a key; one pass for the types, then pieces of rows.

Integers and other numbers in one column make it double; numbers and texts in one column are a fault, because JSON
says itself which is which. Times stay text as written. Blank lines are no rows. A key that a line lacks, and
`null`, are missing values. A column that `types` declares holds this and nothing else.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.json as arrow_json

from fiat.data.cells import MOST_NAMED, CellTally, listed, shown_value
from fiat.data.csv_cells import DECLARED
from fiat.data.delimited import LONGEST_ROW_BYTES
from fiat.data.json_cells import asked_types, with_times, without_bad_cells
from fiat.data.lines import LineChunk, line_chunks
from fiat.data.stream import Piece, Reading, ReadOptions, SourceFile, file_fault, open_bytes
from fiat.errors import SpecError


def read_json_lines(files: Sequence[SourceFile], options: ReadOptions) -> Reading:
    """Look at all lines of all files for the columns' types, then offer their rows.

    Raises:
        SpecError: a line that is no JSON object, a column of two types, values that are not what their column is
            declared to hold, a cut gzip file, a file without rows.
    """
    types: dict[str, pa.DataType] = {}
    declared = {name: kind for name, kind in options.types.items() if kind in DECLARED}
    cells = CellTally(declared, options.tolerant, options.loose)
    seen: set[str] = set()
    for file in files:
        n_rows = 0
        for chunk in _chunks(file):
            table = _look(file, chunk, declared, cells)
            n_rows += table.num_rows
            for name, column in zip(table.column_names, table.columns, strict=True):
                if name in declared:
                    types.setdefault(name, DECLARED[declared[name]])
                    seen |= {name} if column.null_count < len(column) else set()
                    continue
                found = _plain(column.type)
                merged = _merge(types.get(name, pa.null()), found)
                if merged is None:
                    raise _mixed(file, chunk, name, types[name])
                types[name] = merged
        if not n_rows:
            raise file_fault(file.name, "the file has no rows")
    cells.raise_refused()
    nulls = [name for name, kind in types.items() if pa.types.is_null(kind)]
    types |= dict.fromkeys(nulls, pa.float64())
    never = declared.keys() - seen
    empty = [name for name in types if name in nulls or name in never]
    if not types:
        raise file_fault(files[0].name, "no line has a key")
    schema = pa.schema(list(types.items()))
    notes = tuple(f"column {name!r} has no value in any row" for name in empty)
    known = {name: declared[name] for name in types if name in declared}
    return Reading(schema, lambda: _pieces(files, schema, known), notes, cells.cells, cells.counts)


def _look(file: SourceFile, chunk: LineChunk, declared: Mapping[str, str], cells: CellTally) -> pa.Table:
    """The rows of a chunk, other types than declared ones inferred; no column that no line has."""
    written = {name: _spellings(name) for name in declared}
    mine = {name: declared[name] for name in declared if any(key in chunk.data for key in written[name])}
    table = _parse(file, chunk, asked_types(mine), mine, cells)
    if not _is_text(chunk.data):
        raise _parse_fault(file, chunk, "it is not UTF-8 text")
    bare = [name for name in mine if table.column(name).null_count == table.num_rows]
    return table.drop_columns([name for name in bare if not _has_key(chunk, name)])


def _spellings(name: str) -> tuple[bytes, bytes]:
    return json.dumps(name).encode(), json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _has_key(chunk: LineChunk, name: str) -> bool:
    return any(name in json.loads(raw) for _, raw in chunk.lines())


def _pieces(files: Sequence[SourceFile], schema: pa.Schema, declared: Mapping[str, str]) -> Iterator[Piece]:
    asked = {**{field.name: field.type for field in schema}, **asked_types(declared)}
    for file in files:
        for chunk in _chunks(file):
            table = _parse(file, chunk, asked, declared, None).select(schema.names)
            for batch in table.combine_chunks().to_batches():
                yield Piece(batch, (file.name,), chunk.first_row)


def _chunks(file: SourceFile) -> Iterator[LineChunk]:
    with open_bytes(file) as stream:
        yield from line_chunks(stream, file.name)


def _parse(
    file: SourceFile,
    chunk: LineChunk,
    asked: Mapping[str, pa.DataType],
    declared: Mapping[str, str],
    cells: CellTally | None,
) -> pa.Table:
    try:
        table = _parse_as(chunk, asked)
    except pa.ArrowInvalid as error:
        clean = without_bad_cells(chunk, declared, file.name, cells) if declared else None
        if clean is None:
            raise _parse_fault(file, chunk, str(error)) from error
        try:
            table = _parse_as(clean, asked)
        except pa.ArrowInvalid as other:
            raise _parse_fault(file, clean, str(other)) from other
    if table.num_rows != chunk.n_rows:
        raise _parse_fault(file, chunk, "a line does not hold exactly one object")
    return with_times(table, declared, chunk, file.name, cells)


def _parse_as(chunk: LineChunk, asked: Mapping[str, pa.DataType]) -> pa.Table:
    options = arrow_json.ReadOptions(use_threads=False, block_size=LONGEST_ROW_BYTES * 2)
    schema = pa.schema(list(asked.items())) if asked else None
    parse = arrow_json.ParseOptions(explicit_schema=schema, newlines_in_values=False)
    return arrow_json.read_json(pa.BufferReader(chunk.data), read_options=options, parse_options=parse)


def _is_text(data: bytes) -> bool:
    """Arrow takes any bytes for text."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parse_fault(file: SourceFile, chunk: LineChunk, text: str) -> SpecError:
    """The first lines that Python's own parser refuses too, else what Arrow says."""
    faults = []
    for line, raw in chunk.lines():
        message = _line_fault(raw)
        if message:
            faults.append((line, message))
    if faults:
        shown = listed([str(line) for line, _ in faults[1:MOST_NAMED]], len(faults) - 1)
        more = f"; lines {shown} are wrong, too" if shown else ""
        return file_fault(file.name, f"{faults[0][1]}{more}", line=faults[0][0])
    changed = re.match(r"JSON parse error: Column\(/(.+)\) changed from (\w+) to \w+", text)
    if changed and "/" not in changed[1]:
        return _changed(file, chunk, changed[1], changed[2])
    row = re.search(r"in row (\d+)", text)
    line = chunk.line_of(int(row[1])) if row else chunk.first_line
    message = text.splitlines()[0].removeprefix("JSON parse error: ")
    return file_fault(file.name, re.sub(r" in row \d+$", "", message), line=line)


def _changed(file: SourceFile, chunk: LineChunk, name: str, before: str) -> SpecError:
    """A column whose JSON type changes within a chunk, with the lines where it is another."""
    found = [(line, json.loads(raw).get(name)) for line, raw in chunk.lines()]
    others = [(line, value) for line, value in found if value is not None and _json_type(value) != before]
    line, value = others[0] if others else (chunk.first_line, None)
    message = f"column {name!r} changed from {before} to {_json_type(value)}: {shown_value(value)!r}"
    rest = [f"line {line} {shown_value(value)!r}" for line, value in others[1:MOST_NAMED]]
    message += f"; so it does in {listed(rest, len(others) - 1)}" if rest else ""
    return file_fault(file.name, message, line=line, hint="give the column one type in all lines")


def _json_type(value: object) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _line_fault(raw: bytes) -> str:
    """What is wrong with a line; empty for a JSON object."""
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"byte 0x{raw[error.start]:02x} is not UTF-8 text"
    except (ValueError, RecursionError) as error:
        return f"not a JSON object: {error}"
    return "" if isinstance(value, dict) else f"expected an object, found {type(value).__name__}"


def _mixed(file: SourceFile, chunk: LineChunk, name: str, before: pa.DataType) -> SpecError:
    others = []
    for line, raw in chunk.lines():
        value = json.loads(raw).get(name)
        if value is not None and _merge(before, _plain(pa.infer_type([value]))) is None:
            others.append((line, shown_value(value)))
    if not others:
        return file_fault(file.name, f"column {name!r} has more than one type", line=chunk.first_line)
    message = f"column {name!r} was {before} up to here and holds {others[0][1]!r}"
    shown = listed([f"line {line} {value!r}" for line, value in others[1:MOST_NAMED]], len(others) - 1)
    message += f"; so does {shown}" if shown else ""
    hint = "give the column one type in all lines"
    return file_fault(file.name, message, line=others[0][0], hint=hint)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Arrow reads texts like times as times; they stay text."""
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _plain(field.type)) for field in kind])
    return kind


def _merge(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds values of both, or None."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(one) and pa.types.is_list(other):
        item = _merge(one.value_type, other.value_type)
        return None if item is None else pa.list_(item)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        fields = {field.name: field.type for field in one}
        for field in other:
            merged = _merge(fields.get(field.name, pa.null()), field.type)
            if merged is None:
                return None
            fields[field.name] = merged
        return pa.struct(list(fields.items()))
    return None
