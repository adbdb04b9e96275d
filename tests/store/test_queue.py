import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import Words, change, check, commit_of, put, queued, texts, utc_now

from fiat.errors import Fenced, Stalled
from fiat.run.model import Run
from fiat.run.queue import QueuedRun
from fiat.store.outbox import Outbox
from fiat.store.queue import Queue
from fiat.store.store import Store

PULL = {"purpose": "pull_request", "pull": 5, "fork": True}


def claim(store: Store, worker: str = "host:1:0") -> QueuedRun:
    claimed = store.queue.claim(worker)
    assert claimed is not None
    return claimed


def expire(store: Store, run: QueuedRun, *, attempts: int = 5, words: Words | None = None) -> str:
    lease = next(one for one in store.queue.leases() if one.run == run.id)
    return store.queue.expire(lease, "its worker is gone", attempts, words or Words())


def test_a_claimed_run_is_nobody_elses(reopen: Callable[[], Store]) -> None:
    put(reopen(), 1)
    claimed = claim(reopen())
    assert (claimed.state, claimed.worker, claimed.fence, claimed.attempt) == ("running", "host:1:0", 1, 1)
    assert claimed.started_at is not None
    assert reopen().queue.find(claimed.id) == claimed
    assert reopen().queue.claim("host:2:0") is None
    assert [(one.run, one.fence, one.worker) for one in reopen().queue.leases()] == [
        (claimed.id, 1, "host:1:0")
    ]


def test_an_empty_queue_and_held_runs_give_nothing_to_claim(store: Store) -> None:
    assert store.queue.claim("w") is None
    put(store, 1, runs=[queued(1, of=change(1, **PULL), state="held")], **PULL)
    assert store.queue.claim("w") is None


def test_the_repository_with_the_fewest_running_comes_first_then_priority_then_age(store: Store) -> None:
    for number in range(6):
        put(store, number, runs=[queued(number, of=change(number, repo="flood"))], repo="flood")
    put(store, 10, runs=[queued(10, of=change(10, repo="late"))], repo="late")
    put(store, 11, runs=[queued(11, of=change(11, repo="late"), priority=5)], repo="late")
    put(store, 12, runs=[queued(12, of=change(12, repo="urgent"), priority=9)], repo="urgent")
    order = [int(claim(store).change[-6:]) for _ in range(9)]
    assert order == [12, 11, 0, 10, 1, 2, 3, 4, 5]


def test_with_one_worker_repositories_take_turns_too(store: Store) -> None:
    for number in range(4):
        put(store, number, runs=[queued(number, of=change(number, repo="flood"))], repo="flood")
    put(store, 10, runs=[queued(10, of=change(10, repo="late"))], repo="late")
    order = []
    for _ in range(5):
        run = claim(store)
        order.append(int(run.change[-6:]))
        if len(order) == 1:
            put(store, 11, runs=[queued(11, of=change(11, repo="late"))], repo="late")
        store.queue.finish(run.id, run.fence, "pass", "", [], Words())
    assert order == [0, 10, 1, 11, 2]


def test_runs_of_a_group_don_t_run_side_by_side(store: Store) -> None:
    put(store, 1, runs=[queued(1, "a", group="gpu"), queued(1, "b", group="gpu"), queued(1, "c")])
    put(store, 2, runs=[queued(2, "a", of=change(2, repo="other"), group="gpu")], repo="other")
    claimed = [claim(store) for _ in range(3)]
    assert {(run.repo, run.spec) for run in claimed} == {
        ("acme/models", "a"),
        ("acme/models", "c"),
        ("other", "a"),
    }
    assert store.queue.claim("w") is None
    first = next(run for run in claimed if (run.repo, run.spec) == ("acme/models", "a"))
    store.queue.finish(first.id, first.fence, "pass", "", [], Words())
    assert claim(store).spec == "b"


def test_a_run_that_waits_to_go_on_with_its_deploy_keeps_its_group(store: Store) -> None:
    put(store, 1, runs=[queued(1, "a", group="g"), queued(1, "b", group="g", priority=9)])
    first = claim(store)
    assert first.spec == "b"
    store.queue.begin_deploy(first.id, first.fence)
    assert expire(store, first) == "waiting"
    again = claim(store)
    assert (again.id, again.phase, again.attempt) == (first.id, "deploy", 2)
    assert store.queue.claim("w") is None
    store.queue.give_back(again.id, again.fence, "the worker ends")
    assert claim(store).id == first.id


def test_a_beat_says_why_to_end_and_a_foreign_one_is_fenced(store: Store) -> None:
    put(store, 1)
    run = claim(store)
    before = store.queue.leases()[0].beat
    assert store.queue.beat(run.id, run.fence) == ""
    assert store.queue.leases()[0].beat == before + 1
    assert store.queue.cancel(run.id, "ann said so", Words())
    assert store.queue.cancel(run.id, "bob too", Words())
    assert store.queue.beat(run.id, run.fence) == "ann said so"
    for run_id, fence in ((run.id, run.fence + 1), (run.id, run.fence - 1), ("nothing", 1)):
        with pytest.raises(Fenced, match="taken over"):
            store.queue.beat(run_id, fence)


