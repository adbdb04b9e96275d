"""Small things that a loop remembers over restarts (heads seen last, ticks of schedules): table `marks`."""

import json

from fiat.store.database import Database
from fiat.store.rows import digest_text

# PostgreSQL refuses long keys; names that strangers choose may be part of one.
_KEY_CHARACTERS = 300
_RUNS_KEPT = 50


class Marks:
    """Texts by key. Safe to use from several processes at once; the last one to write wins.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        """What was set, or None."""
        rows = self._database.read("SELECT value FROM marks WHERE key = ?", (_short(key),))
        return str(rows[0][0]) if rows else None

    def set(self, key: str, value: str) -> None:
        """Remember a text, durably; nothing is written when it is there already."""
        if self.get(key) == value:
            return
        with self._database.write() as transaction:
            transaction.execute(
                "INSERT INTO marks (key, value) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (_short(key), value),
            )

    def generation(self, target: str, run: str) -> int:
        """The number of a run's deploy to a target: it grows from run to run, and a run keeps the one it got first."""
        key = _short(f"generation {target}")
        with self._database.write() as transaction:
            rows = transaction.execute("SELECT value FROM marks WHERE key = ?", (key,))
            given: dict[str, int] = json.loads(str(rows[0][0])) if rows else {}
            if run in given:
                return given[run]
            number = max(given.values(), default=0) + 1
            newest = dict(sorted({**given, run: number}.items(), key=lambda item: item[1])[-_RUNS_KEPT:])
            transaction.execute(
                "INSERT INTO marks (key, value) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, json.dumps(newest)),
            )
        return number

    def drop(self, key: str) -> None:
        """Forget it."""
        with self._database.write() as transaction:
            transaction.execute("DELETE FROM marks WHERE key = ?", (_short(key),))


def _short(key: str) -> str:
    return key if len(key) <= _KEY_CHARACTERS else f"{key[:_KEY_CHARACTERS]}~{digest_text(key)}"
