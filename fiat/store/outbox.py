"""Reports on their way to the forges: tables `outbox` and `channels`.

A report goes out at least once, in order within its channel, and of what waits in a channel only the newest is kept: the
older row becomes `replaced` instead of vanishing, since it may be on the wire just now.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from fiat.run.report import Letter, OutboxItem, Report
from fiat.store.database import Database, Row, Transaction, Value
from fiat.store.queue_rows import among, key_of, marks
from fiat.store.report_codec import pack_report, unpack_report
from fiat.store.rows import digest_text, write_time

Addressed = tuple[str, str, Report]
"""Repository by its name in the runner's settings, channel, and what is to be said there."""

LONGEST_WAIT_S = 6 * 3600.0
_REASON_CHARACTERS = 1000
_COLUMNS = (
    "id, address, repo, channel, state, attempt, reason, report, digest, written_at, set_at, not_before"
)
_WAITING = (
    "SELECT address, id, digest, attempt, reason, set_at, not_before FROM outbox "
    "WHERE address IN () AND state = 'waiting'"
)


class Outbox:
    """What waits to be sent. Safe to use from several processes at once.

    Args:
        database: where it is.
        now: the clock, aware.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def add(self, items: Iterable[Addressed]) -> None:
        """Write reports, in one transaction; what the forge was told last already is left out."""
        with self._database.write() as transaction:
            add_reports_within(transaction, items, self._now())

    def due(self, limit: int = 50, *, skip: Sequence[str] = ()) -> list[OutboxItem]:
        """The newest report of each channel whose time has come, in the order of writing.

        Whoever sends takes one of a channel at a time: the next one of a channel is due when `sent`, `later` or `dead`
        was said of the one before, or a newer one took its place.

        Args:
            limit: most items.
            skip: repositories to leave out for now.
        """
        now = write_time(self._now())
        beside = f" AND outbox.repo NOT IN ({', '.join('?' * len(skip))})" if skip else ""
        rows = self._database.read(
            "SELECT outbox.id, outbox.repo, outbox.channel, outbox.report, outbox.attempt, channels.memory "
            "FROM outbox LEFT JOIN channels ON channels.address = outbox.address "
            "WHERE outbox.state = 'waiting' AND (outbox.not_before <= ? OR outbox.set_at > ?)"
            f"{beside} ORDER BY outbox.id LIMIT ?",
            (now, now, *skip, limit),
        )
        found: list[OutboxItem] = []
        for row in rows:
            try:
                found.append(_read_item(row))
            except (ValueError, TypeError, LookupError) as error:
                # A row that a later Fiat wrote, or a damaged one, must not stand in the way of all others.
                self.dead(int(row[0] or 0), f"the report can't be read: {error}")
        return found

    def sent(self, item_id: int, memory: str = "") -> None:
        """The forge has it. Saying it twice is fine.

        Args:
            item_id: of the outbox.
            memory: what to give with the next report of this channel.
        """
        now = write_time(self._now())
        with self._database.write() as transaction:
            rows = transaction.execute(
                "SELECT address, repo, channel, digest FROM outbox WHERE id = ? AND state <> 'sent'",
                (item_id,),
            )
            if not rows:
                return
            address, repo, channel, digest = rows[0]
            transaction.execute("UPDATE outbox SET state = 'sent', reason = '' WHERE id = ?", (item_id,))
            newest = transaction.execute("SELECT sent FROM channels WHERE address = ?", (address,))
            if newest and int(newest[0][0] or 0) > item_id:
                _send_again(transaction, str(address), int(newest[0][0] or 0))
                return
            transaction.execute(
                "INSERT INTO channels (address, repo, channel, memory, sent, digest, sent_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (address) DO UPDATE SET memory = excluded.memory, "
                "sent = excluded.sent, digest = excluded.digest, sent_at = excluded.sent_at",
                (address, repo, channel, memory, item_id, digest, now),
            )
            transaction.execute(
                "UPDATE outbox SET state = 'replaced' WHERE address = ? AND state = 'dead' AND id < ?",
                (address, item_id),
            )

    def later(self, item_id: int, after_s: float, reason: str) -> None:
        """It did not go out: try again.

        Args:
            item_id: of the outbox; when a newer report took its place meanwhile, nothing is to be done.
            after_s: wait at least this long, seconds, up to six hours. A clock that is put back ends the wait early.
            reason: what the forge said, one sentence.
        """
        now = self._now()
        until = now + timedelta(seconds=min(max(after_s, 0.0), LONGEST_WAIT_S))
        with self._database.write() as transaction:
            transaction.execute(
                "UPDATE outbox SET attempt = attempt + 1, reason = ?, set_at = ?, not_before = ? "
                "WHERE id = ? AND state = 'waiting'",
                (reason[:_REASON_CHARACTERS], write_time(now), write_time(until), item_id),
            )

    def dead(self, item_id: int, reason: str) -> None:
        """It will never go out unless somebody acts. A newer report of its channel is sent all the same."""
        with self._database.write() as transaction:
            put_aside = transaction.execute(
                "UPDATE outbox SET state = 'dead', attempt = attempt + 1, reason = ? "
                "WHERE id = ? AND state = 'waiting' RETURNING address",
                (reason[:_REASON_CHARACTERS], item_id),
            )
            # Whether the forge took it nobody knows: what was sent before must not count as what it shows.
            transaction.execute_many("UPDATE channels SET digest = '' WHERE address = ?", put_aside)

    def revive(self, repo: str = "") -> int:
        """Send dead letters after all, once what was wrong is mended; of each channel the newest.

        Args:
            repo: only those of this repository; empty for all.

        Returns:
            How many wait again.
        """
        now = write_time(self._now())
        with self._database.write() as transaction:
            rows = transaction.execute(
                "SELECT outbox.id, outbox.address, waiting.id, channels.sent FROM outbox "
                "LEFT JOIN outbox AS waiting ON waiting.address = outbox.address AND waiting.state = 'waiting' "
                "LEFT JOIN channels ON channels.address = outbox.address "
                "WHERE outbox.state = 'dead' AND (outbox.repo = ? OR ? = '') ORDER BY outbox.id DESC",
                (repo, repo),
            )
            seen: set[object] = set()
            revived = 0
            for item_id, address, waiting, sent in rows:
                newest = address not in seen and waiting is None and int(sent or 0) < int(item_id or 0)
                seen.add(address)
                revived += newest
                transaction.execute(
                    "UPDATE outbox SET state = ?, attempt = 0, set_at = ?, not_before = ? WHERE id = ?",
                    ("waiting" if newest else "replaced", now, now, item_id),
                )
        return revived

    def letters(self, state: Literal["waiting", "dead"], limit: int = 100) -> list[Letter]:
        """Reports that wait or could not be delivered, for people to see; the newest first."""
        rows = self._database.read(
            "SELECT id, repo, channel, attempt, reason, report FROM outbox "
            f"WHERE state = '{'dead' if state == 'dead' else 'waiting'}' ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [_read_letter(row, state) for row in rows]

    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many reports are `waiting` and `dead`, by (repository, state)."""
        counted: dict[tuple[str, str], int] = {}
        for state in ("waiting", "dead"):
            rows = self._database.read(
                f"SELECT repo, COUNT(*) FROM outbox WHERE state = '{state}' GROUP BY repo"
            )
            counted.update({(str(repo), state): int(count or 0) for repo, count in rows})
        return counted