def test_a_taken_over_worker_can_write_nothing_to_its_run(store: Store) -> None:
    put(store, 1)
    old = claim(store)
    assert expire(store, old) == "waiting"
    new: QueuedRun | None = None
    for _ in range(2):  # the second time with another worker at it
        for write in (
            lambda: store.queue.beat(old.id, old.fence),
            lambda: store.queue.begin_deploy(old.id, old.fence),
            lambda: store.queue.progressed(old.id, old.fence),
            lambda: store.queue.used(old.id, old.fence, 9.0),
            lambda: store.queue.give_back(old.id, old.fence, "no"),
            lambda: store.queue.finish(old.id, old.fence, "pass", "", [check(old, "success", "no")], Words()),
        ):
            with pytest.raises(Fenced):
                write()
        new = new or store.queue.claim("host:2:0")
    found = store.queue.find(old.id)
    assert found == new
    assert (found.fence, found.phase, found.gpu_seconds, found.attempt) == (3, "train", 0.0, 2)
    assert ("success", "no") not in texts(store)


def test_a_lease_that_beat_meanwhile_is_not_expired(store: Store) -> None:
    put(store, 1)
    run = claim(store)
    seen = store.queue.leases()[0]
    store.queue.beat(run.id, run.fence)
    assert store.queue.expire(seen, "stood still", 5, Words()) == "gone"
    assert store.queue.beat(run.id, run.fence) == ""
    assert store.queue.expire(store.queue.leases()[0], "stood still", 5, Words()) == "waiting"
    assert store.queue.expire(seen, "stood still", 5, Words()) == "gone"


def test_a_run_that_kills_its_worker_each_time_is_parked(store: Store) -> None:
    put(store, 1)
    words = Words()
    for attempt in (1, 2):
        run = claim(store)
        assert run.attempt == attempt
        assert expire(store, run, attempts=3, words=words) == "waiting"
    last = claim(store)
    store.runs.add(
        Run(last.id, "digits", "", "", "", "", "", False, (), {}, "running", None, "", last.started_at)
    )  # type: ignore[arg-type]
    assert expire(store, last, attempts=3, words=words) == "parked"
    found = store.queue.find(last.id)
    assert found is not None
    assert (found.state, found.verdict) == ("done", "error")
    assert found.reason == "given up after 3 tries without progress: its worker is gone"
    assert (words.runs, words.changes) == ([last.id], [change(1).id])
    assert texts(store) == [("error", found.reason), ("error", f"digits: {found.reason}")]
    recorded = store.runs.find(last.id)
    assert (recorded.state, recorded.verdict, recorded.reason) == ("interrupted", "error", found.reason)
    with pytest.raises(Fenced):
        store.queue.finish(last.id, last.fence, "pass", "", [], Words())
    assert store.queue.claim("w") is None


def test_progress_starts_the_count_of_tries_again(store: Store) -> None:
    put(store, 1)
    for _ in range(6):
        run = claim(store)
        store.queue.progressed(run.id, run.fence)
        assert expire(store, run, attempts=2) == "waiting"
    assert claim(store).attempt == 2


def test_a_worker_that_ends_in_order_gives_its_run_back_and_it_is_not_counted(store: Store) -> None:
    put(store, 1)
    for _ in range(4):
        run = claim(store)
        assert run.attempt == 1
        store.queue.give_back(run.id, run.fence, "the runner ends")
        store.queue.give_back(run.id, run.fence, "said twice")
    found = store.queue.find(run.id)
    assert found is not None
    assert (found.state, found.worker, found.attempt, found.reason) == ("waiting", "", 0, "the runner ends")


def test_the_end_of_a_run_is_said_once_however_often_it_is_said(store: Store) -> None:
    put(store, 1)
    run = claim(store)
    words = Words()
    reports = [check(run, "success", "accuracy 0.97")]
    ended = store.queue.finish(run.id, run.fence, "pass", "good", reports, words)
    assert store.queue.finish(run.id, run.fence, "pass", "good", reports, words) == ended
    assert words.changes == [change(1).id]
    assert words.runs == []
    assert texts(store) == [("success", "accuracy 0.97"), ("success", "digits: good")]
    found = store.queue.find(run.id)
    assert found is not None
    assert (found.state, found.verdict, found.reason, found.worker) == ("done", "pass", "good", "")
    assert found.ended_at is not None
    assert store.queue.leases() == []


def test_cancelling_wins_until_the_deploy_begins_and_then_the_deploy_does(store: Store) -> None:
    put(store, 1)
    put(store, 2)
    first, second = claim(store), claim(store)
    assert store.queue.cancel(first.id, "ann said so", Words())
    with pytest.raises(Stalled, match="ann said so"):
        store.queue.begin_deploy(first.id, first.fence)
    store.queue.begin_deploy(second.id, second.fence)
    store.queue.begin_deploy(second.id, second.fence)
    assert not store.queue.cancel(second.id, "too late", Words())
    assert store.queue.beat(second.id, second.fence) == ""


