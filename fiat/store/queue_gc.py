"""Forgetting what the runner is done with: old rows of its tables, in the transaction of `gc.collect_garbage`."""

from datetime import datetime, timedelta

from fiat.store.database import Transaction
from fiat.store.rows import write_time

# A body that is sent again is told from a new one for at least so long.
DELIVERIES_DAYS = 7
# What a forge gave us to find our comment again is of use as long as a pull request may be open.
MEMORY_DAYS = 365

_CHANGES = """DELETE FROM changes WHERE state = 'done' AND made_at < ?
AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.change = changes.id)
AND NOT EXISTS (SELECT 1 FROM heads WHERE heads.line = changes.line AND heads.change = changes.id)
RETURNING 1"""

_CHANNELS = """DELETE FROM channels WHERE sent_at < ? AND (memory = '' OR sent_at < ?)
AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.address = channels.address AND outbox.state = 'waiting')
RETURNING 1"""


def forget_queue(transaction: Transaction, now: datetime, days: float) -> int:
    """Remove old rows of what is over.

    Runs that are not over, their changes, reports that wait, and runs that released a model stay whatever their age;
    so do the newest change of each branch and pull request, by which a runner knows that it has seen its head, and the
    newest run of each spec of a branch, which a push is compared with.

    Args:
        transaction: of the clean-up.
        now: aware.
        days: rows younger than this stay; deliveries at least a week.

    Returns:
        How many rows were removed.
    """
    before = write_time(now - timedelta(days=days))
    deliveries_before = write_time(now - timedelta(days=max(days, DELIVERIES_DAYS)))
    memory_before = write_time(now - timedelta(days=max(days, MEMORY_DAYS)))
    removed = [
        # The highest numbers stay, so that none is given twice.
        transaction.execute(
            "DELETE FROM deliveries WHERE taken_at < ? AND state <> 'received' "
            "AND sequence < (SELECT MAX(sequence) FROM deliveries AS others) RETURNING 1",
            (deliveries_before,),
        ),
        transaction.execute(
            "DELETE FROM queue WHERE state = 'done' AND queued_at < ? AND ended_at < ? "
            "AND id NOT IN (SELECT run FROM releases) AND id NOT IN (SELECT run FROM tracks) RETURNING 1",
            (before, before),
        ),
        transaction.execute(_CHANGES, (before,)),
        transaction.execute(
            "DELETE FROM outbox WHERE written_at < ? AND state <> 'waiting' "
            "AND id < (SELECT MAX(id) FROM outbox AS others) RETURNING 1",
            (before,),
        ),
        transaction.execute(_CHANNELS, (before, memory_before)),
        transaction.execute(
            "DELETE FROM approvals WHERE given_at < ? AND NOT EXISTS (SELECT 1 FROM queue "
            "WHERE queue.repo = approvals.repo AND queue.pull = approvals.pull AND queue.pull > 0 "
            "AND queue.commit_id = approvals.commit_id) RETURNING 1",
            (before,),
        ),
    ]
    return sum(len(rows) for rows in removed)
