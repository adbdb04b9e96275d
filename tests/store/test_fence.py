import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import Words, check, put, texts, utc_now

from fiat.errors import Fenced
from fiat.run.model import Metric, Release, Result, Run, StepResult
from fiat.run.queue import QueuedRun
from fiat.store.fence import Fence
from fiat.store.store import Store, open_store
from tests.store.conftest import a_database

Pair = tuple[Store, Callable[[QueuedRun], Store]]


@pytest.fixture(params=["sqlite", "postgres"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """A keeper's store, and what opens that of a worker."""
    with a_database(request) as url:
        opened = [open_store(tmp_path / ".fiat", url=url, now=utc_now)]

        def of_worker(run: QueuedRun) -> Store:
            fence = Fence(run.id, run.fence)
            opened.append(open_store(tmp_path / ".fiat", url=url, now=utc_now, fence=fence))
            return opened[-1]

        yield opened[0], of_worker
        for store in opened:
            store.close()


def take(store: Store) -> QueuedRun:
    claimed = store.queue.claim("w")
    assert claimed is not None
    return claimed


def save(store: Store, run: QueuedRun, number: int) -> None:
    fingerprint = f"{number:064}"
    store.save_work(
        run.id,
        StepResult(f"step{number}", "call", "ran", fingerprint=fingerprint),
        Result(
            fingerprint, f"step{number}", run.spec, run.id, {}, {"code": {"a": "b" * 600}}, made_at=utc_now()
        ),
        metrics=[Metric("loss", 1.0, step=number)],
    )


def test_a_worker_that_was_taken_over_writes_nothing(pair: Pair) -> None:
    keeper, of_worker = pair
    put(keeper, 1)
    run = take(keeper)
    worker = of_worker(run)
    worker.runs.add(Run(run.id, "digits", "", "", "", "", "", False, (), {}, "running", None, "", utc_now()))
    save(worker, run, 1)
    assert keeper.queue.expire(keeper.queue.leases()[0], "stood still", 5, Words()) == "waiting"
    before = _everything(keeper)
    for write in (
        lambda: save(worker, run, 2),
        lambda: worker.runs.finish(run.id, verdict="pass", reason="", state="done", ended_at=utc_now()),
        lambda: worker.runs.save_step(run.id, StepResult("step1", "call", "failed")),
        lambda: worker.metrics.add(run.id, "step1", [Metric("x", 1.0)]),
        lambda: worker.results.drop(f"{1:064}"),
        lambda: worker.releases.add(Release("m", "", "main", "", run.id, "d", "f", utc_now())),
        lambda: worker.outbox.add([check(run, "success", "no")]),
        lambda: worker.marks.set("a", "b"),
        lambda: worker.changes.split(run.change, [], [], Words()),
        lambda: worker.queue.finish(run.id, run.fence, "pass", "", [], Words()),
    ):
        with pytest.raises(Fenced, match=run.id):
            write()
    assert _everything(keeper) == before
    assert worker.results.find(f"{1:064}") is not None, "reading goes on"
    again = take(keeper)
    save(of_worker(again), again, 2)
    with pytest.raises(Fenced):
        save(worker, run, 3)
    assert [step.name for step in keeper.runs.find(run.id).steps] == ["step1", "step2"]


def test_a_worker_ends_its_run_with_its_own_store_and_may_say_so_again(pair: Pair) -> None:
    keeper, of_worker = pair
    put(keeper, 1)
    run = take(keeper)
    worker = of_worker(run)
    for _ in range(2):
        change = worker.queue.finish(
            run.id, run.fence, "pass", "good", [check(run, "success", "yes")], Words()
        )
        assert change is not None
        assert change.verdict == "pass"
    assert ("success", "yes") in texts(keeper)
    with pytest.raises(Fenced):
        save(worker, run, 1)


def _everything(store: Store) -> list[object]:
    tables = (
        "runs",
        "steps",
        "metrics",
        "results",
        "documents",
        "releases",
        "outbox",
        "queue",
        "changes",
        "marks",
    )
    return [sorted(store.database.read(f"SELECT * FROM {table}"), key=str) for table in tables]
