"""The process that runs a query of DuckDB over files, and reaches nothing else.

It has no network and no extensions, reads the granted folders only, and can't change its settings. One thread: the same
query gives the same rows in the same order and the same sums, on any machine.
"""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from fiat.builtin.source_rows import BATCH_ROWS, WrittenRows, write_rows
from fiat.builtin.source_sql_files import FileQuery
from fiat.errors import EnvironmentFault, FiatError, SpecError

_KEY = "source.sql"
_MEMORY = "2GiB"


def main() -> None:
    """The child: read a `FileQuery` as JSON from standard input, write the answer as JSON to standard output."""
    told: dict[str, Any] = json.load(sys.stdin)
    answer: Mapping[str, object]
    try:
        written = answer_query(FileQuery(**{**told, "folders": tuple(told["folders"])}))
        answer = {"error": "", **asdict(written)}
    except FiatError as error:
        answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    sys.stdout.write(json.dumps(answer))


def answer_query(query: FileQuery) -> WrittenRows:
    """Run a query in this process, whose working folder relative paths start from, and write its rows.

    Raises:
        SpecError: as `run_file_query`.
        EnvironmentFault: as `run_file_query`.
    """
    path = Path(query.path)
    with _faults(), _confined(query) as connection:
        statements = connection.extract_statements(query.sql)
        if len(statements) != 1:
            raise SpecError(f"{_KEY}: expected one query, found {len(statements) or 'none'}")
        if statements[0].type != duckdb.StatementType.SELECT:
            said = statements[0].type.name
            raise SpecError(f"{_KEY}: expected a query, found {said}", hint="such as `select * from 'a.csv'`")
        relation = _relation(connection, query.sql)
        _check_columns(relation.columns, [str(kind) for kind in relation.types])
        return write_rows(relation.to_arrow_reader(BATCH_ROWS), path, max_bytes=query.max_bytes, key=_KEY)


def _relation(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    try:
        return connection.sql(sql)
    except duckdb.Error:
        # A relation's error lacks the place in the query, which that of a statement has.
        connection.execute(sql)
        raise


def _check_columns(names: Sequence[str], kinds: Sequence[str]) -> None:
    folded = [name.lower() for name in names]
    for name, kind in zip(names, kinds, strict=True):
        if folded.count(name.lower()) > 1:
            raise SpecError(f"{_KEY}: two columns are named {name!r}", hint="name them with `as`")
        if kind.startswith(("INTERVAL", "MAP", "UNION", "VARIANT")):
            raise SpecError(f"{_KEY}: column {name!r} is {kind}", hint="cast it to text or a number")


@contextlib.contextmanager
def _confined(query: FileQuery) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that reads the granted folders and nothing else.

    Source: DuckDB's documentation, "Securing DuckDB".
    """
    Path(query.spill).mkdir(exist_ok=True)
    settings: dict[str, object] = {
        "threads": 1,
        "memory_limit": _MEMORY,
        "temp_directory": query.spill,
        "max_temp_directory_size": f"{query.max_bytes}B",
        "enable_progress_bar": False,
        "TimeZone": "UTC",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "python_enable_replacements": False,
        "allowed_directories": list(query.folders),
        "enable_external_access": False,
        "lock_configuration": True,
    }
    with duckdb.connect(":memory:") as connection:
        for name, value in settings.items():
            connection.execute(f"set {name} = {_literal(value)}")
        yield connection


def _literal(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """What DuckDB says, as ours: its message has the place in the query."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise EnvironmentFault(f"{_KEY}: the query needs more than {_MEMORY} of memory") from error
    except duckdb.PermissionException as error:
        raise SpecError(f"{_KEY}: {_said(error)}", hint="a query reads files of the checkout only") from error
    except (duckdb.Error, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SpecError(f"{_KEY}: {_said(error)}", hint="try the query in DuckDB") from error


def _said(error: BaseException) -> str:
    """The first words and the place, on one line."""
    lines = [line.rstrip() for line in str(error).splitlines()]
    place = next((index for index, line in enumerate(lines) if line.startswith("LINE ")), None)
    kept = lines[:1] if place is None else [lines[0], lines[place].strip()]
    if place is not None and place + 1 < len(lines):
        column = lines[place + 1].find("^") - lines[place].find(":") - 1
        kept[1] = f"{kept[1].partition(':')[0].lower()}, column {max(column, 1)}"
    return ", at ".join(kept)[:500]
