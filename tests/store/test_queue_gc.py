import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import MAIN, Words, change, check, commit_of, delivery, put, queued, taking, umbrella

from fiat.run.delivery import Commented
from fiat.run.model import Release, Run
from fiat.store.deliveries import Taking
from fiat.store.queue_gc import old_rows
from fiat.store.queue_rows import QUEUE_COLUMNS, marks, queue_row
from fiat.store.store import Store

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PULL = {"purpose": "pull_request", "pull": 5, "fork": True}


def finish(store: Store, number: int) -> None:
    put(store, number)
    run = store.queue.claim("w")
    assert run is not None
    store.queue.finish(run.id, run.fence, "pass", "", [check(run, "success", "good")], Words())


def send_all(store: Store) -> None:
    for item in store.outbox.due(1000):
        store.outbox.sent(item.id, "")


def forget(store: Store, *, after_days: float, days: float = 30.0) -> int:
    with store.database.write() as transaction:
        return sum(one(transaction, 1000) for one in old_rows(START + timedelta(days=after_days), days))


def count(store: Store, table: str) -> int:
    return int(store.database.read(f"SELECT COUNT(*) FROM {table}")[0][0] or 0)


def test_what_is_over_goes_when_it_is_old_but_the_newest_change_and_runs_of_a_branch(store: Store) -> None:
    for number in range(3):
        store.deliveries.take([taking(number, body_key=f"{number}", id=f"x{number}")])
        store.changes.split(change(number).id, [queued(number)], [], Words())
        run = store.queue.claim("w")
        assert run is not None
        store.queue.finish(run.id, run.fence, "pass", "", [check(run, "success", "good")], Words())
    send_all(store)
    assert forget(store, after_days=29.0) == 0
    assert forget(store, after_days=31.0) > 0
    tables = ("queue", "changes", "deliveries", "outbox", "channels")
    assert [count(store, table) for table in tables] == [1, 1, 1, 1, 0]
    assert [one.id for one in store.changes.newest()] == [change(2).id]
    assert list(store.queue.last_runs("acme/models", "push", MAIN).values()) == store.queue.newest()
    assert store.changes.heads("acme/models") == store.changes.newest()
    assert store.queue.verdicts() == {("acme/models", "pass"): 3}, "what was counted stays counted"
    assert store.deliveries.take([taking(9)]) == ["new"]
    assert store.deliveries.received() == []
    assert [item.channel for item in store.outbox.due()] == [umbrella(9)[1]]


def test_what_is_not_over_stays_whatever_its_age(store: Store) -> None:
    comment = Commented("/fiat run", 3, "", "c")
    store.deliveries.take([Taking(delivery(1, (comment,))), taking(2), taking(3)])
    for number in (4, 5, 6):
        put(store, number)
    put(store, 7, runs=[queued(7, of=change(7, **PULL), state="held")], **PULL)
    store.queue.approve("acme/models", 5, commit_of(7), "bob")
    running = store.queue.claim("w")
    assert running is not None
    before = [count(store, table) for table in ("queue", "changes", "outbox", "approvals")]
    assert forget(store, after_days=400.0) == 1, "only the delivery that is done and not the last one"
    assert [count(store, table) for table in ("queue", "changes", "outbox", "approvals")] == before
    assert [one.id for _, one in store.deliveries.received()] == ["delivery-1"]


def test_deliveries_stay_a_week_so_that_a_replay_is_known(store: Store) -> None:
    store.deliveries.take([taking(1), taking(2)])
    forget(store, after_days=6.9, days=1.0)
    assert store.deliveries.take([Taking(delivery(1, id="captured"))]) == ["replay"]
    forget(store, after_days=7.1, days=1.0)
    assert store.deliveries.take([Taking(delivery(1, id="captured again"))]) == ["new"]


def test_numbers_are_not_given_twice_after_cleaning(store: Store) -> None:
    store.deliveries.take([taking(1, happenings=(Commented("", 1, "", "1"),))])
    key = store.deliveries.received()[0][0]
    store.deliveries.done(key)
    store.outbox.add([umbrella(1)])
    item = store.outbox.due()[0].id
    store.outbox.sent(item)
    forget(store, after_days=100.0)
    store.deliveries.take([taking(2, happenings=(Commented("", 1, "", "2"),))])
    store.outbox.add([umbrella(2)])
    assert store.deliveries.received()[0][0] > key
    assert store.outbox.due()[0].id > item


def test_a_comment_s_id_is_remembered_for_a_year(store: Store) -> None:
    store.outbox.add([umbrella(1)])
    store.outbox.sent(store.outbox.due()[0].id, "comment 7")
    forget(store, after_days=364.0)
    store.outbox.add([umbrella(1, "success", "x")])
    assert store.outbox.due()[0].memory == "comment 7"
    store.outbox.sent(store.outbox.due()[0].id, "comment 7")
    forget(store, after_days=367.0)
    assert count(store, "channels") == 0


def test_gc_keeps_a_released_run_of_the_queue_and_what_goes_on(reopen: Callable[[], Store]) -> None:
    store = reopen()
    finish(store, 1)
    finish(store, 2)
    put(store, 3)
    running = store.queue.claim("w")
    assert running is not None
    for number in (1, 2, 3):
        state = "interrupted" if number == 3 else "done"
        run_id = queued(number).id
        store.runs.add(Run(run_id, "digits", "", "", "", "", "", False, (), {}, state, None, "", START))  # type: ignore[arg-type]
        store.log_path(run_id, "train").write_text("said\n")
    store.releases.add(Release("m", "", "main", "", queued(1).id, "", "f", START))
    report = store.gc(keep_runs=0, queue_days=-1.0, grace_s=-1e9)
    assert report.removed_runs == 1
    assert report.removed_queue > 0
    assert {run.id for run in store.queue.newest()} == {queued(1).id, queued(3).id}
    assert {run.id for run in store.runs.newest()} == {queued(1).id, queued(3).id}
    assert {path.name for path in (store.root / "runs").iterdir()} == {queued(1).id, queued(3).id}
    assert store.queue.beat(running.id, running.fence) == ""


def test_strangers_runs_don_t_push_out_the_runs_of_a_spec(store: Store) -> None:
    for number in range(4):
        fork = {**PULL, "pull": number} if number else {}
        put(store, number, runs=[queued(number, of=change(number, **fork))], **fork)
        run = store.queue.claim("w")
        assert run is not None
        store.queue.finish(run.id, run.fence, "pass", "", [], Words())
        at = START + timedelta(hours=number)
        store.runs.add(Run(run.id, "digits", "", "", "", "", "", False, (), {}, "done", "pass", "", at))
    store.gc(keep_runs=1)
    assert {run.id for run in store.runs.newest()} == {queued(0).id, queued(3).id}


def test_very_many_rows_go_some_at_a_time_and_all_of_them(store: Store) -> None:
    rows = [
        queue_row(
            queued(
                number,
                of=change(number, pull=1),
                state="done",
                queued_at=START,
                ended_at=START,
                verdict="pass",
            ),
            START,
        )
        for number in range(10_500)
    ]
    with store.database.write() as transaction:
        transaction.execute_many(f"INSERT INTO queue ({QUEUE_COLUMNS}) VALUES ({marks(QUEUE_COLUMNS)})", rows)
    put(store, 20_000)
    foretold = store.gc(queue_days=-1.0, dry_run=True)
    assert count(store, "queue") == 10_501
    assert store.gc(queue_days=-1.0) == foretold
    assert foretold.removed_queue == 10_500
    assert [run.id for run in store.queue.newest()] == [queued(20_000).id]
