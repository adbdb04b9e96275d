"""Small things that a loop remembers over restarts (heads seen last, ticks of schedules): table `marks`."""

from fiat.store.database import Database
from fiat.store.rows import digest_text

# PostgreSQL refuses long keys; names that strangers choose may be part of one.
_KEY_CHARACTERS = 300


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
        """The number of a run's deploy to a target: one more than the last run's, and the same again for the same run."""
        key = _short(f"generation {target}")
        with self._database.write() as transaction:
            rows = transaction.execute("SELECT value FROM marks WHERE key = ?", (key,))
            number, _, last = str(rows[0][0]).partition(" ") if rows else ("0", "", "")
            if last == run:
                return int(number)
            transaction.execute(
                "INSERT INTO marks (key, value) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, f"{int(number) + 1} {run}"),
            )
        return int(number) + 1

    def drop(self, key: str) -> None:
        """Forget it."""
        with self._database.write() as transaction:
            transaction.execute("DELETE FROM marks WHERE key = ?", (_short(key),))


def _short(key: str) -> str:
    return key if len(key) <= _KEY_CHARACTERS else f"{key[:_KEY_CHARACTERS]}~{digest_text(key)}"
