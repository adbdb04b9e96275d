"""One thin layer over SQLite and PostgreSQL: the same SQL text on both, one connection guarded by one lock."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

Value = str | int | float | None
Row = tuple[Value, ...]


class Backend(Protocol):
    """What differs between the databases. Implemented by `sqlite_file.SqliteFile` and `postgres.PostgresServer`."""

    place: str

    def execute(self, sql: str, values: Sequence[Value]) -> list[Row]:
        """Run one statement, in a transaction of its own unless one is open."""
        ...

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        """Run one statement for each row."""
        ...

    def begin(self) -> None:
        """Start a transaction that will write; waits for every other one, of any process, to end."""
        ...

    def commit(self) -> None:
        """Make it durable; when this returns, a power cut does not undo it."""
        ...

    def rollback(self) -> None:
        """Forget it; never raises."""
        ...

    def close(self) -> None:
        """Give the connection back; calling it twice is fine."""
        ...


class Transaction:
    """Statements that become durable together. Given by `Database.write`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def execute(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """Run one statement with `?` for each value; gives its rows, none for most writes.

        Raises:
            EnvironmentFault: the database refused.
        """
        return self._backend.execute(sql, storable(values))

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        """Run one statement for each row of values.

        Raises:
            EnvironmentFault: the database refused.
        """
        if rows:
            self._backend.execute_many(sql, [storable(row) for row in rows])


class Database:
    """Reads and writes of one process. Threads may share it; other processes open their own.

    Args:
        backend: the connection.
        guard: run at the beginning of each transaction; what it raises ends it before anything is written.
    """

    def __init__(self, backend: Backend, guard: Callable[[Transaction], None] | None = None) -> None:
        self._backend = backend
        self._guard = guard
        self._lock = threading.RLock()

    @property
    def place(self) -> str:
        """Where it is, for people: a path, or a server without its password."""
        return self._backend.place

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """Run one query with `?` for each value.

        Raises:
            EnvironmentFault: the database refused.
        """
        with self._lock:
            return self._backend.execute(sql, storable(values))

    @contextmanager
    def write(self, *, guarded: bool = True) -> Iterator[Transaction]:
        """One transaction: durable when the block ends, undone when it raises.

        Only one at a time goes on, of all threads and processes that use this database.

        Args:
            guarded: ask the guard first; False for what looks at the fence itself.

        Raises:
            EnvironmentFault: the database refused; nothing of the block was kept. When it was the answer to the last
                word that got lost, all of it was kept: what is written must bear to be written twice.
            Fenced: the guard refused.
        """
        with self._lock:
            try:
                self._backend.begin()
                transaction = Transaction(self._backend)
                if guarded and self._guard is not None:
                    self._guard(transaction)
                yield transaction
                self._backend.commit()
            except BaseException:
                self._backend.rollback()
                raise

    def close(self) -> None:
        """Give the connection back; calling it twice is fine."""
        with self._lock:
            self._backend.close()


def storable(values: Sequence[Value]) -> Sequence[Value]:
    """Text that both databases can hold: no NUL, no half surrogate (a file name that is not UTF-8 has them)."""
    for value in values:
        if isinstance(value, str) and (not value.isascii() or "\0" in value):
            return [_clean(value) if isinstance(value, str) else value for value in values]
    return values


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
