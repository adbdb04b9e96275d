"""Keys of JSON Lines that are said to hold something: values that are not are known, and taken out of a chunk."""

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.cells import BadCell, CellTally, shown_value
from fiat.data.csv_cells import DECLARED
from fiat.data.lines import LineChunk
from fiat.data.moments import moment_array

_BAD = object()


def asked_types(declared: Mapping[str, str]) -> dict[str, pa.DataType]:
    """Types to have declared columns parsed with; times are parsed as texts and made times by `with_times`."""
    return {name: pa.string() if kind == "time" else DECLARED[kind] for name, kind in declared.items()}


def without_bad_cells(
    chunk: LineChunk, declared: Mapping[str, str], name: str, tally: CellTally | None
) -> LineChunk | None:
    """The same lines with null for each value that is not what its column should hold.

    Args:
        chunk: whole lines.
        declared: column to a key of DECLARED.
        name: of the file.
        tally: told of these values; None when they are known already.

    Returns:
        None when no value had to be changed, or a line is no JSON object: then these are not what is wrong.
    """
    lines = chunk.data.split(b"\n")
    changed = False
    for line, raw in chunk.lines():
        try:
            row = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
        except (ValueError, RecursionError):
            return None
        if not isinstance(row, dict):
            return None
        found = {key: _as_kind(row[key], kind) for key, kind in declared.items() if row.get(key) is not None}
        if any(value is not row[key] for key, value in found.items()):
            changed = True
            for key, value in found.items():
                if value is _BAD and tally is not None:
                    tally.add(key, 1, [BadCell(name, line, key, shown_value(json.dumps(row[key])))])
                row[key] = None if value is _BAD else value
            lines[line - chunk.first_line] = json.dumps(row).encode()
    return replace(chunk, data=b"\n".join(lines)) if changed else None


def with_times(
    table: pa.Table, declared: Mapping[str, str], chunk: LineChunk, name: str, tally: CellTally | None
) -> pa.Table:
    """The table with texts of `time` columns as times; those that are none are missing and told."""
    for column in (key for key, kind in declared.items() if kind == "time" and key in table.column_names):
        texts = table.column(column).combine_chunks()
        times = moment_array(texts)
        if tally is not None and times.null_count > texts.null_count:
            rows = np.flatnonzero(pc.and_(texts.is_valid(), times.is_null()).to_numpy(zero_copy_only=False))
            named = [
                BadCell(name, chunk.line_of(row), column, shown_value(texts[row].as_py()))
                for row in rows[: tally.room(column)].tolist()
            ]
            tally.add(column, len(rows), named)
        table = table.set_column(table.schema.get_field_index(column), column, times)
    return table


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _as_kind(value: object, kind: str) -> object:
    """The value itself where it fits, another one that says the same, or _BAD."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "int":
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value if whole and -(2**63) <= int(str(value)) < 2**63 else _BAD
    if kind == "float":
        return value if is_number else _BAD
    if kind == "bool":
        return value if isinstance(value, bool) else _BAD
    if kind == "time" and is_number:
        return str(value)
    return value if isinstance(value, str) else _BAD
