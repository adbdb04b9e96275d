"""How changes, queued runs and deliveries become rows and back: the tables `changes`, `queue` and `deliveries`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fiat.run.delivery import Delivery
from fiat.run.queue import Change, QueuedRun
from fiat.store.database import Row, Transaction, Value
from fiat.store.report_codec import pack_happenings, unpack_happenings
from fiat.store.rows import digest_text, pack, read_time, unpack, write_time

CHANGE_COLUMNS = (
    "id, known_as, line, repo, commit_id, purpose, ref, pull, fork, head_repo_id, serial, specs, overrides, "
    "cause, state, verdict, reason, made_at"
)
QUEUE_COLUMNS = (
    "id, change, repo, commit_id, purpose, ref, pull, fork, head_repo_id, spec, spec_path, state, phase, "
    "group_name, lane, holds, supersede, priority, overrides, cause, attempt, fence, beat, worker, cancel, "
    "gpu_seconds, queued_at, started_at, ended_at, verdict, reason"
)
DELIVERY_COLUMNS = (
    "sequence, known_as, says, forge, id, body_key, event, repo_id, repo_name, sender_id, sender_name, "
    "happenings, state, note, taken_at"
)
EVENT_CHARACTERS = 100
_AT_ONCE = 500


def marks(columns: str) -> str:
    """A `?` for each of these columns."""
    return ", ".join("?" * (columns.count(",") + 1))


def among(transaction: Transaction, sql: str, keys: Iterable[str]) -> list[Row]:
    """The rows of a query for many keys at once; `IN ()` in it is filled."""
    wanted = list(dict.fromkeys(keys))
    found: list[Row] = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        found += transaction.execute(sql.replace("IN ()", f"IN ({', '.join('?' * len(some))})"), some)
    return found


def key_of(*parts: object) -> str:
    """A digest over parts that are told apart; 128 bits, since many indexes hold it."""
    return digest_text(pack([str(part) for part in parts]))[:32]


def change_key(change: Change) -> str:
    """What makes a change unique, as a digest."""
    return key_of(change.repo, change.commit, change.purpose, change.ref, change.pull, change.serial)


def line_of(repo: str, purpose: str, ref: str, pull: int) -> str:
    """The line of commits in which a newer one takes an older one's place, as a digest."""
    return key_of(repo, purpose, ref, pull)


def lane_of(repo: str, group: str) -> str:
    """Runs of one lane don't run side by side; a digest, empty for a run without a group.

    A group is its repository's own: no repository can hold up another by naming its groups.
    """
    return key_of(repo, group) if group else ""


def change_row(change: Change, now: datetime) -> tuple[Value, ...]:
    """The row of a change; one without a time is made now."""
    return (
        change.id,
        change_key(change),
        line_of(change.repo, change.purpose, change.ref, change.pull),
        change.repo,
        change.commit,
        change.purpose,
        change.ref,
        change.pull,
        int(change.fork),
        change.head_repo_id,
        change.serial,
        pack(change.specs),
        pack(change.overrides),
        change.cause,
        change.state,
        change.verdict,
        change.reason,
        write_time(change.made_at or now),
    )


def read_change(row: Row) -> Change:
    """The change of a whole row."""
    fields: tuple[Any, ...] = row
    return Change(
        id=fields[0],
        repo=fields[3],
        commit=fields[4],
        purpose=fields[5],
        ref=fields[6],
        pull=fields[7],
        fork=bool(fields[8]),
        head_repo_id=fields[9],
        serial=fields[10],
        specs=tuple(unpack(fields[11])),
        overrides=tuple(unpack(fields[12])),
        cause=fields[13],
        state=fields[14],
        verdict=fields[15],
        reason=fields[16],
        made_at=read_time(fields[17]),
    )


def queue_row(run: QueuedRun, now: datetime) -> tuple[Value, ...]:
    """The row of a run that is put into the queue; one without a time is queued now."""
    return (
        run.id,
        run.change,
        run.repo,
        run.commit,
        run.purpose,
        run.ref,
        run.pull,
        int(run.fork),
        run.head_repo_id,
        run.spec,
        run.spec_path,
        run.state,
        run.phase,
        run.group,
        lane_of(run.repo, run.group),
        0,
        int(run.supersede),
        run.priority,
        pack(run.overrides),
        run.cause,
        run.attempt,
        run.fence,
        0,
        run.worker,
        run.cancel,
        run.gpu_seconds,
        write_time(run.queued_at or now),
        write_time(run.started_at),
        write_time(run.ended_at),
        run.verdict,
        run.reason,
    )


def read_queued(row: Row) -> QueuedRun:
    """The queued run of a whole row."""
    fields: tuple[Any, ...] = row
    return QueuedRun(
        id=fields[0],
        change=fields[1],
        repo=fields[2],
        commit=fields[3],
        purpose=fields[4],
        ref=fields[5],
        pull=fields[6],
        fork=bool(fields[7]),
        head_repo_id=fields[8],
        spec=fields[9],
        spec_path=fields[10],
        state=fields[11],
        phase=fields[12],
        group=fields[13],
        supersede=bool(fields[16]),
        priority=fields[17],
        overrides=tuple(unpack(fields[18])),
        cause=fields[19],
        attempt=fields[20],
        fence=fields[21],
        worker=fields[23],
        cancel=fields[24],
        gpu_seconds=fields[25],
        queued_at=read_time(fields[26]),
        started_at=read_time(fields[27]),
        ended_at=read_time(fields[28]),
        verdict=fields[29],
        reason=fields[30],
    )


def delivery_keys(delivery: Delivery) -> tuple[str, str]:
    """(by its id, by what its body says) as digests; the second is empty for a body without a key."""
    says = key_of(delivery.forge, delivery.body_key) if delivery.body_key else ""
    return key_of(delivery.forge, delivery.id), says


def delivery_row(
    sequence: int, delivery: Delivery, state: str, note: str, now: datetime
) -> tuple[Value, ...]:
    """The row of a delivery."""
    known_as, says = delivery_keys(delivery)
    return (
        sequence,
        known_as,
        says,
        delivery.forge,
        delivery.id,
        delivery.body_key,
        delivery.event[:EVENT_CHARACTERS],
        delivery.repo_id,
        delivery.repo_name,
        delivery.sender_id,
        delivery.sender_name,
        pack_happenings(delivery.happenings),
        state,
        note,
        write_time(now),
    )


def read_delivery(row: Row) -> Delivery:
    """The delivery of a whole row."""
    fields: tuple[Any, ...] = row
    return Delivery(
        forge=fields[3],
        id=fields[4],
        body_key=fields[5],
        event=fields[6],
        repo_id=fields[7],
        repo_name=fields[8],
        sender_id=fields[9],
        sender_name=fields[10],
        happenings=unpack_happenings(fields[11]),
    )
