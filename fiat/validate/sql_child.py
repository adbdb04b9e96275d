"""The process that a query of a spec runs in; `fiat.validate.sql_check` starts it.

What a query is for is found by running it over the tables without their rows first: what gives a row even then is a count.
Rows are traced by running it again over tables with a column that tells each row's place: where only that column is new in
the result, and everything else as before, it tells where the rows come from.
"""

import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from fiat.data.split import SPLITS
from fiat.validate.model import MOST_EXAMPLES
from fiat.validate.rows_look import as_json
from fiat.validate.sql_fault import Refused, explained, place_of, said, while_reading

ROW, _PLACE = "_row", "_fiat_place"
_PLACE_BITS = 40
_BATCH_ROWS = 2_048
_POLL_S = 0.05
_STATEMENTS_HINT = "write one select, without a second statement behind a semicolon"
Tables = Mapping[str, pa.Table]


@dataclass(frozen=True)
class Result:
    """Rows of a query: how many, and the first ones."""

    n_rows: int
    names: tuple[str, ...]
    first: tuple[tuple[Any, ...], ...]


def main() -> None:
    """Read the task as JSON from standard input, write the answer as JSON to standard output."""
    told = json.load(sys.stdin)
    answer: dict[str, object]
    try:
        with open_database(told) as database:
            answer = find_rows(database, _tables(Path(told["folder"])), told["query"])
    except Refused as error:
        answer = {"error": "query", "message": error.message, "hint": error.hint}
    except duckdb.InterruptException:
        answer = {"error": "time"}
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError):
        answer = {"error": "memory"}
    except OSError as error:
        answer = {"error": "environment", "message": f"the dataset can't be read: {error}"}
    sys.stdout.write(json.dumps(answer))


def find_rows(database: duckdb.DuckDBPyConnection, tables: Tables, query: str) -> dict[str, object]:
    """What the query finds: `count` for one that always gives one number, else `n_rows` and the first `rows`.

    Raises:
        Refused: the query is at fault.
    """
    _check_statement(database, query)
    try:
        always = _run(database, {split: table.slice(0, 0) for split, table in tables.items()}, query)
    except Refused as error:
        if ROW not in error.message:
            raise
        tables = {split: _numbered(table) for split, table in tables.items()}
        always = _run(database, {split: table.slice(0, 0) for split, table in tables.items()}, query)
    found = _run(database, tables, query)
    if always.n_rows == 1 and found.n_rows == 1:
        return {"count": _count_of(found), "n_rows": 0, "rows": []}
    rows = _with_places(database, tables, query, found)
    return {"count": None, "n_rows": found.n_rows, "rows": rows}


def _check_statement(database: duckdb.DuckDBPyConnection, query: str) -> None:
    try:
        statements = database.extract_statements(query)
    except duckdb.Error as error:
        raise said(error, place_of(str(error), query, 0)) from error
    if not statements:
        raise Refused("the query is empty", "such as `select * from train where age < 0`")
    if len(statements) > 1:
        raise Refused(f"there are {len(statements)} statements, expected one query", _STATEMENTS_HINT)
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name
        raise Refused(
            f"{kind} is no query", "a check only selects, such as `select * from train where age < 0`"
        )


def _run(database: duckdb.DuckDBPyConnection, tables: Tables, query: str) -> Result:
    for split, table in tables.items():
        database.register(split, table)
    try:
        relation = database.sql(query)
        names = tuple(relation.columns)
        reader = relation.to_arrow_reader(_BATCH_ROWS)
        n_rows = 0
        first: list[tuple[Any, ...]] = []
        for batch in reader:
            if len(first) < MOST_EXAMPLES:
                columns = [
                    column.to_pylist() for column in batch.slice(0, MOST_EXAMPLES - len(first)).columns
                ]
                first += list(zip(*columns, strict=True))
            n_rows += batch.num_rows
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        raise said(error, explained(database, query)) from error
    except (OSError, pa.ArrowException) as error:
        raise while_reading(error) from error
    return Result(n_rows, names, tuple(first))


