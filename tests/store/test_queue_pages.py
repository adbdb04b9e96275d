import re
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import Words, change, put, queued

from fiat.errors import Stalled
from fiat.run.queue import Depth, QueuedRun
from fiat.store.claims import HEADS, RUNNING
from fiat.store.database import Value
from fiat.store.queue_pages import cursor_of_run
from fiat.store.queue_rows import QUEUE_COLUMNS, marks, queue_row
from fiat.store.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)


def fill(store: Store, runs: list[QueuedRun]) -> None:
    rows = [queue_row(run, START) for run in runs]
    with store.database.write() as transaction:
        transaction.execute_many(f"INSERT INTO queue ({QUEUE_COLUMNS}) VALUES ({marks(QUEUE_COLUMNS)})", rows)


def numbered(number: int, **changes: Any) -> QueuedRun:
    of = change(number, repo=f"acme/r{number % 3}")
    fields = {"spec": f"s{number % 2}", "queued_at": START + timedelta(seconds=number // 2), **changes}
    return queued(number, of=of, **fields)


def test_a_run_comes_back_whole(reopen: Callable[[], Store]) -> None:
    whole = queued(
        1,
        of=change(1, pull=4, fork=True, purpose="pull_request"),
        head_repo_id="99",
        state="done",
        phase="deploy",
        group="g",
        supersede=False,
        priority=-3,
        overrides=("params.lr=0.1", "a='\\u202e'"),
        cause="ann",
        attempt=2,
        fence=7,
        worker="",
        cancel="no",
        gpu_seconds=1.5,
        queued_at=START,
        started_at=START,
        ended_at=START + timedelta(microseconds=1),
        verdict="warn",
        reason="so",
    )
    fill(reopen(), [whole])
    assert reopen().queue.find(whole.id) == whole
    assert reopen().queue.find("nothing") is None


def test_runs_are_paged_from_the_newest_on_without_gaps_or_doubles(store: Store) -> None:
    runs = [numbered(number) for number in range(23)]
    fill(store, runs)
    for wanted in (
        {},
        {"repo": "acme/r1"},
        {"spec": "s1"},
        {"repo": "acme/r1", "spec": "s0", "state": "waiting"},
    ):
        seen: list[str] = []
        before = ""
        while page := store.queue.newest(before=before, limit=4, **wanted):
            seen += [run.id for run in page]
            before = cursor_of_run(page[-1])
            if len(seen) == 8 and not wanted:
                fill(store, [numbered(99)])  # what comes meanwhile is newer than every page that follows
        chosen = [run for run in runs if all(getattr(run, key) == value for key, value in wanted.items())]
        order = sorted(chosen, key=lambda run: (run.queued_at or START, run.id), reverse=True)
        assert seen == [run.id for run in order]
        if not wanted:
            with store.database.write() as transaction:
                transaction.execute("DELETE FROM queue WHERE id = ?", (numbered(99).id,))


def test_states_are_told_apart_and_counted(store: Store) -> None:
    fill(
        store,
        [
            numbered(number, state=state)
            for number, state in enumerate(("held", "waiting", "done", "waiting"))
        ],
    )
    assert store.queue.claim("w") is not None
    for state, count in (("held", 1), ("waiting", 1), ("running", 1), ("done", 1)):
        found = store.queue.newest(state=state)  # type: ignore[arg-type]
        assert [run.state for run in found] == [state] * count
    assert store.queue.depths() == [
        Depth("acme/r0", {"held": 1, "waiting": 1}),
        Depth("acme/r1", {"running": 1}),
    ]


# Indexes that may be walked: those of the few rows that are open, and those that give a page in its order.
OPEN = {"queue_open_by_repo", "changes_new", "outbox_waiting", "outbox_dead", "deliveries_to_do"}
PAGES = {"queue_by_time", "changes_by_time"}


def statements(store: Store) -> list[tuple[str, tuple[Value, ...]]]:
    """What the calls of every day ask the database."""
    backend = store.database._backend
    said: list[tuple[str, tuple[Value, ...]]] = []
    ask = backend.execute

    def listen(sql: str, values: Any) -> Any:
        said.append((sql, tuple(values)))
        return ask(sql, values)

    backend.execute = listen  # type: ignore[method-assign]
    try:
        run = store.queue.claim("w")
        assert run is not None
        store.queue.beat(run.id, run.fence)
        store.queue.leases()
        store.queue.depths()
        store.queue.find(run.id)
        store.queue.of_change(run.change)
        with suppress(Stalled):
            store.queue.approve(run.repo, 3, run.commit, "bob")
        store.queue.gpu_seconds_of_pull(run.repo, 3)
        store.queue.of_pull(run.repo, 3)
        for repo in ("", run.repo):
            for spec in ("", run.spec):
                for before in ("", cursor_of_run(run)):
                    store.queue.newest(repo=repo, spec=spec, before=before)
                    store.queue.newest(repo=repo, spec=spec, before=before, state="waiting")
                    store.queue.newest(repo=repo, spec=spec, before=before, state="done")
        put(store, 5000, runs=[queued(5000, group="g")])
        store.changes.open()
        store.changes.open(repo=run.repo)
        store.changes.open_repos()
        store.changes.newest(repo=run.repo)
        store.changes.newest()
        store.changes.latest(run.repo, "push", run.ref)
        store.changes.of_commit(run.repo, run.commit)
        store.outbox.due(skip=["x"])
        store.outbox.letters("dead")
        store.outbox.counts()
        store.deliveries.received()
        store.queue.finish(run.id, run.fence, "pass", "", [], Words())
    finally:
        backend.execute = ask  # type: ignore[method-assign]
    return said


def test_no_statement_of_every_day_reads_a_whole_table(local: Store) -> None:
    fill(local, [numbered(number, state="waiting" if number > 190 else "done") for number in range(200)])
    said = statements(local)
    assert len(said) > 60
    walked = set()
    for sql, values in said:
        for row in local.database.read(f"EXPLAIN QUERY PLAN {sql}", values):
            found = re.match(r"SCAN (?!repos)(\w+)(?: USING (?:COVERING )?INDEX (\w+))?", str(row[3]))
            if found:
                assert found[2] in OPEN | PAGES, f"{row[3]}: {sql}"
                assert found[2] in OPEN or "LIMIT" in sql
                walked.add(found[2])
    assert walked == OPEN | PAGES


# What has an index of its own, and how much of it is asked for: with less of it all rows of a repository would be read.
BY_KEY = {
    "queue_by_pull (repo=? AND pull=?)",
    "queue_by_change (change=?)",
    "changes_by_commit (repo=? AND commit_id=?)",
    "changes_by_line (line=?)",
}


def test_what_is_asked_for_by_a_key_reads_no_rows_but_its_own(local: Store) -> None:
    fill(local, [numbered(number, state="waiting" if number > 190 else "done") for number in range(200)])
    plans = [
        (sql, str(row[3]))
        for sql, values in statements(local)
        for row in local.database.read(f"EXPLAIN QUERY PLAN {sql}", values)
    ]
    used = {found[1] for _, step in plans if (found := re.search(r"INDEX (\w+ \(.*\))", step))}
    assert used >= BY_KEY
    # The rest of a repository is walked only where a page of it is wanted.
    walked = [sql for sql, step in plans if re.search(r"(queue|changes)_by_repo ", step)]
    assert walked
    assert [sql for sql in walked if "LIMIT" not in sql] == []


def test_pages_come_out_of_an_index_in_order(local: Store) -> None:
    fill(local, [numbered(number, state="done") for number in range(200)])
    for where in ("", "WHERE repo = 'a' ", "WHERE spec = 'a' ", "WHERE repo = 'a' AND spec = 'b' "):
        plan = local.database.read(
            f"EXPLAIN QUERY PLAN SELECT {QUEUE_COLUMNS} FROM queue {where}ORDER BY queued_at DESC, id DESC LIMIT 50"
        )
        assert [str(row[3]) for row in plan if "TEMP B-TREE" in str(row[3])] == []


@pytest.mark.parametrize("sql", [HEADS, RUNNING])
def test_a_claim_asks_only_indexes_of_what_is_open(local: Store, sql: str) -> None:
    fill(local, [numbered(number) for number in range(50)])
    steps = [str(row[3]) for row in local.database.read(f"EXPLAIN QUERY PLAN {sql}")]
    touched = [
        step for step in steps if re.search(r"\b(queue|waiting|holder)\b", step) and "SUBQUERY" not in step
    ]
    assert touched
    assert [step for step in touched if not re.search(r"INDEX (queue_|sqlite_autoindex_queue)", step)] == []


def test_the_newest_run_of_each_spec_of_a_branch_is_found_whatever_became_of_it(store: Store) -> None:
    for number in (1, 3, 2):
        put(store, number, runs=[queued(number, spec) for spec in ("a", "b") if (number, spec) != (3, "b")])
    pull = {"purpose": "pull_request", "pull": 4}
    put(store, 4, runs=[queued(4, "a", of=change(4, **pull))], **pull)
    dev = {"ref": "refs/heads/dev"}
    put(store, 5, runs=[queued(5, "a", of=change(5, **dev))], **dev)
    found = store.queue.last_runs("acme/models", "push", change(1).ref)
    assert {path: run.id for path, run in found.items()} == {
        "specs/a/spec.yaml": queued(3, "a").id,
        "specs/b/spec.yaml": queued(2, "b").id,
    }
    assert store.queue.last_runs("acme/models", "push", "refs/heads/none") == {}
    assert {run.id for run in store.queue.last_runs("acme/models", "push", dev["ref"]).values()} == {
        queued(5, "a").id
    }
    heads = store.changes.heads("acme/models")
    assert [(one.ref, one.id) for one in heads] == [(dev["ref"], change(5).id), (change(3).ref, change(3).id)]


def test_the_ends_of_runs_are_counted_once_each(store: Store) -> None:
    done = {"state": "done", "verdict": "fail", "reason": "the spec is wrong"}
    put(store, 1, runs=[queued(1, "a"), queued(1, "b"), queued(1, "c", **done)])
    run = store.queue.claim("w")
    assert run is not None
    for _ in range(2):
        store.queue.finish(run.id, run.fence, "pass", "", [], Words())
        store.queue.cancel(queued(1, "b").id, "ann said so", Words())
    assert store.queue.verdicts() == {("acme/models", verdict): 1 for verdict in ("pass", "fail", "error")}
