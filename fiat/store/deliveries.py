"""What forges told: table `deliveries`. Each one is taken once, however often it comes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fiat.run.delivery import Commented, Delivery, Rerequested
from fiat.run.queue import Change
from fiat.store.changes import add_changes_within
from fiat.store.database import Database, Transaction, Value
from fiat.store.outbox import Addressed
from fiat.store.queue_rows import DELIVERY_COLUMNS, among, delivery_keys, delivery_row, marks, read_delivery
from fiat.store.rows import read_time

TakenState = Literal["new", "again", "replay"]
# What is counted has few names, so that metrics have few labels; the rest is counted together.
_EVENTS = 200
_OTHER = "other"
_NOTE_CHARACTERS = 1000
_TOLD = "SELECT says, id FROM deliveries WHERE says IN () AND state IN ('received', 'done')"


@dataclass(frozen=True)
class Wanted:
    """A change that a delivery asks for, with what is said of it at once.

    Attributes:
        change: the commit that wants attention.
        reports: its first reports; not written when the change was there already.
    """

    change: Change
    reports: tuple[Addressed, ...] = ()


@dataclass(frozen=True)
class Taking:
    """A delivery that is to be taken, and what it comes to.

    Attributes:
        delivery: whose signature was right.
        wanted: the changes that it asks for.
        later: it has something that is to be done later and is given by `received` until then; None to tell from
            its happenings (comments and buttons are for later).
    """

    delivery: Delivery
    wanted: tuple[Wanted, ...] = ()
    later: bool | None = None


class Deliveries:
    """Takes deliveries. Safe to use from several processes at once.

    Args:
        database: where they are.
        now: the clock, aware.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def take(self, items: Sequence[Taking]) -> list[TakenState]:
        """Write deliveries with their changes and first reports, all in one transaction.

        Returns:
            For each one: `new`; `again` for one whose id was taken before, unless that failed; `replay` for another id
            with a body that was taken before. Nothing comes of the last two; a replay is recorded.

        Raises:
            EnvironmentFault: the database or the disk refused; none of them was taken.
        """
        now = self._now()
        with self._database.write() as transaction:
            taken = _take(transaction, items, now)
            _count(transaction, [(one.delivery, state) for one, state in zip(items, taken, strict=True)])
        return taken

    def received(self, limit: int = 100) -> list[tuple[int, Delivery]]:
        """Deliveries with something to do later, each with its key, the oldest first."""
        rows = self._database.read(
            f"SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE state = 'received' ORDER BY sequence LIMIT ?",
            (limit,),
        )
        return [(int(row[0] or 0), read_delivery(row)) for row in rows]

    def age_s(self, key: int) -> float:
        """How long ago a delivery was taken, seconds; 0 when it is not there."""
        rows = self._database.read("SELECT taken_at FROM deliveries WHERE sequence = ?", (key,))
        taken_at = read_time(rows[0][0]) if rows else None
        return (self._now() - taken_at).total_seconds() if taken_at is not None else 0.0

    def done(self, key: int, note: str = "") -> None:
        """All of it was done."""
        self._end(key, "done", note)

    def failed(self, key: int, note: str) -> None:
        """It could not be done; when the forge sends it again, it is taken again."""
        self._end(key, "failed", note)

    def counts(self) -> Mapping[tuple[str, str, str], int]:
        """How often each (forge, event, outcome) came; outcomes are those of `take` and `failed`. Only ever grows."""
        rows = self._database.read("SELECT forge, event, outcome, total FROM tallies")
        return {(str(forge), str(event), str(outcome)): int(n or 0) for forge, event, outcome, n in rows}

    def _end(self, key: int, state: Literal["done", "failed"], note: str) -> None:
        with self._database.write() as transaction:
            ended = transaction.execute(
                f"UPDATE deliveries SET state = ?, note = ? WHERE sequence = ? AND state = 'received' "
                f"RETURNING {DELIVERY_COLUMNS}",
                (state, note[:_NOTE_CHARACTERS], key),
            )
            if state == "failed":
                _count(transaction, [(read_delivery(row), "failed") for row in ended])


def _take(transaction: Transaction, items: Sequence[Taking], now: datetime) -> list[TakenState]:
    keys = [delivery_keys(item.delivery) for item in items]
    ids = [known_as for known_as, _ in keys]
    rows_known = among(transaction, "SELECT known_as, state FROM deliveries WHERE known_as IN ()", ids)
    known = {str(row[0]): str(row[1]) for row in rows_known}
    told = {str(row[0]): str(row[1]) for row in among(transaction, _TOLD, [says for _, says in keys if says])}
    highest = int(transaction.execute("SELECT COALESCE(MAX(sequence), 0) FROM deliveries")[0][0] or 0)
    outcomes: list[TakenState] = []
    rows: list[tuple[Value, ...]] = []
    wanted: list[Wanted] = []
    for item, (known_as, says) in zip(items, keys, strict=True):
        if known.get(known_as, "failed") != "failed":
            outcomes.append("again")
            continue
        if known_as in known:
            transaction.execute("DELETE FROM deliveries WHERE known_as = ?", (known_as,))
        highest += 1
        replay = says in told
        known[known_as] = "replay" if replay else _state(item)
        note = f"the same body as {told[says]}" if replay else ""
        rows.append(delivery_row(highest, item.delivery, known[known_as], note, now))
        if not replay:
            wanted += item.wanted
            if says:
                told[says] = item.delivery.id
        outcomes.append("replay" if replay else "new")
    transaction.execute_many(
        f"INSERT INTO deliveries ({DELIVERY_COLUMNS}) VALUES ({marks(DELIVERY_COLUMNS)})", rows
    )
    add_changes_within(transaction, [(one.change, one.reports) for one in wanted], now)
    return outcomes


def _state(item: Taking) -> str:
    later = item.later
    if later is None:
        later = any(isinstance(one, (Commented, Rerequested)) for one in item.delivery.happenings)
    return "received" if later else "done"


def _count(transaction: Transaction, outcomes: Sequence[tuple[Delivery, str]]) -> None:
    sums: dict[tuple[str, str, str], int] = {}
    for delivery, outcome in outcomes:
        key = (delivery.forge, delivery.event, outcome)
        sums[key] = sums.get(key, 0) + 1
    known = {tuple(row) for row in transaction.execute("SELECT forge, event FROM tallies")}
    for (forge, event, outcome), n in sums.items():
        fits = (forge, event) in known or len(known) < _EVENTS
        known.add((forge, event if fits else _OTHER))
        transaction.execute(
            "INSERT INTO tallies (forge, event, outcome, total) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (forge, event, outcome) DO UPDATE SET total = tallies.total + excluded.total",
            (forge, event if fits else _OTHER, outcome, n),
        )
