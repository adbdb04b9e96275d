"""Runs that wait, run and are over: table `queue`. Claims carry a fence; a write that misses its fence raises Fenced."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from fiat.errors import Stalled
from fiat.run.model import Verdict
from fiat.run.queue import Change, Lease, QueuedRun
from fiat.store.claims import next_run
from fiat.store.database import Database, Transaction, Value
from fiat.store.fence import fenced
from fiat.store.outbox import Addressed, add_reports_within
from fiat.store.queue_pages import QueuePages
from fiat.store.rows import write_time
from fiat.store.settling import Tell, end_run, find_change, find_queued, settle_change, stop_run

Expired = Literal["waiting", "parked", "cancelled", "gone"]
_OURS = "WHERE id = ? AND fence = ? AND state = 'running'"


class Queue(QueuePages):
    """The queue. Safe to use from several processes at once.

    Args:
        database: where it is.
        now: the clock, aware; it only stamps what people see and what is older, leases don't depend on it.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        super().__init__(database)
        self._now = now

    def claim(self, worker: str) -> QueuedRun | None:
        """Take the next run, or None when nothing can run now.

        Repositories with the fewest running runs come first, then priority, then the repository whose last turn is the
        longest ago, then age. Of a group one run runs at a time;
        one that has begun to deploy keeps its group until it is over, also while it waits to go on.

        Args:
            worker: `host:pid:start`.
        """
        with self._database.write(guarded=False) as transaction:
            run = next_run(transaction)
            if run is None:
                return None
            claimed = replace(
                run,
                state="running",
                worker=worker,
                fence=run.fence + 1,
                attempt=run.attempt + 1,
                started_at=run.started_at or self._now(),
            )
            transaction.execute(
                "UPDATE queue SET state = 'running', holds = 1, worker = ?, fence = ?, attempt = ?, started_at = ?, "
                "beat = beat + 1 WHERE id = ?",
                (worker, claimed.fence, claimed.attempt, write_time(claimed.started_at), run.id),
            )
        return claimed

    def beat(self, run_id: str, fence: int) -> str:
        """Show that the worker lives.

        Returns:
            Why the run shall end, empty to go on.

        Raises:
            Fenced: the run is no longer this claim's.
        """
        with self._database.write(guarded=False) as transaction:
            rows = transaction.execute(
                f"UPDATE queue SET beat = beat + 1 {_OURS} RETURNING cancel", (run_id, fence)
            )
        if not rows:
            raise fenced(run_id)
        return str(rows[0][0])

    def begin_deploy(self, run_id: str, fence: int) -> None:
        """From now on nothing supersedes or cancels the run.

        Raises:
            Fenced: the run is no longer this claim's.
            Stalled: it was superseded or cancelled before; it must not deploy.
        """
        with self._database.write(guarded=False) as transaction:
            run = _ours(transaction, run_id, fence)
            if run.cancel and run.phase != "deploy":
                raise Stalled(f"run {run_id} does not deploy: {run.cancel}", hint="run it again, should it")
            transaction.execute("UPDATE queue SET phase = 'deploy', cancel = '' WHERE id = ?", (run_id,))

    def progressed(self, run_id: str, fence: int) -> None:
        """A step was committed: the claims before this one no longer count against the run."""
        self._update("attempt = ?", run_id, fence, 1)

    def used(self, run_id: str, fence: int, gpu_seconds: float) -> None:
        """Write the GPU seconds that the run has used so far, all claims together."""
        self._update("gpu_seconds = ?", run_id, fence, gpu_seconds)

    def give_back(self, run_id: str, fence: int, reason: str) -> None:
        """The worker ends in order; another one goes on. Does not count as a try. Saying it twice is fine.

        Raises:
            Fenced: the run is no longer this claim's.
        """
        with self._database.write(guarded=False) as transaction:
            run = find_queued(transaction, run_id)
            if run is not None and (run.state, run.fence) == ("waiting", fence):
                return
            run = _ours(transaction, run_id, fence)
            _wait_again(transaction, replace(run, attempt=max(run.attempt - 1, 0)), reason)

    def finish(
        self,
        run_id: str,
        fence: int,
        verdict: Verdict,
        reason: str,
        reports: Sequence[Addressed],
        tell: Tell,
    ) -> Change | None:
        """The run is over. Saying it twice is the same as once.

        Args:
            run_id: of the run.
            fence: of the claim.
            verdict: of the run.
            reason: one sentence.
            reports: its last ones.
            tell: words for the change when this was its last run; `run_ended` is not asked.

        Returns:
            The change when it is over, else None.

        Raises:
            Fenced: the run is no longer this claim's; nothing was written.
        """
        now = self._now()
        with self._database.write(guarded=False) as transaction:
            run = find_queued(transaction, run_id)
            if run is not None and (run.state, run.fence) == ("done", fence):
                change = find_change(transaction, run.change)
                return change if change is not None and change.state == "done" else None
            run = _ours(transaction, run_id, fence)
            end_run(transaction, run, verdict, reason, now)
            add_reports_within(transaction, reports, now)
            return settle_change(transaction, run.change, now, tell)

    def leases(self) -> list[Lease]:
        """All running runs, for somebody who watches whether their beats go on."""
        rows = self._database.read(
            "SELECT id, fence, beat, worker FROM queue WHERE state = 'running' AND state <> 'done' ORDER BY id"
        )
        return [Lease(str(row[0]), int(row[1] or 0), int(row[2] or 0), str(row[3])) for row in rows]

    def expire(self, lease: Lease, why: str, max_attempts: int, tell: Tell) -> Expired:
        """Take a run from a worker that is dead or frozen.

        Args:
            lease: as it was seen last; when its worker beat since then, nothing happens.
            why: one sentence.
            max_attempts: a run that was claimed this often without a committed step is over with verdict `error`.
            tell: words for its end.

        Returns:
            `waiting` for the next worker; `parked`: it killed its workers too often; `cancelled`: it should end
            anyway; `gone`: the lease was not the newest.
        """
        now = self._now()
        with self._database.write(guarded=False) as transaction:
            rows = transaction.execute(
                f"SELECT id FROM queue {_OURS} AND beat = ?", (lease.run, lease.fence, lease.beat)
            )
            run = find_queued(transaction, lease.run) if rows else None
            if run is None:
                return "gone"
            if run.cancel:
                stop_run(transaction, run, run.cancel, now, tell)
                return "cancelled"
            if run.attempt >= max_attempts:
                reason = f"given up after {run.attempt} tries without progress: {why}"
                stop_run(transaction, run, reason, now, tell)
                return "parked"
            _wait_again(transaction, replace(run, fence=run.fence + 1), why)
            return "waiting"

    def cancel(self, run_id: str, reason: str, tell: Tell) -> bool:
        """End a run that waits, or ask one that trains to end.

        Returns:
            False when it is over already, deploys, or is unknown.
        """
        now = self._now()
        with self._database.write(guarded=False) as transaction:
            run = find_queued(transaction, run_id)
            if run is None or run.state == "done" or run.phase == "deploy":
                return False
            if run.state == "running":
                transaction.execute(
                    "UPDATE queue SET cancel = ? WHERE id = ? AND cancel = ''", (reason, run_id)
                )
            else:
                stop_run(transaction, run, reason, now, tell)
            return True

    def approve(self, repo: str, pull: int, commit: str, who: str) -> list[QueuedRun]:
        """Let the held runs of this very commit of a pull request run; who said so is recorded.

        Returns:
            The runs that wait now; none when the commit has not become runs yet, which then need not be held.

        Raises:
            Stalled: nothing of that commit waits for approval; nothing was recorded.
        """
        now = self._now()
        with self._database.write(guarded=False) as transaction:
            rows = transaction.execute(
                "UPDATE queue SET state = 'waiting' WHERE repo = ? AND pull = ? AND pull <> 0 AND commit_id = ? "
                "AND state = 'held' RETURNING id",
                (repo, pull, commit),
            )
            if not rows and not transaction.execute(
                "SELECT id FROM changes WHERE repo = ? AND commit_id = ? AND pull = ? AND pull <> 0 AND state = 'new'",
                (repo, commit, pull),
            ):
                raise Stalled(
                    f"no run of {commit[:10]} in pull request {pull} waits for approval",
                    hint="approve the newest commit of a fork's pull request",
                )
            transaction.execute(
                "INSERT INTO approvals (repo, pull, commit_id, who, given_at) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (repo, pull, commit_id) DO NOTHING",
                (repo, pull, commit, who, write_time(now)),
            )
            found = [find_queued(transaction, str(row[0])) for row in rows]
        return sorted((run for run in found if run is not None), key=lambda run: run.id)

    def approved_by(self, repo: str, pull: int, commit: str) -> str:
        """Who approved this commit of a pull request; empty when nobody did."""
        rows = self._database.read(
            "SELECT who FROM approvals WHERE repo = ? AND pull = ? AND commit_id = ?", (repo, pull, commit)
        )
        return str(rows[0][0]) if rows else ""

    def _update(self, what: str, run_id: str, fence: int, value: Value) -> None:
        with self._database.write(guarded=False) as transaction:
            if not transaction.execute(
                f"UPDATE queue SET {what} {_OURS} RETURNING id", (value, run_id, fence)
            ):
                raise fenced(run_id)


def _ours(transaction: Transaction, run_id: str, fence: int) -> QueuedRun:
    run = find_queued(transaction, run_id)
    if run is None or (run.state, run.fence) != ("running", fence):
        raise fenced(run_id)
    return run


def _wait_again(transaction: Transaction, run: QueuedRun, reason: str) -> None:
    transaction.execute(
        "UPDATE queue SET state = 'waiting', holds = ?, worker = '', attempt = ?, fence = ?, reason = ? WHERE id = ?",
        (int(run.phase == "deploy"), run.attempt, run.fence, reason, run.id),
    )
