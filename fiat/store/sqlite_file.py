"""The store in one SQLite file: how it is made, checked and opened, and what its settings are."""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from fiat.store.database import Row, Value
from fiat.store.faults import cut_file, disk_faults, fault_of_sqlite, foreign_file, newer_version, no_database
from fiat.store.schema import Schema
from fiat.store.turnstile import Turnstile

BUSY_TIMEOUT_S = 30.0
# Below this version a WAL that is reset while another process reads can damage the file.
# Source: SQLite 3.51.3 release notes, "WAL-reset bug".
_FIRST_SAFE_WAL = (3, 51, 3)
_HEADER = b"SQLite format 3\0"
_PAGE_BYTES = 4096
_PAGE_SIZES = [512 << shift for shift in range(8)]

_T = TypeVar("_T")


class SqliteFile:
    """A database in a file. See `database.Backend` for what the methods mean.

    A commit is on the disk when it returns: `synchronous=EXTRA` with a rollback journal, `FULL` with a WAL.

    Args:
        path: the file; made when it is missing.
        schema: the tables it must have.

    Raises:
        EnvironmentFault: no store, cut, damaged, of a newer version, or the disk refused.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self.place = str(path)
        self._path = path
        self._turnstile = Turnstile(path.with_name(f"{path.name}-wait"), BUSY_TIMEOUT_S)
        if not path.exists():
            _make(path, schema)
        _check_header(path)
        self._connection = self._guard(lambda: _connect(path))
        try:
            self._guard(lambda: self._prepare(schema))
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, values: Sequence[Value]) -> list[Row]:
        """Run one statement."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if not _is_busy(error) or self._connection.in_transaction:
                raise fault_of_sqlite(error, self._path) from error
        return self._guard(lambda: self._insist(lambda: self._connection.execute(sql, values).fetchall()))

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        """Run one statement for each row."""
        self._guard(lambda: self._connection.executemany(sql, rows))

    def begin(self) -> None:
        """Start a transaction that will write, alone."""
        self._turnstile.give_way()
        self._guard(lambda: self._insist(lambda: self._connection.execute("BEGIN IMMEDIATE")))

    def commit(self) -> None:
        """Make it durable."""
        self._guard(lambda: self._insist(lambda: self._connection.execute("COMMIT")))
        self._turnstile.leave()

    def rollback(self) -> None:
        """Forget it."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Give the connection back."""
        with suppress(sqlite3.Error):
            self._connection.close()
        self._turnstile.close()

    def _prepare(self, schema: Schema) -> None:
        # The version comes first: a newer store must stay as it is, to the byte.
        try:
            version = self._version()
        except sqlite3.DatabaseError:
            _check_length(self._path)  # the table of tables may have been in what was cut off
            raise
        if version > schema.version:
            raise newer_version(self.place, version, schema.version)
        _check_size(self._connection, self._path)
        if sqlite3.sqlite_version_info < _FIRST_SAFE_WAL:
            self._connection.execute("PRAGMA journal_mode=TRUNCATE")
            self._connection.execute("PRAGMA synchronous=EXTRA")
        else:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
        if version < schema.version:
            self._migrate(schema)
        # From here on the turnstile waits. It is better at it.
        self._connection.execute("PRAGMA busy_timeout=0")

    def _version(self) -> int:
        tables = self._connection.execute("SELECT name FROM sqlite_master WHERE name = 'meta'").fetchall()
        if not tables:
            raise foreign_file(self._path)
        found = self._connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall()
        if not found or not str(found[0][0]).isdigit():
            raise foreign_file(self._path)
        return int(found[0][0])

    def _migrate(self, schema: Schema) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            found = self._version()  # another process may have been quicker, and of another version
            if found > schema.version:
                raise newer_version(self.place, found, schema.version)
            for version in range(found, schema.version):
                for statement in schema.migrations[version]:
                    self._connection.execute(statement)
            _write_version(self._connection, schema)
            self._connection.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise

    def _insist(self, attempt: Callable[[], _T]) -> _T:
        return self._turnstile.insist(attempt, _is_busy)

    def _guard(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except sqlite3.Error as error:
            raise fault_of_sqlite(error, self._path) from error


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _connect(path: Path) -> sqlite3.Connection:
    # The one connection is shared by threads; `Database` holds the lock.
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def _make(path: Path, schema: Schema) -> None:
    """Make the file whole under another name first: a kill leaves either no store or a complete one."""
    draft = path.with_name(f"{path.name}.new-{os.getpid()}-{time.monotonic_ns()}")
    with disk_faults(path):
        try:
            connection = _connect(draft)
            try:
                connection.execute("PRAGMA synchronous=EXTRA")
                connection.execute("BEGIN IMMEDIATE")
                for statement in schema.tables:
                    connection.execute(statement)
                _write_version(connection, schema)
                connection.execute("COMMIT")
            finally:
                connection.close()
            _publish(draft, path)
        except sqlite3.Error as error:
            raise fault_of_sqlite(error, path) from error
        finally:
            draft.unlink(missing_ok=True)
            draft.with_name(f"{draft.name}-journal").unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    """Give the complete file its name, unless another process was quicker: its store is as good."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links: a rename, which only two first uses at the same moment could turn wrong.
        if not path.exists():
            draft.replace(path)


def _write_version(connection: sqlite3.Connection, schema: Schema) -> None:
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('schema_version', ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (str(schema.version),),
    )


def _check_header(path: Path) -> None:
    """Say what is wrong with a file that is no database at all, before SQLite touches it."""
    with disk_faults(path), path.open("rb") as file:
        header = file.read(len(_HEADER))
    if header == _HEADER:
        return
    if _HEADER.startswith(header):
        raise cut_file(path, len(header), _PAGE_BYTES)
    raise no_database(path)


def _check_length(path: Path) -> None:
    """Say that a file is cut when it is shorter than its own header says.

    Source: SQLite's file format, "In-header database size": page size at byte 16, pages at byte 28, big-endian.
    """
    with path.open("rb") as file:
        head = file.read(100)
    if len(head) < 100:
        raise cut_file(path, len(head), _PAGE_BYTES)
    page_bytes = int.from_bytes(head[16:18], "big")
    page_bytes = 65536 if page_bytes == 1 else page_bytes
    if page_bytes not in _PAGE_SIZES:
        raise no_database(path)
    wanted_bytes = page_bytes * int.from_bytes(head[28:32], "big")
    size_bytes = path.stat().st_size
    if size_bytes < wanted_bytes:
        raise cut_file(path, size_bytes, wanted_bytes)


def _check_size(connection: sqlite3.Connection, path: Path) -> None:
    """Compare the file's length with the number of pages in its header; under a read lock, so no writer is in it."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return  # the newest pages may still be in the log
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT 1 FROM meta").fetchone()
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        size_bytes = path.stat().st_size
    finally:
        connection.execute("COMMIT")
    if size_bytes < pages * page_bytes:
        raise cut_file(path, size_bytes, pages * page_bytes)
