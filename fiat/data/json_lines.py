"""Read JSON Lines: an object a line, a column a key; one pass for the types, then pieces of rows.

Integers and other numbers in one column make it double; numbers and texts in one column are a fault, because JSON
says itself which is which. Times stay text as written. Blank lines are no rows. A key that a line lacks, and
`null`, are missing values.
"""

import json
import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.json as arrow_json

from fiat.data.delimited import LONGEST_ROW_BYTES
from fiat.data.lines import LineChunk, line_chunks
from fiat.data.stream import Piece, Reading, SourceFile, file_fault, open_bytes
from fiat.errors import SpecError


def read_json_lines(files: Sequence[SourceFile]) -> Reading:
    """Look at all lines of all files for the columns' types, then offer their rows.

    Raises:
        SpecError: a line that is no JSON object, a column of two types, a cut gzip file, a file without rows.
    """
    types: dict[str, pa.DataType] = {}
    for file in files:
        n_rows = 0
        for chunk in _chunks(file):
            table = _parse(file, chunk, None)
            n_rows += table.num_rows
            for name, column in zip(table.column_names, table.columns, strict=True):
                found = _plain(column.type)
                merged = _merge(types.get(name, pa.null()), found)
                if merged is None:
                    raise _mixed(file, chunk, name, types[name])
                types[name] = merged
        if not n_rows:
            raise file_fault(file.name, "the file has no rows")
    empty = [name for name, kind in types.items() if pa.types.is_null(kind)]
    types |= dict.fromkeys(empty, pa.float64())
    if not types:
        raise file_fault(files[0].name, "no line has a key")
    schema = pa.schema(list(types.items()))
    notes = tuple(f"column {name!r} has no value in any row" for name in empty)
    return Reading(schema, lambda: _pieces(files, schema), notes)


def _pieces(files: Sequence[SourceFile], schema: pa.Schema) -> Iterator[Piece]:
    for file in files:
        for chunk in _chunks(file):
            table = _parse(file, chunk, schema).select(schema.names)
            for batch in table.combine_chunks().to_batches():
                yield Piece(batch, (file.name,), chunk.first_row)


def _chunks(file: SourceFile) -> Iterator[LineChunk]:
    with open_bytes(file) as stream:
        yield from line_chunks(stream, file.name)


def _parse(file: SourceFile, chunk: LineChunk, schema: pa.Schema | None) -> pa.Table:
    options = arrow_json.ReadOptions(use_threads=False, block_size=LONGEST_ROW_BYTES * 2)
    parse = arrow_json.ParseOptions(explicit_schema=schema, newlines_in_values=False)
    try:
        table = arrow_json.read_json(pa.BufferReader(chunk.data), read_options=options, parse_options=parse)
    except pa.ArrowInvalid as error:
        raise _parse_fault(file, chunk, str(error)) from error
    if schema is None and not _is_text(chunk.data):
        raise _parse_fault(file, chunk, "it is not UTF-8 text")
    if table.num_rows != chunk.n_rows:
        raise _parse_fault(file, chunk, "a line does not hold exactly one object")
    return table


def _is_text(data: bytes) -> bool:
    """Arrow takes any bytes for text."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parse_fault(file: SourceFile, chunk: LineChunk, text: str) -> SpecError:
    """The first line that Python's own parser refuses too, else what Arrow says."""
    for line, raw in chunk.lines():
        try:
            value = json.loads(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            return file_fault(file.name, f"byte 0x{raw[error.start]:02x} is not UTF-8 text", line=line)
        except (ValueError, RecursionError) as error:
            return file_fault(file.name, f"not a JSON object: {error}", line=line)
        if not isinstance(value, dict):
            return file_fault(file.name, f"expected an object, found {type(value).__name__}", line=line)
    row = re.search(r"in row (\d+)", text)
    line = chunk.line_of(int(row[1])) if row else chunk.first_line
    message = text.splitlines()[0].removeprefix("JSON parse error: ")
    return file_fault(file.name, re.sub(r" in row \d+$", "", message), line=line)


def _mixed(file: SourceFile, chunk: LineChunk, name: str, before: pa.DataType) -> SpecError:
    for line, raw in chunk.lines():
        value = json.loads(raw).get(name)
        if value is not None and _merge(before, _plain(pa.infer_type([value]))) is None:
            message = f"column {name!r} was {before} up to here and holds {str(value)[:80]!r}"
            return file_fault(file.name, message, line=line, hint="give the column one type in all lines")
    return file_fault(file.name, f"column {name!r} has more than one type", line=chunk.first_line)


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
