"""Columns that are reckoned from others by SQL expressions, such as a label: `tips > 0.2 * fare`.

They are no features, because a served model is not given them: a label, a split or a slice may be derived. The expressions
are DuckDB's, over one row at a time: no query inside, no sum over rows, no file, no network.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa

from fiat.data.stream import ABOUT, Piece, Reading
from fiat.errors import SpecError

_CONFIG: dict[str, Any] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "threads": 1,
    "memory_limit": "1GB",
}
_NOT_ROW_WISE = re.compile(r'"class":\s*"(SUBQUERY|WINDOW|STAR|PARAMETER)"')
_CALLED = re.compile(r'"function_name":\s*"([^"]+)"')
_GROWS = re.compile(r"(range|generate_series|repeat|[lr]pad|bar|(list|array)_.*|unnest|printf|format)")
"""What can make much of little: DuckDB's own memory limit does not count such values."""
_CLOCK = re.compile(
    r'"(?:column_names|function_name)":\s*\[?"((?:current_|local)(?:date|time|timestamp)|localtime|localtimestamp)"',
    re.IGNORECASE,
)
"""Words that DuckDB reads as the time of day where no column is called so."""
_KINDS = (
    (pa.types.is_decimal, pa.float64()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_integer, pa.int64()),
    (pa.types.is_floating, pa.float64()),
)


def derive_columns(reading: Reading, derived: Mapping[str, str]) -> Reading:
    """Add columns to a reading.

    Args:
        reading: the rows.
        derived: name of a new column to its SQL expression over the columns of the row.

    Raises:
        SpecError: a name that the data have already, or an expression that is wrong or is not of one row.
    """
    if not derived:
        return reading
    connection = duckdb.connect(":memory:", config=_CONFIG)
    # DuckDB takes the machine's zone otherwise, and the same spec would give other rows elsewhere.
    connection.execute("SET TimeZone = 'UTC'")
    for name, expression in derived.items():
        if name in reading.schema.names:
            raise SpecError(f"derive: the data have a column {name!r} already", hint="choose another name")
        _check(connection, name, expression)
    kinds = _reckon(connection, reading.schema.empty_table(), derived)
    fields = [pa.field(name, _kind(kinds.schema.field(name).type), metadata=ABOUT) for name in derived]
    schema = pa.schema([*reading.schema, *fields], metadata=reading.schema.metadata)

    def pieces() -> Iterator[Piece]:
        for piece in reading.pieces():
            table = pa.Table.from_batches([piece.batch])
            made = _reckon(connection, table, derived)
            if made.num_rows != table.num_rows:
                raise SpecError(
                    "derive: an expression is about several rows at once", hint="use a step for that"
                )
            columns = [
                made.column(field.name).cast(field.type, safe=False).combine_chunks() for field in fields
            ]
            yield replace(
                piece, batch=pa.RecordBatch.from_arrays([*piece.batch.columns, *columns], schema=schema)
            )

    return replace(reading, schema=schema, pieces=pieces)


def _check(connection: Any, name: str, expression: str) -> None:
    """Refuse what is no expression of one row."""
    statement = f"SELECT ({expression}\n) AS value"
    try:
        statements = connection.extract_statements(statement)
        tree = str(connection.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()[0][0])
    except duckdb.Error as error:
        raise _fault(name, expression, error) from None
    found = [word.lower() for word in _NOT_ROW_WISE.findall(tree)]
    found += [f"call of {word}" for word in _CLOCK.findall(tree)]
    found += ["second statement"] if len(statements) != 1 else []
    called = sorted(set(_CALLED.findall(tree)))
    unsteady = (
        "SELECT function_name FROM duckdb_functions() WHERE function_name IN (SELECT unnest(?)) GROUP BY ALL "
        "HAVING NOT bool_or(function_type = 'macro' OR (function_type = 'scalar' AND stability = 'CONSISTENT')) ORDER BY ALL"
    )
    found += [f"call of {row[0]}" for row in connection.execute(unsteady, [called]).fetchall()]
    found += [f"call of {word}" for word in called if _GROWS.fullmatch(word)]
    if found:
        raise SpecError(
            f"derive.{name}: a {found[0]} is no expression of one row", hint="such as `tips > 0.2 * fare`"
        )


def _reckon(connection: Any, rows: pa.Table, derived: Mapping[str, str]) -> pa.Table:
    """The new columns of these rows."""
    connection.register("row", rows)
    words = ", ".join(f"({expression}\n) AS {_quoted(name)}" for name, expression in derived.items())
    try:
        return connection.sql(f"SELECT {words} FROM row").to_arrow_table()
    except duckdb.Error as error:
        names = ", ".join(derived)
        raise _fault(names, "; ".join(derived.values()), error) from None
    finally:
        connection.unregister("row")


def _fault(name: str, expression: str, error: Exception) -> SpecError:
    said = str(error).splitlines()[0].split(": ", 1)[-1]
    return SpecError(f"derive.{name}: {said}", hint=f"the expression is `{expression}`")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _kind(kind: pa.DataType) -> pa.DataType:
    """The type that a derived column is kept in: one that a label can have."""
    return next((kept for is_such, kept in _KINDS if is_such(kind)), kind)
