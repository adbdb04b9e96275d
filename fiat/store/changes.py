"""Commits that want attention: table `changes`, and how one is split into queued runs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from fiat.run.model import Verdict
from fiat.run.queue import Change, Purpose, QueuedRun
from fiat.store.database import Database, Row, Transaction, Value
from fiat.store.newest import HEADS, note_heads, note_runs
from fiat.store.outbox import Addressed, add_reports_within
from fiat.store.queue_rows import (
    CHANGE_COLUMNS,
    QUEUE_COLUMNS,
    among,
    change_key,
    change_row,
    lane_of,
    line_of,
    marks,
    queue_row,
    read_change,
    read_queued,
)
from fiat.store.rows import write_time
from fiat.store.settling import Tell, find_change, settle_change, stop_run, tell_stands

_SHORT = 10
# Serials from here on were not counted but chosen by whoever asked, so that asking twice is the same as once.
OWN_SERIALS = 1 << 20


class Changes:
    """Remembers changes. Safe to use from several processes at once.

    Args:
        database: where they are.
        now: the clock, aware.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def add(self, change: Change, reports: Sequence[Addressed] = ()) -> bool:
        """Write a change and its first reports, unless there is one of its key (repo, commit, purpose, ref, pull, serial).

        Returns:
            Whether it was added; else nothing was written.
        """
        with self._database.write() as transaction:
            return bool(add_changes_within(transaction, [(change, reports)], self._now()))

    def open(self, limit: int = 100, *, repo: str = "") -> list[Change]:
        """Changes in state `new`, the oldest first.

        Args:
            limit: most changes.
            repo: only those of this repository.
        """
        # Not a name, so that the few new ones are looked through and not all of the repository's.
        of_repo, values = (" AND repo || '' = ?", (repo,)) if repo else ("", ())
        return self._read(f"WHERE state = 'new'{of_repo} ORDER BY made_at, id LIMIT ?", (*values, limit))

    def open_repos(self) -> list[str]:
        """Repositories that have changes in state `new`."""
        rows = self._database.read("SELECT DISTINCT repo || '' FROM changes WHERE state = 'new'")
        return sorted(str(row[0]) for row in rows)

    def split(
        self,
        change_id: str,
        runs: Sequence[QueuedRun],
        reports: Sequence[Addressed],
        tell: Tell,
        *,
        verdict: Verdict = "pass",
        reason: str = "",
    ) -> list[QueuedRun]:
        """Queue the runs of a change, in one transaction with their first reports and the ends that they bring about.

        A run in a group with `supersede` ends older runs of its line (same repository, group, spec file, purpose and ref;
        of a pull request those of the same spec file, wherever it wanted to go): those that wait are over with verdict
        `error`, one that trains is asked to stop, one that deploys goes on. Without `supersede` only older ones that wait
        and would deploy are over. A run whose line has a run of a newer change already is superseded itself.

        Args:
            change_id: of a change in state `new`; any other is left as it is.
            runs: `held` or `waiting`, or `done` already (a spec that is wrong); none ends the change.
            reports: first reports of the runs.
            tell: words for what ends, a change without runs too.
            verdict: of a change without runs.
            reason: of a change without runs, one sentence.

        Returns:
            Runs of this and other changes that are over by this.
        """
        now = self._now()
        with self._database.write() as transaction:
            change = find_change(transaction, change_id)
            if change is None or change.state != "new":
                return []
            transaction.execute(
                "UPDATE changes SET state = ?, verdict = ?, reason = ? WHERE id = ?",
                ("split", None, "", change_id) if runs else ("done", verdict, reason, change_id),
            )
            transaction.execute_many(
                f"INSERT INTO queue ({QUEUE_COLUMNS}) VALUES ({marks(QUEUE_COLUMNS)})",
                [queue_row(run, now) for run in runs],
            )
            note_runs(transaction, runs)
            # An approval may have come after the runs were made up.
            transaction.execute(
                "UPDATE queue SET state = 'waiting' WHERE change = ? AND state = 'held' AND EXISTS (SELECT 1 FROM "
                "approvals WHERE approvals.repo = queue.repo AND approvals.pull = queue.pull "
                "AND approvals.commit_id = queue.commit_id)",
                (change_id,),
            )
            add_reports_within(transaction, reports, now)
            ended: list[QueuedRun] = []
            for run in runs:
                if run.group and run.state != "done":
                    ended += _supersede(transaction, run, now, tell)
            if runs:
                settle_change(transaction, change_id, now, tell)
            else:
                over = replace(change, state="done", verdict=verdict, reason=reason)
                tell_stands(transaction, over, now, tell)
            return ended

    def latest(self, repo: str, purpose: Purpose, ref: str, pull: int = 0) -> Change | None:
        """The newest change of a branch or pull request."""
        found = self._read(
            "WHERE line = ? ORDER BY made_at DESC, id DESC LIMIT 1", (line_of(repo, purpose, ref, pull),)
        )
        return found[0] if found else None

    def heads(self, repo: str) -> list[Change]:
        """The newest pushed change of each branch and tag of a repository."""
        return self._read(
            f"WHERE id IN ({HEADS}) ORDER BY ref",
            (repo, "push"),
        )

    def before(self, change: Change) -> Change | None:
        """The newest older change of the same branch or pull request."""
        found = self._read(
            "WHERE line = ? AND (made_at, id) < (?, ?) ORDER BY made_at DESC, id DESC LIMIT 1",
            (
                line_of(change.repo, change.purpose, change.ref, change.pull),
                write_time(change.made_at),
                change.id,
            ),
        )
        return found[0] if found else None

    def find(self, change_id: str) -> Change | None:
        """The change of this id, or None."""
        found = self._read("WHERE id = ?", (change_id,))
        return found[0] if found else None

    def of_commit(self, repo: str, commit: str) -> list[Change]:
        """All changes of a commit, the oldest first."""
        return self._read("WHERE repo = ? AND commit_id = ? ORDER BY made_at, id", (repo, commit))

    def newest(self, *, repo: str = "", before: str = "", limit: int = 50) -> list[Change]:
        """Changes from the newest on.

        Args:
            repo: only those of this repository.
            before: `cursor` of the last one that was seen.
            limit: most changes.
        """
        wanted = ["repo = ?"] if repo else []
        values: list[Value] = [repo] if repo else []
        if before:
            made_at, _, change_id = before.partition("~")
            wanted.append("(made_at, id) < (?, ?)")
            values += [made_at, change_id]
        where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
        return self._read(f"{where}ORDER BY made_at DESC, id DESC LIMIT ?", (*values, limit))

    def next_serial(self, change: Change) -> int:
        """The serial for running this commit again for the same purpose."""
        return serial_after(
            one
            for one in self.of_commit(change.repo, change.commit)
            if (one.purpose, one.ref, one.pull) == (change.purpose, change.ref, change.pull)
        )

    def settle(self, change_id: str, tell: Tell) -> Change | None:
        """End a change whose runs are all over, should that have been missed."""
        with self._database.write() as transaction:
            return settle_change(transaction, change_id, self._now(), tell)

    def _read(self, tail: str, values: Sequence[Value]) -> list[Change]:
        rows: list[Row] = self._database.read(f"SELECT {CHANGE_COLUMNS} FROM changes {tail}", values)
        return [read_change(row) for row in rows]


