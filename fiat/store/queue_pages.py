"""Looking at the queue: single runs, pages of them, and how much there is to do."""

from collections.abc import Mapping, Sequence

from fiat.run.queue import Depth, Purpose, QueuedRun, QueueState
from fiat.store.database import Database, Value
from fiat.store.newest import ENDS, TRACKS
from fiat.store.queue_rows import QUEUE_COLUMNS, line_of, read_queued
from fiat.store.rows import write_time


class QueuePages:
    """Reads the table `queue`.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, run_id: str) -> QueuedRun | None:
        """The run of this id, or None."""
        found = self._runs("WHERE id = ?", (run_id,))
        return found[0] if found else None

    def of_change(self, change_id: str) -> list[QueuedRun]:
        """The runs of a change, by the paths of their specs."""
        return self._runs("WHERE change = ? ORDER BY spec_path, id", (change_id,))

    def newest(
        self,
        *,
        repo: str = "",
        spec: str = "",
        state: QueueState | None = None,
        before: str = "",
        limit: int = 50,
    ) -> list[QueuedRun]:
        """Runs from the newest on.

        Args:
            repo: only those of this repository.
            spec: only those of the spec of this name.
            state: only those in this state.
            before: `cursor_of_run` of the last one that was seen, to go on after it.
            limit: most runs.
        """
        wanted: list[str] = []
        values: list[Value] = []
        for column, value in (("repo", repo), ("spec", spec), ("state", state)):
            if value:
                wanted.append(f"{column} = ?")
                values.append(value)
        if state not in (None, "done"):
            # Says it in the words of the index that holds these few.
            wanted.append("state <> 'done'")
        if before:
            queued_at, _, run_id = before.partition("~")
            wanted.append("(queued_at, id) < (?, ?)")
            values += [queued_at, run_id]
        where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
        return self._runs(f"{where}ORDER BY queued_at DESC, id DESC LIMIT ?", (*values, limit))

    def depths(self) -> list[Depth]:
        """How many runs are held, wait and run in each repository that has any."""
        rows = self._database.read(
            "SELECT repo, state, COUNT(*) FROM queue WHERE state <> 'done' GROUP BY repo, state ORDER BY repo, state"
        )
        counts: dict[str, dict[str, int]] = {}
        for repo, state, count in rows:
            counts.setdefault(str(repo), {})[str(state)] = int(count or 0)
        return [Depth(repo, states) for repo, states in counts.items()]

    def of_pull(self, repo: str, pull: int) -> list[QueuedRun]:
        """All runs of a pull request, the newest first."""
        return self._runs(
            "WHERE repo = ? AND pull = ? AND pull <> 0 ORDER BY queued_at DESC, id DESC", (repo, pull)
        )

    def last_runs(self, repo: str, purpose: Purpose, ref: str) -> Mapping[str, QueuedRun]:
        """The newest run of each spec file of a branch, by the file's path, whatever has become of it."""
        rows = self._runs(f"WHERE id IN ({TRACKS})", (line_of(repo, purpose, ref, 0),))
        return {run.spec_path: run for run in rows}

    def verdicts(self) -> Mapping[tuple[str, str], int]:
        """How many runs ended with which verdict, by (repository, verdict). Only ever grows."""
        return {
            (str(repo), str(verdict)): int(total or 0) for repo, verdict, total in self._database.read(ENDS)
        }

    def gpu_seconds_of_pull(self, repo: str, pull: int) -> float:
        """GPU seconds that all runs of a pull request have used."""
        rows = self._database.read(
            "SELECT COALESCE(SUM(gpu_seconds), 0) FROM queue WHERE repo = ? AND pull = ? AND pull <> 0",
            (repo, pull),
        )
        return float(rows[0][0] or 0.0)

    def _runs(self, tail: str, values: Sequence[Value]) -> list[QueuedRun]:
        rows = self._database.read(f"SELECT {QUEUE_COLUMNS} FROM queue {tail}", values)
        return [read_queued(row) for row in rows]


def cursor_of_run(run: QueuedRun) -> str:
    """Where `Queue.newest` goes on after this run."""
    return f"{write_time(run.queued_at)}~{run.id}"
