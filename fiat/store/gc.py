"""Forgetting what no kept run needs: rows here, files in `sweep.py`."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.plan.prepared import COMPARED_WITH, SERVED
from fiat.store.artifacts import Artifacts
from fiat.store.database import Database, Row, Transaction
from fiat.store.deployments import NEWEST
from fiat.store.faults import damaged_rows
from fiat.store.locks import HeldLock
from fiat.store.queue_gc import Forget, old_rows
from fiat.store.resume import remove_resume, unused_resume
from fiat.store.rows import unpack, unpack_outputs, write_time
from fiat.store.scopes import forget_scopes, remove_scopes, unused_scopes
from fiat.store.sweep import Sweep, sweep
from fiat.store.trees import DIR
from fiat.store.work import WorkFolders

GRACE_S = 600.0
QUEUE_DAYS = 30.0
# Longer than any plan goes on: who found a result before it was retired has written that it was used.
_RETIRED_S = 24 * 3600.0
_AT_ONCE = 2_000
_GIVE_WAY_S = 0.05
_ALL = 1 << 40
# What stands on targets now: a mend needs its package and data, and `fiat why` its run.
_STANDING = f"{NEWEST} AND sequence NOT IN (SELECT sequence FROM deployments WHERE state = 'stopped')"
_OLD_RUNS = f"""SELECT id FROM (
    SELECT id, state, started_at, ROW_NUMBER() OVER (
        PARTITION BY spec, id IN (SELECT id FROM queue WHERE fork = 1) ORDER BY started_at DESC, id DESC
    ) AS place FROM runs
) AS placed WHERE place > ? AND started_at < ? AND state <> 'running' AND id NOT IN (SELECT run FROM releases)
AND id NOT IN (SELECT id FROM queue WHERE state <> 'done')
AND id NOT IN (SELECT run FROM deployments WHERE sequence IN ({_STANDING}))"""
_NEEDED_RUN = f"""SELECT 1 FROM releases WHERE run = ? UNION ALL SELECT 1 FROM queue WHERE id = ? AND state <> 'done'
UNION ALL SELECT 1 FROM deployments WHERE run = ? AND sequence IN ({_STANDING})"""
_UNNEEDED = "run NOT IN (SELECT id FROM runs) AND fingerprint NOT IN (SELECT fingerprint FROM steps)"


@dataclass(frozen=True)
class Heap:
    """What is cleaned: the parts of a store.

    Attributes:
        root: the `.fiat` folder.
        database: runs, results and releases.
        artifacts: the cache.
        work: scratch folders.
        use: the lock of those who have the store open.
        now: aware UTC.
    """

    root: Path
    database: Database
    artifacts: Artifacts
    work: WorkFolders
    use: HeldLock
    now: datetime


@dataclass(frozen=True)
class GcReport:
    """What was removed, or with `dry_run` would be.

    Attributes:
        removed_objects: files of the cache.
        removed_bytes: their sizes together.
        kept_objects: files of the cache that stay.
        kept_bytes: their sizes together.
        removed_results: results that no kept run used or made.
        removed_runs: runs with their steps, metrics, gates and logs.
        removed_folders: work folders and drafts of dead processes, logs and packages that belong to nothing kept,
            checkpoints and trials that nobody has gone on with for two weeks.
        in_use: another process had the store open, so results without a run were only retired, and those went that
            had been retired for a day.
        removed_queue: rows of deliveries, changes, queued runs and reports that were over.
    """

    removed_objects: int
    removed_bytes: int
    kept_objects: int
    kept_bytes: int
    removed_results: int
    removed_runs: int
    removed_folders: int
    in_use: bool
    removed_queue: int = 0


def collect_garbage(
    heap: Heap,
    *,
    keep_runs: int = 20,
    keep_days: float | None = None,
    queue_days: float = QUEUE_DAYS,
    dry_run: bool = False,
    grace_s: float = GRACE_S,
) -> GcReport:
    """Remove runs that are no longer kept, and everything that only they needed.

    Kept are: each spec's newest runs (strangers' runs count for themselves), runs younger than `keep_days`, runs that
    still go on or wait in the queue, runs that released a model; and of all these the results, their artifacts and
    their logs. Safe beside runs that go on: while another process has the store open a result is retired first, which
    hides it, and removed a day later; what came into the cache, or was put there again, within `grace_s` stays.

    Args:
        heap: what to clean.
        keep_runs: how many of each spec's newest runs are kept, 0 or more.
        keep_days: runs younger than this are kept as well.
        queue_days: what the runner is done with goes when it is older; see `queue_gc.old_rows`.
        dry_run: change nothing, only say what would be removed.
        grace_s: age in seconds below which a file that nobody needs is left alone.

    Raises:
        EnvironmentFault: the database or the disk refused.
    """
    cutoff = None if keep_days is None else write_time(heap.now - timedelta(days=keep_days))
    scopes, resume = unused_scopes(heap.root, heap.now), unused_resume(heap.root, heap.now)
    queue, runs_kept = old_rows(heap.now, queue_days), (keep_runs, cutoff or "9999")
    with heap.use.alone() as alone:
        if not dry_run:
            removed_queue = sum(_forget_all(heap.database, forget) for forget in queue)
            # Which runs are old is asked outside of a transaction: it looks at all of them.
            old_runs = heap.database.read(_OLD_RUNS, runs_kept)
            removed_runs = _forget_all(heap.database, _these_runs(old_runs))
        with _transaction(heap.database, dry_run=dry_run) as transaction:
            if dry_run:
                removed_queue = sum(forget(transaction, _ALL) for forget in queue)
                old_runs = transaction.execute(_OLD_RUNS, runs_kept)
                removed_runs = _these_runs(old_runs)(transaction, _ALL)
            removed_results = forget_scopes(transaction, scopes)
            removed_results += _forget_results(transaction, heap.now, alone=alone)
            _forget_documents(transaction)
            if dry_run:
                needed, run_ids = _needed(transaction.execute)
        if not dry_run:
            # Others may write again: what comes now is younger than the grace.
            with _readable(heap.database):
                needed, run_ids = _needed(heap.database.read)
        objects = _with_files(heap, needed)
        plan = Sweep(
            root=heap.root,
            objects=objects,
            artifacts=frozenset(needed),
            runs=run_ids,
            before_s=heap.now.timestamp() - grace_s,
            dry_run=dry_run,
        )
        with heap.artifacts.lock.alone():
            swept = sweep(plan, heap.work.abandoned())
        if not dry_run:
            remove_scopes(scopes)
            remove_resume(resume, heap.now)
    return GcReport(
        removed_objects=swept.removed_objects,
        removed_bytes=swept.removed_bytes,
        kept_objects=swept.kept_objects,
        kept_bytes=swept.kept_bytes,
        removed_results=removed_results,
        removed_runs=removed_runs,
        removed_folders=swept.removed_folders + len(scopes) + len(resume),
        in_use=not alone,
        removed_queue=removed_queue,
    )


class _Undo(Exception):
    """Leaves the transaction of a dry run, so that nothing of it stays."""


@contextmanager
def _transaction(database: Database, *, dry_run: bool) -> Iterator[Transaction]:
    with _readable(database), suppress(_Undo), database.write() as transaction:
        yield transaction
        if dry_run:
            raise _Undo


@contextmanager
def _readable(database: Database) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, LookupError) as error:
        raise damaged_rows(database.place, f"a result or step can't be read: {error}") from error


def _forget_all(database: Database, forget: Forget) -> int:
    """Some at a time: while a transaction goes on, everybody else waits."""
    total = 0
    while True:
        with _transaction(database, dry_run=False) as transaction:
            removed = forget(transaction, _AT_ONCE)
        total += removed
        if removed < _AT_ONCE:
            return total
        # Who waits for the database tries again and again, and would find it taken each time.
        time.sleep(_GIVE_WAY_S)


def _these_runs(rows: list[Row]) -> Forget:
    def forget(transaction: Transaction, most: int) -> int:
        gone: list[Row] = []
        while rows and len(gone) < most:
            row = rows.pop()
            # One that was released or queued again since it was found old stays.
            if not transaction.execute(_NEEDED_RUN, row * 3):
                gone.append(row)
        for table, column in (("runs", "id"), ("steps", "run"), ("gates", "run"), ("metrics", "run")):
            transaction.execute_many(f"DELETE FROM {table} WHERE {column} = ?", gone)
        return len(gone)

    return forget


def _forget_results(transaction: Transaction, now: datetime, *, alone: bool) -> int:
    if alone:
        return len(transaction.execute(f"DELETE FROM results WHERE {_UNNEEDED} RETURNING 1"))
    # Somebody may have found one just before it was retired: it is needed, and not retired any more.
    transaction.execute(
        f"UPDATE results SET retired_at = NULL WHERE retired_at IS NOT NULL AND NOT ({_UNNEEDED})"
    )
    gone = transaction.execute(
        f"DELETE FROM results WHERE retired_at < ? AND {_UNNEEDED} RETURNING 1",
        (write_time(now - timedelta(seconds=_RETIRED_S)),),
    )
    transaction.execute(
        f"UPDATE results SET retired_at = ? WHERE retired_at IS NULL AND {_UNNEEDED}", (write_time(now),)
    )
    return len(gone)


def _forget_documents(transaction: Transaction) -> None:
    used = {str(row[0]) for row in transaction.execute("SELECT config FROM runs")}
    for (body,) in transaction.execute("SELECT body FROM results"):
        used.update(unpack(str(body))["large"].values())
    unused = [row for row in transaction.execute("SELECT digest FROM documents") if row[0] not in used]
    transaction.execute_many("DELETE FROM documents WHERE digest = ?", unused)


def _needed(read: Callable[[str], list[Row]]) -> tuple[set[str], frozenset[str]]:
    """Artifacts and runs of which something is kept."""
    needed = {str(row[0]) for row in read("SELECT digest FROM releases")}
    needed.update(str(row[0]) for row in read("SELECT model_digest FROM runs"))
    for (text,) in read("SELECT body FROM results"):
        body = unpack(str(text))
        needed.update(one.digest for one in unpack_outputs(body["outputs"]).values())
        # What data were compared with is what the next data are compared with, should these be refused.
        # And without what clients had sent, the same data would be checked again with what they sent since.
        inputs = body["parts"].get("inputs") or {}
        needed.update(str(inputs.get(role, "")) for role in (COMPARED_WITH, SERVED))
    for (outputs,) in read("SELECT DISTINCT outputs FROM steps"):
        needed.update(one.digest for one in unpack_outputs(unpack(str(outputs))).values())
    for digest, settings in read(f"SELECT digest, settings FROM deployments WHERE sequence IN ({_STANDING})"):
        inputs = json.loads(str(settings)).get("inputs") or {}
        needed.update((str(digest), *map(str, inputs.values())))
    runs = read("SELECT id FROM runs UNION SELECT id FROM queue WHERE state <> 'done'")
    return needed - {""}, frozenset(str(row[0]) for row in runs)


def _with_files(heap: Heap, needed: set[str]) -> frozenset[str]:
    objects = set(needed)
    for digest in needed:
        if digest.endswith(DIR):
            with suppress(EnvironmentFault):  # its list is gone already: its files are of no use
                objects.update(file.digest for file in heap.artifacts.files(digest))
    return frozenset(objects)
