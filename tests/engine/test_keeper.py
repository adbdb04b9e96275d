"""Runs are watched from outside: the dead, the frozen, the poisonous and those over their limits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.engine.keeper import OBEY_S, Keeper
from fiat.engine.policy import RunPolicy
from fiat.errors import Fenced
from fiat.run.queue import QueuedRun
from fiat.store.store import Store
from tests.engine.queue_stage import COMMIT, TELLING, Clock, add_run, open_queue

LEASE_S = 30.0


class Machine:
    """Which workers live, and which were killed."""

    def __init__(self) -> None:
        self.alive: dict[str, bool | None] = {}
        self.killed: list[str] = []

    def lives(self, worker: str) -> bool | None:
        return self.alive.get(worker, True)

    def kill(self, worker: str) -> None:
        self.killed.append(worker)
        self.alive[worker] = False


class Stage:
    """A keeper over a real store."""

    def __init__(self, store: Store, policy: RunPolicy) -> None:
        self.store, self.clock, self.machine, self.said = store, Clock(), Machine(), list[str]()
        self.keeper = Keeper(
            store, policy, TELLING, self.clock, self.machine.lives, self.machine.kill, self.said.append
        )

    def claim(self, worker: str = "here:1:1") -> QueuedRun:
        run = self.store.queue.claim(worker)
        assert run is not None
        return run

    def pass_time(self, seconds: float, beat: QueuedRun | None = None) -> None:
        for _ in range(int(seconds)):
            self.clock.now_s += 1
            if beat is not None:
                self.store.queue.beat(beat.id, beat.fence)
            self.keeper.tick()

    def state(self, run_id: str = "r1") -> str:
        run = self.store.queue.find(run_id)
        assert run is not None
        return run.state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_queue(tmp_path) as store:
        yield store


def stage(store: Store, **limits: float) -> Stage:
    return Stage(store, RunPolicy(lease_s=LEASE_S, **limits))  # type: ignore[arg-type]


def test_a_worker_that_beats_keeps_its_run_for_ever(store: Store) -> None:
    add_run(store)
    on = stage(store)
    run = on.claim()
    on.pass_time(10 * LEASE_S, beat=run)
    assert on.state() == "running"
    assert on.machine.killed == []


def test_the_run_of_a_dead_worker_waits_again_at_once(store: Store) -> None:
    add_run(store)
    on = stage(store)
    run = on.claim()
    on.machine.alive[run.worker] = False
    on.keeper.tick()
    assert on.state() == "waiting"
    again = on.claim("here:2:2")
    assert again.fence > run.fence
    with pytest.raises(Fenced):
        store.queue.beat(run.id, run.fence)


def test_a_frozen_worker_is_killed_before_its_run_goes_to_another(store: Store) -> None:
    add_run(store)
    on = stage(store)
    run = on.claim()
    on.pass_time(LEASE_S - 2)
    assert on.state() == "running"
    on.pass_time(5)
    assert on.machine.killed == [run.worker]
    assert on.state() == "waiting"


def test_a_silent_worker_stays_silent_where_only_the_look_after_its_end_gets_further(store: Store) -> None:
    add_run(store)
    on = stage(store)
    on.claim()

    def kill(worker: str) -> None:
        on.machine.kill(worker)
        raise OSError("not now")

    on.keeper.kill = kill
    with pytest.raises(OSError, match="not now"):
        on.pass_time(LEASE_S + 2)
    on.pass_time(1)
    assert on.state() == "waiting"
    assert [text for text in on.said if "was silent for 30 s" in text] == on.said
    assert on.said


def test_a_worker_that_came_back_and_died_later_is_not_called_silent(store: Store) -> None:
    add_run(store)
    on = stage(store)
    run = on.claim()

    def refuse(worker: str) -> None:
        raise OSError("not now")

    on.keeper.kill = refuse
    with pytest.raises(OSError, match="not now"):
        on.pass_time(LEASE_S + 2)
    on.pass_time(1, beat=run)
    on.machine.alive[run.worker] = False
    on.pass_time(1)
    assert on.said == ["run r1: its worker died; it is waiting"]


def test_a_silent_worker_of_another_host_is_fenced_out_and_not_killed(store: Store) -> None:
    add_run(store)
    on = stage(store)
    run = on.claim("elsewhere:1:1")
    on.machine.alive[run.worker] = None
    on.pass_time(LEASE_S + 2)
    assert on.machine.killed == []
    assert on.state() == "waiting"
    with pytest.raises(Fenced):
        store.queue.finish(run.id, run.fence, "pass", "", [], TELLING)


def test_a_run_that_kills_its_worker_each_time_is_parked_with_an_error(store: Store) -> None:
    add_run(store)
    on = stage(store, attempts=3)
    for number in range(3):
        worker = f"here:{number}:1"
        on.claim(worker)
        on.machine.alive[worker] = False
        on.keeper.tick()
    parked = store.queue.find("r1")
    assert parked is not None
    assert (parked.state, parked.verdict) == ("done", "error")
    assert "its worker died" in parked.reason
    checks = {item.channel: item.report for item in store.outbox.due()}
    report = checks[f"check {COMMIT} fiat/push/wine"]
    assert report.state == "error"  # type: ignore[union-attr]
    assert store.queue.claim("here:9:9") is None


def test_a_claim_that_commits_a_step_does_not_count_towards_parking(store: Store) -> None:
    add_run(store)
    on = stage(store, attempts=3)
    for number in range(8):
        worker = f"here:{number}:1"
        run = on.claim(worker)
        store.queue.progressed(run.id, run.fence)
        on.machine.alive[worker] = False
        on.keeper.tick()
    assert on.state() == "waiting"


def test_a_run_over_its_time_is_told_to_end_and_then_ended(store: Store) -> None:
    add_run(store)
    on = stage(store, time_s=3600.0)
    run = on.claim()
    on.keeper.tick()
    on.clock.now_s += 3601
    assert store.queue.beat(run.id, run.fence) == ""
    on.keeper.tick()
    assert "limit of 1 h" in store.queue.beat(run.id, run.fence)
    on.pass_time(OBEY_S + 3, beat=run)
    assert on.machine.killed == [run.worker]
    on.keeper.tick()
    ended = store.queue.find("r1")
    assert ended is not None
    assert (ended.state, ended.verdict) == ("done", "error")
    assert "limit of 1 h" in ended.reason


def test_a_deploy_that_has_begun_is_left_to_finish(store: Store) -> None:
    add_run(store)
    on = stage(store, time_s=3600.0)
    run = on.claim()
    on.keeper.tick()
    store.queue.begin_deploy(run.id, run.fence)
    on.clock.now_s += 4000
    on.pass_time(2 * OBEY_S, beat=run)
    assert on.machine.killed == []
    assert on.state() == "running"


def test_gpu_hours_of_a_pull_request_are_added_up_over_its_runs(store: Store) -> None:
    add_run(store, "r1", pull=7, commit="a" * 40)
    on = stage(store, pull_gpu_s=3600.0)
    first = on.claim()
    store.queue.used(first.id, first.fence, 3000.0)
    store.queue.finish(first.id, first.fence, "pass", "", [], TELLING)
    add_run(store, "r2", pull=7, commit="b" * 40)
    second = on.claim()
    store.queue.used(second.id, second.fence, 500.0)
    on.keeper.tick()
    assert store.queue.beat(second.id, second.fence) == ""
    store.queue.used(second.id, second.fence, 700.0)
    on.keeper.tick()
    assert "pull request used more than its limit of 1 GPU hours" in store.queue.beat(second.id, second.fence)


def test_a_deploy_that_hangs_is_ended_after_a_time_of_its_own_and_its_lane_comes_free(store: Store) -> None:
    add_run(store)
    on = stage(store, time_s=1800.0)
    run = on.claim()
    on.keeper.tick()
    store.queue.begin_deploy(run.id, run.fence)
    add_run(store, "r2", commit="d" * 40)
    for _ in range(35):
        on.clock.now_s += 100
        store.queue.beat(run.id, run.fence)
        on.keeper.tick()
    assert on.machine.killed == []
    assert on.said == []
    for _ in range(3):
        on.clock.now_s += 100
        store.queue.beat(run.id, run.fence)
        on.keeper.tick()
        if on.machine.killed:
            break
    on.keeper.tick()
    assert on.machine.killed == [run.worker]
    ended = store.queue.find("r1")
    assert ended is not None
    assert (ended.state, ended.verdict) == ("done", "error")
    assert "deployed for longer than 1 h" in ended.reason
    assert [line for line in on.said if "its worker is ended" in line] == on.said[:1]
    assert on.claim("here:2:2").id == "r2"


def test_a_deploy_that_hangs_on_another_host_loses_its_claim(store: Store) -> None:
    add_run(store)
    on = stage(store, time_s=1800.0)
    run = on.claim("elsewhere:1:1")
    on.machine.alive[run.worker] = None
    store.queue.begin_deploy(run.id, run.fence)
    on.keeper.tick()
    for _ in range(38):
        on.clock.now_s += 100
        if on.state() == "running":
            store.queue.beat(run.id, run.fence)
        on.keeper.tick()
    assert on.state() == "done"
    with pytest.raises(Fenced):
        store.queue.beat(run.id, run.fence)


def test_the_limit_counts_all_claims_of_a_run_over_restarts_of_the_runner(store: Store) -> None:
    add_run(store)
    clock_s = 1000.0
    ran_s = 0.0
    for number in range(4):
        on = stage(store, time_s=3600.0)
        on.clock.now_s = clock_s * (number + 1)  # another boot has another monotonic clock
        run = on.claim(f"here:{number}:1")
        on.keeper.tick()
        for _ in range(25):
            on.clock.now_s += 60
            store.queue.beat(run.id, run.fence)
            on.keeper.tick()
            ran_s += 60
            if store.queue.beat(run.id, run.fence):
                break
        if store.queue.beat(run.id, run.fence):
            break
        store.queue.give_back(run.id, run.fence, "the runner is stopping")
    assert "limit of 1 h" in store.queue.beat(run.id, run.fence)
    assert 3600 <= ran_s <= 3600 + 120
    store.queue.finish(run.id, run.fence, "error", "over", [], TELLING)
    on.pass_time(20)
    assert "r1" not in (store.marks.get("seconds of runs") or "")


def test_the_time_that_a_run_waits_between_its_claims_does_not_count(store: Store) -> None:
    add_run(store)
    on = stage(store, time_s=600.0)
    run = on.claim()
    on.pass_time(300, beat=run)
    store.queue.give_back(run.id, run.fence, "git does not answer")
    on.pass_time(2000)
    run = on.claim("here:2:2")
    on.pass_time(200, beat=run)
    assert store.queue.beat(run.id, run.fence) == ""