def serial_after(changes: Iterable[Change]) -> int:
    """The serial that comes after those of these changes, which differ in nothing else that makes them unique."""
    serials = (change.serial for change in changes)
    return max((serial for serial in serials if serial < OWN_SERIALS), default=-1) + 1


def cursor_of_change(change: Change) -> str:
    """Where `Changes.newest` goes on after this change."""
    return f"{write_time(change.made_at)}~{change.id}"


def add_changes_within(
    transaction: Transaction, wanted: Iterable[tuple[Change, Sequence[Addressed]]], now: datetime
) -> int:
    """`Changes.add` of several as a part of a larger transaction; gives how many were added."""
    keyed = [(change_key(change), change, reports) for change, reports in wanted]
    known = {
        row[0]
        for row in among(
            transaction, "SELECT known_as FROM changes WHERE known_as IN ()", [key for key, _, _ in keyed]
        )
    }
    added: list[Change] = []
    said: list[Addressed] = []
    for key, change, reports in keyed:
        if key not in known:
            known.add(key)
            added.append(change)
            said += reports
    transaction.execute_many(
        f"INSERT INTO changes ({CHANGE_COLUMNS}) VALUES ({marks(CHANGE_COLUMNS)})",
        [change_row(change, now) for change in added],
    )
    note_heads(transaction, added)
    add_reports_within(transaction, said, now)
    return len(added)


def _supersede(transaction: Transaction, run: QueuedRun, now: datetime, tell: Tell) -> list[QueuedRun]:
    # A run with overrides and one without are no versions of each other.
    others = [one for one in _older_and_newer(transaction, run) if one.overrides == run.overrides]
    if run.purpose == "pull_request" and not run.supersede:
        # What a pull request would do to a branch that it no longer wants to go to is no matter in any case.
        others = [one for one in others if one.ref != run.ref]
    newer = [one for one in others if one.change > run.change]
    if newer:
        return [stop_run(transaction, run, _superseded_by(newer[-1]), now, tell)]
    ended: list[QueuedRun] = []
    for older in others:
        if older.phase == "deploy":
            continue
        if older.state != "running":
            ended.append(stop_run(transaction, older, _superseded_by(run), now, tell))
        elif run.supersede or older.ref != run.ref:
            transaction.execute(
                "UPDATE queue SET cancel = ? WHERE id = ? AND cancel = ''", (_superseded_by(run), older.id)
            )
    return ended


def _older_and_newer(transaction: Transaction, run: QueuedRun) -> list[QueuedRun]:
    """Other runs of its line that are not over; a pull request is one line wherever it wants to go, and went before."""
    if run.pull:
        rows = transaction.execute(
            f"SELECT {QUEUE_COLUMNS} FROM queue WHERE repo = ? AND pull = ? AND pull <> 0 AND state <> 'done' "
            "AND spec_path = ? AND purpose = ? AND change <> ? ORDER BY queued_at, id",
            (run.repo, run.pull, run.spec_path, run.purpose, run.change),
        )
    else:
        rows = transaction.execute(
            f"SELECT {QUEUE_COLUMNS} FROM queue WHERE lane = ? AND lane <> '' AND state <> 'done' "
            "AND spec_path = ? AND purpose = ? AND ref = ? AND pull = 0 AND change <> ? ORDER BY queued_at, id",
            (lane_of(run.repo, run.group), run.spec_path, run.purpose, run.ref, run.change),
        )
    return [read_queued(row) for row in rows]


def _superseded_by(run: QueuedRun) -> str:
    return f"superseded by {run.commit[:_SHORT]}"
