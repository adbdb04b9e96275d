"""Forgetting what the runner is done with: old rows of its tables, some at a time, for `gc.collect_garbage`."""

from collections.abc import Callable
from datetime import datetime, timedelta

from fiat.store.database import Transaction, Value
from fiat.store.rows import write_time

# A body that is sent again is told from a new one for at least so long.
DELIVERIES_DAYS = 7
# What a forge gave us to find our comment again is of use as long as a pull request may be open.
MEMORY_DAYS = 365

Forget = Callable[[Transaction, int], int]
"""Removes no more than so many rows and says how many it were."""

# The highest numbers of deliveries and reports stay, so that none is given twice.
_DELIVERIES = """DELETE FROM deliveries WHERE sequence IN (
    SELECT sequence FROM deliveries WHERE taken_at < ? AND state <> 'received'
    AND sequence < (SELECT MAX(sequence) FROM deliveries) LIMIT ?
) RETURNING 1"""

_QUEUE = """DELETE FROM queue WHERE id IN (
    SELECT id FROM queue WHERE queued_at < ? AND state = 'done' AND ended_at < ?
    AND id NOT IN (SELECT run FROM releases) AND id NOT IN (SELECT run FROM tracks) LIMIT ?
) RETURNING 1"""

_CHANGES = """DELETE FROM changes WHERE id IN (
    SELECT id FROM changes WHERE made_at < ? AND state = 'done'
    AND NOT EXISTS (SELECT 1 FROM queue WHERE queue.change = changes.id)
    AND NOT EXISTS (SELECT 1 FROM heads WHERE heads.line = changes.line AND heads.change = changes.id) LIMIT ?
) RETURNING 1"""

_OUTBOX = """DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE written_at < ? AND state <> 'waiting' AND id < (SELECT MAX(id) FROM outbox) LIMIT ?
) RETURNING 1"""

_CHANNELS = """DELETE FROM channels WHERE address IN (
    SELECT address FROM channels WHERE sent_at < ? AND (memory = '' OR sent_at < ?)
    AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.address = channels.address AND outbox.state = 'waiting') LIMIT ?
) RETURNING 1"""

_APPROVALS = """DELETE FROM approvals WHERE given_at < ? AND NOT EXISTS (
    SELECT 1 FROM queue WHERE queue.repo = approvals.repo AND queue.pull = approvals.pull AND queue.pull <> 0
    AND queue.commit_id = approvals.commit_id
) RETURNING 1"""


def old_rows(now: datetime, days: float) -> tuple[Forget, ...]:
    """What removes old rows of what is over, in the order that it has to be called in, each one until it removes less.

    Runs that are not over, their changes, reports that wait, and runs that released a model stay whatever their age;
    so do the newest change of each branch and pull request, by which a runner knows that it has seen its head, and the
    newest run of each spec of a branch, which a push is compared with.

    Args:
        now: aware.
        days: rows younger than this stay; deliveries at least a week.
    """
    before = write_time(now - timedelta(days=days))
    deliveries_before = write_time(now - timedelta(days=max(days, DELIVERIES_DAYS)))
    memory_before = write_time(now - timedelta(days=max(days, MEMORY_DAYS)))
    return (
        _forget(_DELIVERIES, deliveries_before),
        _forget(_QUEUE, before, before),
        _forget(_CHANGES, before),
        _forget(_OUTBOX, before),
        _forget(_CHANNELS, before, memory_before),
        lambda transaction, _: len(transaction.execute(_APPROVALS, (before,))),
    )


def _forget(sql: str, *values: Value) -> Forget:
    return lambda transaction, most: len(transaction.execute(sql, (*values, most)))
