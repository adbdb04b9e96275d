"""Ask a database over SQLAlchemy: read only, in batches, and never with its password in a message.

The address is the value of a secret, so it is the operator's word (on a desk the user's) and not the spec's: a private
host is no one's to refuse. Where the operator lists hosts or folders for data, they hold for databases too.
"""

import contextlib
import importlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fiat.builtin.source_rows import BATCH_ROWS, WrittenRows, write_rows
from fiat.builtin.source_sql_values import row_batches
from fiat.data.confined import named_path
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.source import SourceRequest
from fiat.redaction import Redactor

_KEY = "source.sql"
_LOOKED_AT = 1000
_SQLITE_READS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_TRANSACTION,
    }
)
_READ_ONLY = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
_DRIVERS = {"psycopg": "fiat-ml[postgres]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}


@dataclass(frozen=True)
class Database:
    """A database that can be asked.

    Attributes:
        name: of the secret, for people.
        url: SQLAlchemy's parsed URL.
        library: the module `sqlalchemy`.
        redactor: masks what must not be shown.
    """

    name: str
    url: Any
    library: Any
    redactor: Redactor

    def write(self, sql: str, path: Path, max_bytes: int) -> WrittenRows:
        """Run a query and write its rows, in its order.

        Raises:
            SpecError: a fault in the query, no rows, values without a type, more bytes than allowed.
            EnvironmentFault: the database can't be reached or ends the connection, the disk is full.
        """
        with self._asked(sql) as result:
            names = self._names(result)
            batches = row_batches(names, result.partitions(BATCH_ROWS), _KEY)
            return write_rows(batches, path, max_bytes=max_bytes, key=_KEY)

    def look(self, sql: str) -> str:
        """How many rows a query gives, and the first of them.

        Raises:
            SpecError: a fault in the query.
            EnvironmentFault: as `write`.
        """
        with self._asked(sql) as result:
            first = result.fetchmany(_LOOKED_AT)
            said = [self._names(result), *(tuple(row) for row in first)]
        if len(first) < _LOOKED_AT:
            return repr(said)
        with self._asked(f"select count(*) from (\n{sql}\n) fiat_rows") as result:
            return repr([*said, result.scalar()])

    def _names(self, result: Any) -> list[str]:
        if not result.returns_rows:
            raise SpecError(f"{_KEY}: the statement gives no rows", hint="write a query")
        names = [str(name) for name in result.keys()]  # noqa: SIM118 - no mapping
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise SpecError(f"{_KEY}: two columns are named {twice[0]!r}", hint="name them with `as`")
        return names

    @contextlib.contextmanager
    def _asked(self, sql: str) -> Iterator[Any]:
        """The result of a query in a transaction that only reads, and is rolled back."""
        engine = self._engine()
        errors = self.library.exc
        try:
            with self._connection(engine) as connection:
                read_only = _READ_ONLY.get(engine.dialect.name)
                try:
                    if read_only:
                        connection.exec_driver_sql(read_only)
                    if engine.dialect.name == "sqlite":
                        # `query_only` lets ATTACH make files, anywhere.
                        connection.connection.driver_connection.set_authorizer(_only_reads)
                    options = {"stream_results": True, "max_row_buffer": BATCH_ROWS}
                    yield connection.execution_options(**options).exec_driver_sql(sql)
                except errors.DBAPIError as error:
                    raise self._fault(error, connection, sql) from None
                except errors.SQLAlchemyError as error:
                    raise SpecError(f"{_KEY}: {self._said(error)}") from None
        finally:
            engine.dispose()

    def _engine(self) -> Any:
        try:
            return self.library.create_engine(self.url, poolclass=self.library.pool.NullPool)
        except self.library.exc.NoSuchModuleError:
            raise EnvironmentFault(
                f"{self.name}: SQLAlchemy has no dialect {self.url.drivername}",
                hint="pip install its dialect",
            ) from None
        except ModuleNotFoundError as error:
            package = _DRIVERS.get(error.name or "", error.name or "the driver")
            raise EnvironmentFault(
                f"{self.name}: the driver {error.name} for {self.url.drivername} is not installed",
                hint=f"pip install '{package}'",
            ) from None
        except (self.library.exc.SQLAlchemyError, TypeError, ValueError) as error:
            raise EnvironmentFault(f"{self.name}: {self._said(error)}") from None

    @contextlib.contextmanager
    def _connection(self, engine: Any) -> Iterator[Any]:
        try:
            connection = engine.connect()
        except Exception as error:  # a driver's own kind too
            raise EnvironmentFault(
                f"the database of {self.name} can't be reached: {self._said(error)}",
                hint="is the URL right, and the database there?",
            ) from None
        try:
            yield connection
        finally:
            with contextlib.suppress(self.library.exc.SQLAlchemyError):
                connection.rollback()
            connection.close()

    def _fault(self, error: Any, connection: Any, sql: str) -> SpecError | EnvironmentFault:
        if error.connection_invalidated or isinstance(error, self.library.exc.InterfaceError):
            return EnvironmentFault(
                f"the database of {self.name} ended: {self._said(error)}", hint="try again"
            )
        place = self._place(connection, sql)
        return SpecError(f"{_KEY}: {self._said(error)}{place}", hint="try the query in the database")

    def _place(self, connection: Any, sql: str) -> str:
        """Where PostgreSQL finds the fault; it was asked for a cursor, whose words stand before the query's."""
        if connection.dialect.name != "postgresql":
            return ""
        connection.rollback()
        before = "EXPLAIN\n"
        try:
            connection.execution_options(stream_results=False).exec_driver_sql(before + sql)
        except self.library.exc.DBAPIError as error:
            position = getattr(getattr(error.orig, "diag", None), "statement_position", None)
            if position and int(position) > len(before):
                upto = sql[: int(position) - len(before) - 1]
                line, column = upto.count("\n") + 1, len(upto) - (upto.rfind("\n") + 1) + 1
                return f", at line {line}, column {column}"
        return ""

    def _said(self, error: BaseException) -> str:
        said = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
        return self.redactor.text(said.splitlines()[0])[:500]


def _only_reads(action: int, *_: object) -> int:
    """What SQLite may do for a query.

    Source: https://www.sqlite.org/c3ref/c_alter_table.html
    """
    return sqlite3.SQLITE_OK if action in _SQLITE_READS else sqlite3.SQLITE_DENY


def open_database(name: str, request: SourceRequest) -> Database:
    """The database of a secret; nothing is asked yet.

    Args:
        name: of the secret.
        request: of the source.

    Raises:
        SpecError: the operator does not grant it.
        EnvironmentFault: no secret, no SQLAlchemy, or something that is no URL.
    """
    text = request.env.get(name)
    if not text:
        raise EnvironmentFault(f"the secret {name} is not set", hint="it holds the database's URL")
    try:
        library = importlib.import_module("sqlalchemy")
        url = library.make_url(text)
    except ModuleNotFoundError as error:
        raise EnvironmentFault("SQLAlchemy is not installed", hint="pip install 'fiat-ml[sql]'") from error
    except Exception:  # whatever is said of it holds the URL
        raise EnvironmentFault(
            f"the secret {name} holds no database URL",
            hint="such as postgresql://user:password@host/database",
        ) from None
    redactor = Redactor([text, *filter(None, [str(url.password or "")])])
    return Database(name, _granted(url, request), library, redactor)


def _granted(url: Any, request: SourceRequest) -> Any:
    """The URL as it is used: a file is looked for in the checkout, and only read."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url, request)
    policy = request.confinement
    hosts = [url.host, url.query.get("host"), url.query.get("hostaddr")]
    for host in (str(host) for host in hosts if host):
        if policy.confined and not policy.grants_host(host):
            raise SpecError(f"source.connection: the operator does not grant the host {host}")
    if policy.confined and policy.data_hosts and not any(hosts):
        raise SpecError("source.connection: the operator grants hosts, and the URL names none")
    # SQLAlchemy 2.0 takes another driver for it, which is rarely there.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _sqlite(url: Any, request: SourceRequest) -> Any:
    named = url.database or ""
    if not named or named.startswith(("file:", ":memory:")):
        raise EnvironmentFault("the URL names no file", hint="such as sqlite:///data/some.db")
    path = named_path(named, request.root, request.confinement, "source.connection")
    if not path.is_file():
        raise SpecError(f"source.connection: there is no database {named}")
    return url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
