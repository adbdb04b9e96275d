"""How runs and changes end, within the transaction of whoever ends them; what is said of it goes along."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from fiat.run.model import Verdict
from fiat.run.queue import CLOSED, Change, QueuedRun, check_word
from fiat.store.database import Row, Transaction, Value
from fiat.store.newest import note_end
from fiat.store.outbox import Addressed, add_reports_within
from fiat.store.queue_rows import CHANGE_COLUMNS, QUEUE_COLUMNS, read_change, read_queued
from fiat.store.rows import write_time

_WORST_FIRST: tuple[Verdict, ...] = ("error", "fail", "warn", "pass")


class Tell(Protocol):
    """Words for the ends that the store brings about. Pure: called within a transaction, without reading or writing."""

    def run_ended(self, run: QueuedRun) -> Sequence[Addressed]:
        """The last reports of a run that ended without its worker: cancelled, superseded, parked."""
        ...

    def change_ended(self, change: Change, runs: Sequence[QueuedRun]) -> Sequence[Addressed]:
        """The last reports of a change that is over, and so are its runs.

        Args:
            change: as it ended.
            runs: what its commit stands on now, in the order of their specs' paths; see `standing`.
        """
        ...


def end_run(
    transaction: Transaction, run: QueuedRun, verdict: Verdict, reason: str, now: datetime
) -> QueuedRun:
    """Write that a queued run is over; gives it as it stands then.

    The fence grows unless its own worker ends it: the worker's later writes are refused, and can be told from a second
    try at its own `finish`.
    """
    ended = replace(
        run,
        state="done",
        worker="",
        verdict=verdict,
        reason=reason,
        ended_at=now,
    )
    transaction.execute(
        "UPDATE queue SET state = 'done', holds = 0, worker = '', verdict = ?, reason = ?, ended_at = ?, "
        "fence = ? WHERE id = ?",
        (verdict, reason, write_time(now), run.fence, run.id),
    )
    note_end(transaction, run.repo, verdict)
    return ended


def stop_run(transaction: Transaction, run: QueuedRun, reason: str, now: datetime, tell: Tell) -> QueuedRun:
    """End a run from outside with verdict `error`, in the record of runs as well, and say so."""
    ended = end_run(transaction, replace(run, fence=run.fence + 1), "error", reason, now)
    transaction.execute(
        "UPDATE runs SET state = 'interrupted', verdict = 'error', reason = ?, ended_at = ? "
        "WHERE id = ? AND state = 'running'",
        (reason, write_time(now), run.id),
    )
    transaction.execute(
        "UPDATE steps SET state = 'cancelled', ended_at = ? WHERE run = ? AND state = 'running'",
        (write_time(now), run.id),
    )
    add_reports_within(transaction, tell.run_ended(ended), now)
    settle_change(transaction, run.change, now, tell)
    return ended


def settle_change(transaction: Transaction, change_id: str, now: datetime, tell: Tell) -> Change | None:
    """End a change whose runs are all over; gives it, or None while it goes on or was over before."""
    found = find_change(transaction, change_id)
    if found is None or found.state != "split":
        return None
    runs = runs_of(transaction, change_id)
    if not runs or any(run.state != "done" for run in runs):
        return None
    worst = min(runs, key=lambda run: _WORST_FIRST.index(run.verdict or "error"))
    ended = replace(
        found,
        state="done",
        verdict=worst.verdict or "error",
        reason=f"{worst.spec}: {worst.reason}" if worst.reason else "",
    )
    transaction.execute(
        "UPDATE changes SET state = 'done', verdict = ?, reason = ? WHERE id = ?",
        (ended.verdict, ended.reason, change_id),
    )
    tell_stands(transaction, ended, now, tell)
    return ended


def tell_stands(transaction: Transaction, ended: Change, now: datetime, tell: Tell) -> None:
    """Say how a commit stands as a whole now that a change of it is over.

    Pull requests that share a commit share its check: it stands as the worst of them does, each by its newest change, and
    stays pending until all of them are over.
    """
    faces = [ended]
    if check_word(ended) == "pr":
        newest: dict[int, Change] = {}
        for change in changes_of(transaction, ended.repo, ended.commit):
            if (check_word(change), change.overrides) == ("pr", ended.overrides):
                newest[change.pull] = max(change, newest.get(change.pull, change), key=lambda one: one.id)
        if any(change.state != "done" for change in newest.values()):
            return
        own = newest.pop(ended.pull, ended)
        faces = [own, *newest.values()]
    seen = [_face(transaction, change) for change in faces]
    still_open = [face for face in seen if not _closed(*face)]
    change, runs = min(still_open or seen, key=lambda face: _WORST_FIRST.index(_verdict(*face)))
    add_reports_within(transaction, tell.change_ended(change, runs), now)


def _face(transaction: Transaction, change: Change) -> tuple[Change, tuple[QueuedRun, ...]]:
    """What the check of a change's pull request or branch rests on.

    Without runs that is the change itself; but what was asked for in vain, by name or once more, leaves it as it was.
    """
    in_vain = change.specs or (change.serial and change.verdict == "error")
    if not in_vain and not runs_of(transaction, change.id):
        return change, ()
    if runs := standing(transaction.execute, change):
        return change, runs
    others = changes_of(transaction, change.repo, change.commit)
    over = [one for one in others if _speaks(one) == _speaks(change) and one.state == "done"]
    return next((one for one in reversed(over) if one.id != change.id), change), ()


def _closed(change: Change, runs: Sequence[QueuedRun]) -> bool:
    return change.reason == CLOSED or any(run.reason == CLOSED for run in runs)


def _verdict(change: Change, runs: Sequence[QueuedRun]) -> Verdict:
    said = [run.verdict or "error" for run in runs] or [change.verdict or "error"]
    return min(said, key=_WORST_FIRST.index)


def changes_of(transaction: Transaction, repo: str, commit: str) -> list[Change]:
    """All changes of a commit, the oldest first."""
    rows = transaction.execute(
        f"SELECT {CHANGE_COLUMNS} FROM changes WHERE repo = ? AND commit_id = ? ORDER BY made_at, id",
        (repo, commit),
    )
    return [read_change(row) for row in rows]


def standing(read: Callable[[str, Sequence[Value]], list[Row]], change: Change) -> tuple[QueuedRun, ...]:
    """The newest run of each spec that speaks in a change's check of the commit as a whole, by the paths of their specs.

    Of a change for specs that somebody named, and of one without runs, that is more than its own runs: a spec that was
    refused before stays so when another one is run again.
    """
    rows = read(
        f"SELECT {QUEUE_COLUMNS} FROM queue WHERE change IN (SELECT id FROM changes WHERE repo = ? AND commit_id = ?) "
        "ORDER BY spec_path, queued_at, id",
        (change.repo, change.commit),
    )
    said = [run for run in map(read_queued, rows) if _speaks(run) == _speaks(change)]
    newest = {run.spec_path: run for run in said}
    own = {run.spec_path for run in said if run.change == change.id}
    return tuple(run for path, run in newest.items() if change.specs or not own or path in own)


def _speaks(subject: Change | QueuedRun) -> tuple[str, int, tuple[str, ...]]:
    return check_word(subject), subject.pull, subject.overrides


def find_change(transaction: Transaction, change_id: str) -> Change | None:
    """The change of this id."""
    rows = transaction.execute(f"SELECT {CHANGE_COLUMNS} FROM changes WHERE id = ?", (change_id,))
    return read_change(rows[0]) if rows else None


def find_queued(transaction: Transaction, run_id: str) -> QueuedRun | None:
    """The queued run of this id."""
    rows = transaction.execute(f"SELECT {QUEUE_COLUMNS} FROM queue WHERE id = ?", (run_id,))
    return read_queued(rows[0]) if rows else None


def runs_of(transaction: Transaction, change_id: str) -> tuple[QueuedRun, ...]:
    """The runs of a change, by the paths of their specs."""
    rows = transaction.execute(
        f"SELECT {QUEUE_COLUMNS} FROM queue WHERE change = ? ORDER BY spec_path, id", (change_id,)
    )
    return tuple(read_queued(row) for row in rows)
