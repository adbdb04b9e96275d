"""The newest change of each line and the newest run of each spec of a branch by their keys, and how runs ended, counted.

What every push, look at git and scrape asks must not read a history of a million runs.
"""

from collections.abc import Iterable

from fiat.run.model import Verdict
from fiat.run.queue import Change, QueuedRun
from fiat.store.database import Transaction
from fiat.store.queue_rows import key_of, line_of

HEADS = "SELECT change FROM heads WHERE repo = ? AND purpose = ?"
TRACKS = "SELECT run FROM tracks WHERE line = ?"
ENDS = "SELECT repo, verdict, total FROM ends"


def note_heads(transaction: Transaction, changes: Iterable[Change]) -> None:
    """Remember changes that were added, each as its line's newest unless there is a newer one; ids sort by time."""
    transaction.execute_many(
        "INSERT INTO heads (line, repo, purpose, change) VALUES (?, ?, ?, ?) ON CONFLICT (line) DO UPDATE "
        "SET change = excluded.change WHERE excluded.change > heads.change",
        [
            (line_of(one.repo, one.purpose, one.ref, one.pull), one.repo, one.purpose, one.id)
            for one in changes
        ],
    )


def note_runs(transaction: Transaction, runs: Iterable[QueuedRun]) -> None:
    """Remember runs that were queued for a branch, each as its spec's newest; count those that are over already."""
    runs = list(runs)
    transaction.execute_many(
        "INSERT INTO tracks (track, line, run) VALUES (?, ?, ?) ON CONFLICT (track) DO UPDATE "
        "SET run = excluded.run WHERE excluded.run > tracks.run",
        [
            (key_of(one.repo, one.purpose, one.ref, one.spec_path), _line(one), one.id)
            for one in runs
            if not one.pull
        ],
    )
    for one in runs:
        if one.state == "done":
            note_end(transaction, one.repo, one.verdict or "error")


def _line(run: QueuedRun) -> str:
    return line_of(run.repo, run.purpose, run.ref, run.pull)


def note_end(transaction: Transaction, repo: str, verdict: Verdict) -> None:
    """Count a run that is over."""
    transaction.execute(
        "INSERT INTO ends (repo, verdict, total) VALUES (?, ?, 1) "
        "ON CONFLICT (repo, verdict) DO UPDATE SET total = ends.total + 1",
        (repo, verdict),
    )
