"""A store with very many runs that are over, made within seconds: one run by the store's own means, copied by SQL.

Half of all runs are one repository's, the rest is spread over the others, so that both kinds of repository are met.
"""

import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fiat.run.model import GateResult, Metric, Run, StepResult
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Addressed
from fiat.store.store import Store, open_store

REPOSITORIES = 50
SPECS = 10
BIGGEST = "acme/models0"
FIRST_AT = datetime(2024, 1, 1, tzinfo=UTC)
COMMIT = "0" * 40
MAIN = "refs/heads/main"
STEPS = ("data.rows", "train", "export", "evaluate", "gates", "package")
_TABLES = ("changes", "queue", "runs", "steps")
# How a column of copy number i differs from the template's.
_ID = "'run-' || printf('%07d', i)"
_CHANGE = "'change-' || printf('%07d', i)"
_REPO = f"'acme/models' || (i % 2 * (i / 2 % {REPOSITORIES}))"
_SPEC = f"'spec' || (i % {SPECS})"
_COMMIT = "printf('%040x', i)"
_AT = "strftime('%Y-%m-%dT%H:%M:%S', 1704067200 + i * 30, 'unixepoch') || '.000000+00:00'"
_VERDICT = "CASE i % 10 WHEN 0 THEN 'fail' WHEN 1 THEN 'warn' ELSE 'pass' END"
# The biggest repository's pushes are all to one branch.
_LINE = "CASE i % 4 WHEN 0 THEN template.line ELSE 'line-' || (i / 8) END"
_PULL = {
    "purpose": "CASE i % 4 WHEN 0 THEN 'push' ELSE 'pull_request' END",
    "pull": "CASE i % 4 WHEN 0 THEN 0 ELSE i / 8 + 1 END",
}
_COPIES = {
    "changes": {"id": _CHANGE, "known_as": "'key-' || i", "line": _LINE, "repo": _REPO}
    | {"commit_id": _COMMIT, "verdict": _VERDICT, "made_at": _AT}
    | _PULL,
    "queue": {"id": _ID, "change": _CHANGE, "repo": _REPO, "commit_id": _COMMIT, "spec": _SPEC}
    | {"spec_path": f"'specs/spec' || (i % {SPECS}) || '/spec.yaml'", "verdict": _VERDICT}
    | {"queued_at": _AT, "started_at": _AT, "ended_at": _AT}
    | _PULL,
    "runs": {"id": _ID, "spec": _SPEC, "commit_id": _COMMIT, "verdict": _VERDICT}
    | {"started_at": _AT, "ended_at": _AT},
    "steps": {"run": _ID, "started_at": _AT, "ended_at": _AT},
}


@dataclass(frozen=True)
class Silence:
    """Words for forges: none."""

    def run_ended(self, run: QueuedRun) -> Sequence[Addressed]:
        """Nothing."""
        return ()

    def change_ended(self, change: Change, runs: Sequence[QueuedRun]) -> Sequence[Addressed]:
        """Nothing."""
        return ()


def utc_now() -> datetime:
    """The clock of these stores."""
    return datetime.now(UTC)


def fill(folder: Path, count: int) -> str:
    """Make a store of so many runs, each of a change of its own.

    Returns:
        Id of a run in their midst that has steps, metrics and gates; the others have one step.
    """
    middle = f"{count // 2:07d}-whole"
    with open_store(folder, now=utc_now) as store:
        _live(store, middle, FIRST_AT + timedelta(seconds=30 * (count // 2)))
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as database:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000"):
            database.execute(f"PRAGMA {pragma}")
        indexes = database.execute(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> '' AND tbl_name IN {_TABLES}"
        ).fetchall()
        database.execute("BEGIN")
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        for table in _TABLES:
            _copy(database, table, middle, count)
        for _, sql in indexes:
            database.execute(sql)
        database.execute("COMMIT")
        # What was written so quickly is not to be written while others are timed.
        database.execute("PRAGMA synchronous=FULL")
    with (folder / "store.db").open("rb") as file:
        os.fsync(file.fileno())
    return f"run-{middle}"


def _live(store: Store, name: str, at: datetime) -> None:
    """One run as a worker leaves it."""
    change = Change(f"change-{name}", BIGGEST, COMMIT, "push", MAIN, cause="pushed by ada", made_at=at)
    run = QueuedRun(
        f"run-{name}",
        change.id,
        change.repo,
        COMMIT,
        "push",
        change.ref,
        "spec0",
        "specs/spec0/spec.yaml",
        group="spec0-main",
        cause=change.cause,
        queued_at=at,
    )
    store.changes.add(change)
    store.changes.split(change.id, [run], (), Silence())
    claimed = store.queue.claim("bench:1:1")
    if claimed is None:
        sys.exit("the only run of a store was not claimed")
    steps = tuple(
        StepResult(step, step, "ran", "new", seconds=3.0, fingerprint="f" * 64, started_at=at, ended_at=at)
        for step in STEPS
    )
    store.runs.add(
        Run(
            run.id,
            run.spec,
            run.spec_path,
            "d" * 64,
            "e" * 64,
            COMMIT,
            "main",
            dirty=False,
            overrides=(),
            config={"fiat": 1, "name": "spec0"},
            state="running",
            verdict=None,
            reason="",
            started_at=at,
            ended_at=None,
            steps=steps,
            metrics=(),
            gates=(),
            pid=1,
            host="bench",
            model_digest="",
        )
    )
    metrics = [Metric(metric, 0.9) for metric in ("accuracy", "f1", "log_loss", "recall")]
    gates = [GateResult("accuracy >= 0.8", "pass", "0.9 is at least 0.8", 0.9, 0.8, "accuracy")]
    store.runs.finish(
        run.id,
        verdict="pass",
        reason="all gates passed",
        state="done",
        ended_at=at,
        metrics=metrics,
        gates=gates,
    )
    store.queue.finish(run.id, claimed.fence, "pass", "all gates passed", (), Silence())


def _copy(database: sqlite3.Connection, table: str, middle: str, count: int) -> None:
    columns = [str(row[1]) for row in database.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(_COPIES[table].get(column, f"template.{column}") for column in columns)
    key, name = (
        ("run", f"run-{middle}")
        if table == "steps"
        else ("id", f"{'change' if table == 'changes' else 'run'}-{middle}")
    )
    one = "AND template.name = 'train'" if table == "steps" else ""
    database.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) "
        "WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ?) "
        f"SELECT {values} FROM numbers, {table} AS template WHERE template.{key} = ? {one}",
        (count, name),
    )
