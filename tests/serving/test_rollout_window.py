import json

from fiat.serving.counts import Counts, VersionCounts, WorkerCounts
from fiat.serving.rollout_window import Gathered, begin_window, gather, read_gathered

OLD, NEW = "old.dir", "new.dir"


def worker(old: int, new: int, number: int = 0, pid: int = 10, started_at: float = 1.0) -> WorkerCounts:
    versions = tuple(
        VersionCounts(digest[:3], digest, "ready", counts=Counts(requests=n, latency={"5": n}))
        for digest, n in ((OLD, old), (NEW, new))
    )
    return WorkerCounts(number, pid, started_at, 0.0, 1, 0, 0, 0, 0, {"m": versions})


def test_only_what_came_since_counts() -> None:
    window = begin_window(None, [worker(100, 5)], "m", OLD)
    assert window.of(NEW) == Counts()
    assert window.before.requests == 100
    window = gather(window, [worker(130, 8)], "m")
    assert (window.of(OLD).requests, window.of(NEW).requests) == (30, 3)
    assert window.of(NEW).latency == {"5": 3}


def test_looking_again_without_news_changes_nothing() -> None:
    window = begin_window(None, [worker(1, 1)], "m", OLD)
    assert gather(window, [worker(1, 1)], "m") is window


def test_a_worker_that_begins_a_new_life_takes_nothing_away() -> None:
    window = begin_window(None, [worker(100, 5)], "m", OLD)
    window = gather(window, [worker(110, 6)], "m")
    window = gather(window, [worker(4, 2, pid=11, started_at=2.0)], "m")
    assert (window.of(OLD).requests, window.of(NEW).requests) == (14, 3)


def test_a_version_that_was_loaded_anew_in_the_same_life_takes_nothing_away() -> None:
    window = begin_window(None, [worker(100, 50)], "m", OLD)
    window = gather(window, [worker(100, 7)], "m")
    assert window.of(NEW).requests == 7
    assert min(window.of(NEW).latency.values()) > 0


def test_workers_are_added_up() -> None:
    first = begin_window(None, [worker(10, 0), worker(20, 0, 1, 11)], "m", OLD)
    window = gather(first, [worker(15, 1), worker(22, 2, 1, 11)], "m")
    assert (window.of(OLD).requests, window.of(NEW).requests) == (7, 3)


def test_the_next_stage_begins_empty_and_remembers_the_stable_version_while_it_had_traffic() -> None:
    first = gather(begin_window(None, [worker(10, 0)], "m", OLD), [worker(15, 3)], "m")
    second = begin_window(first, [worker(15, 3)], "m", OLD)
    assert second.sums == {}
    assert second.before.requests == 5
    third = begin_window(gather(second, [worker(15, 9)], "m"), [worker(15, 9)], "m", OLD)
    assert third.before.requests == 5


def test_a_window_survives_json() -> None:
    window = gather(begin_window(None, [worker(10, 0)], "m", OLD), [worker(15, 3)], "m")
    assert read_gathered(json.loads(json.dumps(window.document()))) == window
    assert read_gathered(json.loads(json.dumps(Gathered().document()))) == Gathered()
