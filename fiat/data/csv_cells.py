"""Columns of a CSV that are said to hold something: read as just this, and every cell that is not is known."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fiat.data.cells import BadCell, CellTally, shown_value
from fiat.data.csv_parse import MISSING, Part, parse_part
from fiat.data.delimited import row_lines
from fiat.data.moments import MOMENT, moment_array

DECLARED: Mapping[str, pa.DataType] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "text": pa.string(),
    "time": MOMENT,
}
"""How a column is kept that is said to hold something; other kinds are read by their looks."""
_WHOLE = r"^[+-]?\d+(\.0*)?$"
_NUMBER = r"^[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|(?i:inf(inity)?))$"
_TRUE, _FALSE = ("true", "1"), ("false", "0")


def typed_table(
    part: Part, declared: Mapping[str, str], found: Mapping[str, pa.DataType], tally: CellTally | None
) -> pa.Table | None:
    """The rows of a chunk, declared columns as they are said to be, bad cells of them missing.

    Args:
        part: the chunk.
        declared: column to a key of DECLARED.
        found: types of other columns; those that it lacks are inferred from this chunk.
        tally: told of the bad cells; None when they are known already.

    Returns:
        None when a value is not of the type that `found` says.

    Raises:
        SpecError: see `parse_part`.
    """
    texts = {name: pa.string() for name, kind in declared.items() if kind in ("time", "text")}
    table = parse_part(part, {**found, **{name: DECLARED[declared[name]] for name in declared}, **texts})
    if table is None:
        # Some cell is not what it should be: read these columns as texts and look at each.
        texts = dict.fromkeys(declared, pa.string())
        table = parse_part(part, {**found, **texts})
        if table is None:
            return None
    for name in texts:
        if declared[name] == "text":
            continue
        index = table.schema.get_field_index(name)
        values = trimmed(table.column(index))
        typed = _typed(values.combine_chunks(), declared[name])
        if tally is not None and typed.null_count > values.null_count:
            _count_bad(part, name, values, typed, tally)
        table = table.set_column(index, name, typed)
    return table


def trimmed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without spaces around them; what is then empty or spelled as missing is missing. Other columns as they are."""
    if not pa.types.is_string(values.type):
        return values
    texts = pc.ascii_trim_whitespace(values)
    if _n_bytes(texts) == _n_bytes(values):  # nothing was trimmed, and what was missing before is so already
        return values
    return pc.if_else(pc.is_in(texts, pa.array(MISSING)), pa.scalar(None, pa.string()), texts)


def _n_bytes(values: pa.ChunkedArray) -> int:
    return int(pc.sum(pc.binary_length(values)).as_py() or 0)


def _count_bad(part: Part, name: str, values: pa.ChunkedArray, typed: pa.Array, tally: CellTally) -> None:
    bad = pc.and_(values.is_valid(), typed.is_null())
    rows = np.flatnonzero(bad.to_numpy())
    named = rows[: tally.room(name)].tolist()
    lines = row_lines(part.chunk, named) if named else []
    cells = [
        BadCell(part.file.name, line, name, shown_value(values[row].as_py()))
        for row, line in zip(named, lines, strict=True)
    ]
    tally.add(name, len(rows), cells)


def _typed(texts: pa.Array, kind: str) -> pa.Array:
    """Texts as values of a kind, missing where they are none."""
    if kind == "time":
        return moment_array(texts)
    if kind == "bool":
        lower = pc.ascii_lower(texts)
        is_true, is_false = pc.is_in(lower, pa.array(_TRUE)), pc.is_in(lower, pa.array(_FALSE))
        return pc.if_else(pc.or_(is_true, is_false), is_true, pa.scalar(None, pa.bool_()))
    fits = pc.match_substring_regex(texts, _WHOLE if kind == "int" else _NUMBER)
    numbers = pc.if_else(fits, texts, pa.scalar(None, pa.string()))
    if kind == "float":
        return pc.cast(numbers, pa.float64())
    digits = pc.replace_substring_regex(pc.utf8_ltrim(numbers, "+"), r"\.0*$", "")
    try:
        return pc.cast(digits, pa.int64())
    except pa.ArrowInvalid:  # more digits than an integer of 64 bits has
        whole = [None if text is None else int(text) for text in digits.to_pylist()]
        return pa.array(
            [item if item is not None and -(2**63) <= item < 2**63 else None for item in whole], pa.int64()
        )
