"""The store on a PostgreSQL server: connecting, and what differs from SQLite. psycopg is loaded when a URL asks for it."""

import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fiat.errors import EnvironmentFault
from fiat.store.database import Row, Value
from fiat.store.faults import newer_version
from fiat.store.schema import Schema

CONNECT_TIMEOUT_S = 10
BUSY_TIMEOUT_S = 30.0
# A server that a broken network hides is given up after this time instead of hours.
_NETWORK = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# A process that was frozen in the middle of a transaction would keep every other one waiting: the server ends it.
# What a server's settings could take from a commit's promise is put right.
_SESSION = """
    SET search_path TO fiat;
    SET lock_timeout TO '{timeout_ms}ms';
    SET idle_in_transaction_session_timeout TO '{timeout_ms}ms';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
# One writer at a time, as on SQLite: what a transaction read stays true until it commits. The number only has
# to be ours alone: advisory locks of one database share one name space. The level is said because at a stricter
# one, which a server may have as its default, the view would be older than the lock.
_BEGIN = f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({0x46494154})"

_T = TypeVar("_T")


class PostgresServer:
    """A database on a server. See `database.Backend` for what the methods mean.

    The tables live in a schema named `fiat`, beside whatever else the database holds.

    Args:
        url: `postgresql://user@host/database`.
        schema: the tables it must have.
        busy_timeout_s: how long to wait for another process's transaction, and how long the server waits for the next
            word of a process within one.

    Raises:
        EnvironmentFault: psycopg is missing, the server can't be reached, its database is not UTF8, or the
            store there is of a newer version.
    """

    def __init__(self, url: str, schema: Schema, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.place = _without_password(url)
        self._url = url
        self._session = _SESSION.format(timeout_ms=int(busy_timeout_s * 1000))
        self._driver = _load_driver()
        self._in_transaction = False
        self._connection = self._connect()
        try:
            self._guard(lambda: self._prepare(schema))
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, values: Sequence[Value]) -> list[Row]:
        """Run one statement. Outside a transaction a lost connection is made again, and a query asked again."""
        if self._connection.closed and not self._in_transaction:
            self._connection = self._connect()
        try:
            return self._execute(sql, values)
        except self._driver.OperationalError as error:
            if self._in_transaction or not self._connection.closed or not sql.startswith(("SELECT", "WITH")):
                raise self._fault(error) from error
        except self._driver.Error as error:
            raise self._fault(error) from error
        self._connection = self._connect()
        return self._guard(lambda: self._execute(sql, values))

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        """Run one statement for each row."""

        def work() -> None:
            with self._connection.cursor() as cursor:
                cursor.executemany(_translated(sql), rows)

        self._guard(work)

    def begin(self) -> None:
        """Start a transaction that will write, alone."""
        try:
            try:
                self._connection.execute(_BEGIN)
            except self._driver.OperationalError:
                if not self._connection.closed:
                    raise
                # The server was restarted since the last statement; nothing of this transaction was said yet.
                self._connection = self._connect()
                self._connection.execute(_BEGIN)
        except self._driver.Error as error:
            self.rollback()
            raise self._fault(error) from error
        self._in_transaction = True

    def commit(self) -> None:
        """Make it durable."""
        self._guard(lambda: self._connection.execute("COMMIT"))
        self._in_transaction = False

    def rollback(self) -> None:
        """Forget it."""
        self._in_transaction = False
        with suppress(self._driver.Error):
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Give the connection back."""
        with suppress(self._driver.Error):
            self._connection.close()

    def _connect(self) -> Any:
        try:
            connection = self._driver.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_TIMEOUT_S,
                client_encoding="utf8",
                **_NETWORK,
            )
            connection.execute(self._session)
        except self._driver.Error as error:
            raise EnvironmentFault(
                f"no connection to the store {self.place}: {_first_line(error)}",
                hint="check that the server runs and that the URL names a database and a user that it knows",
            ) from error
        return connection

    def _prepare(self, schema: Schema) -> None:
        encoding = self._connection.execute("SHOW server_encoding").fetchone()[0]
        if encoding != "UTF8":
            raise EnvironmentFault(
                f"the database of the store {self.place} has encoding {encoding}, expected UTF8",
                hint="make one with: createdb --encoding=UTF8 --template=template0 NAME",
            )
        if self._version() == schema.version:
            return
        self._connection.execute(_BEGIN)
        try:
            self._raise_version(schema)
            self._connection.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise

    def _raise_version(self, schema: Schema) -> None:
        """Make the tables or bring them up to date; another process may have done it while we waited."""
        found = self._version()
        if found > schema.version:
            raise newer_version(self.place, found, schema.version)
        if found == schema.version:
            return
        if not found:
            self._connection.execute("CREATE SCHEMA IF NOT EXISTS fiat")
            statements = list(schema.tables)
        else:
            statements = [
                one for version in range(found, schema.version) for one in schema.migrations[version]
            ]
        for statement in statements:
            # Text compares by byte as in SQLite, whatever the database's language is.
            self._connection.execute(statement.replace(" TEXT", ' TEXT COLLATE "C"'))
        self._connection.execute(
            "INSERT INTO meta (key, value) VALUES ('schema_version', %s) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (str(schema.version),),
        )

    def _version(self) -> int:
        """The store's version there, 0 when there is no store."""
        # Not `to_regclass`: it answers from a cache that does not yet know what another process has just committed.
        tables = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = 'fiat' AND tablename = 'meta'"
        if self._connection.execute(tables).fetchone() is None:
            return 0
        row = self._connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        return int(row[0]) if row else 0

    def _execute(self, sql: str, values: Sequence[Value]) -> list[Row]:
        cursor = self._connection.execute(_translated(sql), values)
        return cursor.fetchall() if cursor.description else []

    def _guard(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except self._driver.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> EnvironmentFault:
        if isinstance(error, self._driver.errors.LockNotAvailable):
            return EnvironmentFault(
                f"another process keeps the store {self.place} locked",
                hint="wait until it ends, or end it, and try again",
            )
        return EnvironmentFault(
            f"the store {self.place} does not answer as it should: {_first_line(error)}",
            hint="check the server and its log, then try again; what was committed is kept",
        )


def _load_driver() -> Any:
    try:
        return importlib.import_module("psycopg")
    except ImportError as error:
        raise EnvironmentFault(
            "a store on PostgreSQL needs psycopg", hint="pip install 'fiat-ml[postgres]'"
        ) from error


@lru_cache(maxsize=256)
def _translated(sql: str) -> str:
    """The one place where placeholders change; no statement of ours has a `?` or `%` of its own."""
    return sql.replace("?", "%s")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
