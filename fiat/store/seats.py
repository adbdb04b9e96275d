"""Roles that one process has at a time (`sender`, `reconciler`): table `seats`. No clock decides who has one."""

from dataclasses import dataclass

from fiat.errors import Fenced
from fiat.store.database import Database, Row


@dataclass(frozen=True)
class Seat:
    """A role and who has it.

    Attributes:
        name: of the role.
        holder: `host:pid:start`; empty when nobody has it.
        fence: grows each time it changes hands.
        beat: grows while its holder lives; who sees it stand still by his own monotonic clock may seize it.
    """

    name: str
    holder: str
    fence: int
    beat: int


class Seats:
    """Gives roles. Safe to use from several processes at once.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str) -> Seat | None:
        """Take a role that nobody has, or that this holder has already; None when somebody else has it."""
        with self._database.write() as transaction:
            rows = transaction.execute(
                "INSERT INTO seats (name, holder, fence, beat) VALUES (?, ?, 1, 1) "
                "ON CONFLICT (name) DO UPDATE SET beat = seats.beat + 1, holder = excluded.holder, "
                "fence = seats.fence + CASE seats.holder WHEN '' THEN 1 ELSE 0 END "
                "WHERE seats.holder = '' OR seats.holder = excluded.holder RETURNING name, holder, fence, beat",
                (name, holder),
            )
        return _read_seat(rows[0]) if rows else None

    def beat(self, seat: Seat) -> None:
        """Show that its holder lives.

        Raises:
            Fenced: another process has the role.
        """
        with self._database.write() as transaction:
            rows = transaction.execute(
                "UPDATE seats SET beat = beat + 1 WHERE name = ? AND fence = ? AND holder = ? RETURNING beat",
                (seat.name, seat.fence, seat.holder),
            )
        if not rows:
            raise Fenced(f"another process is the {seat.name} now", hint="stop doing its work")

    def give(self, seat: Seat) -> None:
        """Leave the role to whoever comes; when another process has it already, nothing happens."""
        with self._database.write() as transaction:
            transaction.execute(
                "UPDATE seats SET holder = '' WHERE name = ? AND fence = ? AND holder = ?",
                (seat.name, seat.fence, seat.holder),
            )

    def look(self, name: str) -> Seat:
        """Who has the role; an empty holder for nobody."""
        rows = self._database.read("SELECT name, holder, fence, beat FROM seats WHERE name = ?", (name,))
        return _read_seat(rows[0]) if rows else Seat(name, "", 0, 0)

    def seize(self, seen: Seat, holder: str) -> Seat | None:
        """Take the role from a holder whose beat stands still.

        Args:
            seen: as `look` gave it; when its holder beat since then, or it changed hands, nothing happens.
            holder: who takes it.
        """
        with self._database.write() as transaction:
            rows = transaction.execute(
                "UPDATE seats SET holder = ?, fence = fence + 1, beat = beat + 1 "
                "WHERE name = ? AND fence = ? AND beat = ? RETURNING name, holder, fence, beat",
                (holder, seen.name, seen.fence, seen.beat),
            )
        return _read_seat(rows[0]) if rows else None


def _read_seat(row: Row) -> Seat:
    name, holder, fence, beat = row
    return Seat(str(name), str(holder), int(fence or 0), int(beat or 0))