def add_reports_within(transaction: Transaction, items: Iterable[Addressed], now: datetime) -> None:
    """`Outbox.add` as a part of a larger transaction."""
    # Of several for one channel only the last one counts.
    newest = {key_of(repo, channel): (repo, channel, pack_report(report)) for repo, channel, report in items}
    if not newest:
        return
    waiting = {str(row[0]): row for row in among(transaction, _WAITING, newest)}
    sent = among(transaction, "SELECT address, digest FROM channels WHERE address IN ()", newest)
    shown = {str(row[0]): row[1] for row in sent}
    last = int(transaction.execute("SELECT COALESCE(MAX(id), 0) FROM outbox")[0][0] or 0)
    replaced: list[tuple[Value, ...]] = []
    rows: list[tuple[Value, ...]] = []
    stamp = write_time(now)
    for address, (repo, channel, text) in newest.items():
        digest, before = digest_text(text), waiting.get(address)
        if digest == (before[2] if before else shown.get(address)):
            continue
        # The forge may have asked for a pause in this channel, or refused: a newer report ends neither.
        attempt, reason, *times = before[3:] if before else (0, "", stamp, stamp)
        if before:
            replaced.append(before[1:2])
        last += 1
        rows.append((last, address, repo, channel, "waiting", attempt, reason, text, digest, stamp, *times))
    transaction.execute_many("UPDATE outbox SET state = 'replaced' WHERE id = ?", replaced)
    transaction.execute_many(f"INSERT INTO outbox ({_COLUMNS}) VALUES ({marks(_COLUMNS)})", rows)


def _send_again(transaction: Transaction, address: str, newest: int) -> None:
    """A sender that was frozen may have put an old report over a newer one: the newer one goes out once more."""
    if not transaction.execute("SELECT 1 FROM outbox WHERE address = ? AND state = 'waiting'", (address,)):
        transaction.execute("UPDATE outbox SET state = 'waiting', attempt = 0 WHERE id = ?", (newest,))


def _read_item(row: Row) -> OutboxItem:
    fields: tuple[Any, ...] = row
    item_id, repo, channel, report, attempt, memory = fields
    return OutboxItem(item_id, repo, channel, unpack_report(report), attempt, memory or "")


def _read_letter(row: Row, state: Literal["waiting", "dead"]) -> Letter:
    fields: tuple[Any, ...] = row
    item_id, repo, channel, attempt, reason, report = fields
    return Letter(item_id, repo, channel, state, attempt, reason, unpack_report(report))
