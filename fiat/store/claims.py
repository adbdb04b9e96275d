"""Which waiting run is next: fair between repositories, without reading the whole queue."""

from fiat.run.queue import QueuedRun
from fiat.store.database import Row, Transaction
from fiat.store.queue_rows import QUEUE_COLUMNS, read_queued

# Steps from repository to repository along the index instead of reading all that waits (a "loose index scan"), and takes
# of each the first run whose lane nobody else holds.
# Source: https://wiki.postgresql.org/wiki/Loose_indexscan
HEADS = """WITH RECURSIVE repos (repo) AS (
    SELECT MIN(repo) FROM queue WHERE state = 'waiting'
    UNION ALL
    SELECT (SELECT MIN(queue.repo) FROM queue WHERE queue.state = 'waiting' AND queue.repo > repos.repo)
    FROM repos WHERE repos.repo IS NOT NULL
), heads (id) AS (
    SELECT (
        SELECT waiting.id FROM queue AS waiting
        WHERE waiting.state = 'waiting' AND waiting.repo = repos.repo AND (waiting.lane = '' OR NOT EXISTS (
            SELECT 1 FROM queue AS holder
            WHERE holder.lane = waiting.lane AND holder.holds = 1 AND holder.lane <> '' AND holder.id <> waiting.id
        ))
        ORDER BY waiting.priority DESC, waiting.queued_at, waiting.id LIMIT 1
    ) FROM repos WHERE repos.repo IS NOT NULL
)
SELECT queue.id, queue.repo, queue.priority, COALESCE(turns.turn, 0), queue.queued_at
FROM heads JOIN queue ON queue.id = heads.id LEFT JOIN turns ON turns.repo = queue.repo"""

RUNNING = "SELECT repo, COUNT(*) FROM queue WHERE state = 'running' AND state <> 'done' GROUP BY repo"


def next_run(transaction: Transaction) -> QueuedRun | None:
    """The run that is to be claimed next, or None; its repository has had its turn then.

    Of the repositories with something to do, those with the fewest running runs come first; among these the run of the
    highest priority; then the repository that had no turn for the longest, so that also with a single worker none waits
    for another's thousands; of its runs the oldest.
    """
    heads = transaction.execute(HEADS)
    if not heads:
        return None
    running = {str(repo): int(count or 0) for repo, count in transaction.execute(RUNNING)}

    def rank(head: Row) -> tuple[int, int, int, str, str]:
        run_id, repo, priority, turn, queued_at = head
        return running.get(str(repo), 0), -int(priority or 0), int(turn or 0), str(queued_at), str(run_id)

    chosen = min(heads, key=rank)
    transaction.execute(
        "INSERT INTO turns (repo, turn) VALUES (?, (SELECT COALESCE(MAX(turn), 0) + 1 FROM turns AS others)) "
        "ON CONFLICT (repo) DO UPDATE SET turn = excluded.turn",
        (chosen[1],),
    )
    rows = transaction.execute(f"SELECT {QUEUE_COLUMNS} FROM queue WHERE id = ?", (chosen[0],))
    return read_queued(rows[0])