def _count_of(found: Result) -> float:
    """The only number of the only row; 0 where there is none, as `sum` gives over no rows."""
    value = found.first[0][0] if len(found.names) == 1 else ""
    if value is None:
        return 0
    if isinstance(value, str | bytes | bool) or not hasattr(value, "__float__"):
        raise Refused(
            f"the query always gives one row ({', '.join(found.names)}), whatever the data",
            "select the faulty rows, or one count of them",
        )
    number = float(value)
    return 0 if number != number else number


def _with_places(
    database: duckdb.DuckDBPyConnection, tables: Tables, query: str, found: Result
) -> list[dict[str, object]]:
    places = [("", 0)] * len(found.first)
    if ROW in found.names:
        asked = [split for split in SPLITS if re.search(rf"\b{split}\b", query, re.IGNORECASE)]
        at = found.names.index(ROW)
        places = [(asked[0] if len(asked) == 1 else "", int(row[at] or 0)) for row in found.first]
    elif found.first:
        places = _traced(database, tables, query, found) or places
    return [
        {
            "split": split,
            "row": row,
            "value": {name: as_json(item) for name, item in zip(found.names, values, strict=True)},
        }
        for (split, row), values in zip(places, found.first, strict=True)
    ]


def _traced(
    database: duckdb.DuckDBPyConnection, tables: Tables, query: str, found: Result
) -> list[tuple[str, int]] | None:
    """Split and row number of the first rows; None where they can't be told."""
    marked = {
        split: _numbered(table, _PLACE, index << _PLACE_BITS)
        for index, (split, table) in enumerate(tables.items())
    }
    try:
        again = _run(database, marked, query)
    except Refused:
        return None
    at = [index for index, name in enumerate(again.names) if name == _PLACE]
    if len(at) != 1 or again.n_rows != found.n_rows:
        return None
    rest = tuple(tuple(item for index, item in enumerate(row) if index != at[0]) for row in again.first)
    if repr(rest) != repr(found.first):  # by their text, since NaN is not equal to itself
        return None
    splits = list(tables)
    places = [int(row[at[0]]) for row in again.first]
    return [(splits[place >> _PLACE_BITS], place & ((1 << _PLACE_BITS) - 1)) for place in places]


def _numbered(table: pa.Table, name: str = ROW, start: int = 0) -> pa.Table:
    """With a column of row numbers from 1 more; 8 bytes a row."""
    if name in table.schema.names:
        return table
    return table.append_column(name, pa.array(np.arange(1, table.num_rows + 1, dtype=np.int64) + start))


def _tables(folder: Path) -> dict[str, pa.Table]:
    """Every split, mapped from disk; tensors as lists."""
    tables = {}
    for split in SPLITS:
        table = pa.ipc.open_file(pa.memory_map(str(folder / f"{split}.arrow"))).read_all()
        columns = [_plain(table.column(name)) for name in table.schema.names]
        tables[split] = pa.table(columns, names=table.schema.names)
    return tables


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not isinstance(column.type, pa.BaseExtensionType):
        return column
    return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)


@contextmanager
def open_database(told: Mapping[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that reaches no file, and is interrupted at the limit of time.

    Args:
        told: `timeout_s`, `memory_bytes` and `threads`, as `fiat.validate.sql_check.SqlLimits` has them.

    Source: DuckDB's documentation, "Securing DuckDB".
    """
    settings = {
        "memory_limit": f"{told['memory_bytes'] // 2**20}MiB",
        "threads": str(told["threads"]),
        "temp_directory": "",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "allow_persistent_secrets": "false",
        "python_enable_replacements": "false",
        "enable_progress_bar": "false",
        "TimeZone": "UTC",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    done = threading.Event()
    with duckdb.connect(":memory:") as database:
        for name, value in settings.items():
            database.execute(f"set {name} = '{value}'")
        watch = threading.Thread(target=_interrupt, args=(database, done, told["timeout_s"]), daemon=True)
        watch.start()
        try:
            yield database
        finally:
            done.set()
            watch.join()


def _interrupt(database: duckdb.DuckDBPyConnection, done: threading.Event, timeout_s: float) -> None:
    """Again and again, since one that comes between two queries is lost."""
    if not done.wait(timeout_s):
        while not done.wait(_POLL_S):
            database.interrupt()