def test_cancelling_ends_what_waits_and_knows_what_is_over(store: Store) -> None:
    put(store, 1)
    words = Words()
    assert store.queue.cancel(queued(1).id, "ann said so", words)
    found = store.queue.find(queued(1).id)
    assert found is not None
    assert (found.state, found.verdict, found.reason) == ("done", "error", "ann said so")
    assert words.changes == [change(1).id]
    assert not store.queue.cancel(queued(1).id, "again", words)
    assert not store.queue.cancel("nothing", "again", words)
    assert store.queue.claim("w") is None


def test_a_run_that_should_end_does_when_its_worker_dies(store: Store) -> None:
    put(store, 1)
    run = claim(store)
    store.queue.cancel(run.id, "ann said so", Words())
    words = Words()
    assert expire(store, run, words=words) == "cancelled"
    assert store.queue.find(run.id).reason == "ann said so"  # type: ignore[union-attr]
    assert words.changes == [change(1).id]


def test_a_run_that_should_end_ends_when_its_worker_gives_it_back(store: Store) -> None:
    put(store, 1)
    run = claim(store)
    store.queue.cancel(run.id, "ann said so", Words())
    store.queue.give_back(run.id, run.fence, "the runner ends")
    again = claim(store)
    assert store.queue.beat(again.id, again.fence) == "ann said so"


def test_an_approval_is_for_one_commit_of_one_pull_request(store: Store) -> None:
    for number, pull in ((1, 5), (2, 5), (3, 6)):
        asked = {**PULL, "pull": pull}
        run = queued(number, of=change(number, **asked), state="held")
        put(store, number, runs=[run], **asked)
    assert store.queue.approved_by("acme/models", 5, commit_of(1)) == ""
    assert [run.id for run in store.queue.approve("acme/models", 5, commit_of(1), "bob")] == [queued(1).id]
    for who, number in (("eve", 1), ("bob", 3), ("bob", 4)):
        with pytest.raises(Stalled, match="waits for approval"):
            store.queue.approve("acme/models", 5, commit_of(number), who)
        assert store.queue.approved_by("acme/models", 5, commit_of(number)) == ("bob" if number == 1 else "")
    assert store.queue.approved_by("acme/models", 5, commit_of(1)) == "bob"
    assert {run.id: run.state for run in store.queue.newest()} == {
        queued(1).id: "waiting",
        queued(2).id: "held",
        queued(3).id: "held",
    }
    assert claim(store).id == queued(1).id


def test_gpu_time_is_summed_for_a_pull_request(store: Store) -> None:
    for number in (1, 2):
        put(store, number, runs=[queued(number, of=change(number, **PULL))], **PULL)
        run = claim(store)
        store.queue.used(run.id, run.fence, 1.0)
        store.queue.used(run.id, run.fence, 100.5)
    put(store, 3)
    other = claim(store)
    store.queue.used(other.id, other.fence, 7.0)
    assert store.queue.gpu_seconds_of_pull("acme/models", 5) == 201.0
    assert store.queue.gpu_seconds_of_pull("acme/models", 0) == 0.0
    assert store.queue.gpu_seconds_of_pull("nobody", 5) == 0.0


def test_a_run_of_the_queue_whose_worker_is_dead_is_not_marked_as_crashed_by_a_desk(store: Store) -> None:
    put(store, 1)
    run = claim(store)
    for run_id in (run.id, "of a desk"):
        store.runs.add(
            Run(run_id, "s", "", "", "", "", "", False, (), {}, "running", None, "", run.started_at, pid=1)
        )  # type: ignore[arg-type]
    assert store.runs.mark_crashed(lambda pid, host: False) == ["of a desk"]
    store.queue.finish(run.id, run.fence, "pass", "", [], Words())
    assert store.runs.mark_crashed(lambda pid, host: False) == [run.id]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_whose_clock_is_an_hour_off_is_fenced_like_any_other(store: Store, hours: int) -> None:
    off = Queue(store.database, lambda: utc_now() + timedelta(hours=hours))
    for number in (1, 2):
        put(store, number)
    first = off.claim("host:1:0")
    assert first is not None
    assert first.id == queued(1).id
    assert expire(store, first) == "waiting"
    again = claim(store)
    assert (again.id, again.fence) == (first.id, first.fence + 2)
    with pytest.raises(Fenced):
        off.finish(first.id, first.fence, "pass", "", [], Words())
    off.finish(again.id, again.fence, "pass", "", [], Words())
    late = Outbox(store.database, lambda: utc_now() + timedelta(hours=hours))
    item = store.outbox.due()[0]
    late.later(item.id, 60.0, "502")
    assert item.id in {one.id for one in store.outbox.due()}, "nobody waits for an hour because of a clock"
