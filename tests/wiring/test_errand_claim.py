"""A worker's hold on a run: its last word is insisted on while it lives, and waiting has an end."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault, Fenced
from fiat.store.store import Store
from fiat.wiring.desk import utc_now
from fiat.wiring.errand_claim import WAITING_S, Claim
from tests.engine.queue_stage import TELLING, add_run, open_queue

LEASE_S = 0.6


class Stage:
    """A claimed run with a claim whose beats go on."""

    def __init__(self, store: Store) -> None:
        add_run(store)
        run = store.queue.claim("here:1:1")
        assert run is not None
        self.store, self.run = store, run
        self.died, self.stops, self.said = threading.Event(), threading.Event(), list[str]()
        self.claim = Claim(run, store, LEASE_S, self.stops.is_set, self.said.append, self.died.set)
        self.beats = threading.Thread(target=self.claim.beat, daemon=True)
        self.beats.start()

    def finish(self) -> None:
        self.store.queue.finish(self.run.id, self.run.fence, "pass", "good", [], TELLING)


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with open_queue(tmp_path) as store:
        stage = Stage(store)
        yield stage
        stage.claim.over()
        stage.beats.join()


def test_an_end_that_can_not_be_written_is_written_later_under_the_same_claim(on: Stage) -> None:
    full_until_s = time.monotonic() + 3 * LEASE_S

    def write() -> None:
        if time.monotonic() < full_until_s:
            raise EnvironmentFault("the disk is full")
        on.finish()

    on.claim.insist(write)
    run = on.store.queue.find("r1")
    assert run is not None
    assert (run.state, run.verdict, run.fence) == ("done", "pass", on.run.fence)
    on.beats.join(5)
    assert not on.beats.is_alive()
    assert not on.died.is_set()
    assert [line for line in on.said if "disk is full" in line] == on.said[:1]


def test_a_runner_that_stops_is_not_kept_waiting_by_an_end_that_can_not_be_written(on: Stage) -> None:
    def write() -> None:
        raise EnvironmentFault("the disk is full")

    on.stops.set()
    with pytest.raises(EnvironmentFault):
        on.claim.insist(write)


def test_a_claim_that_was_lost_ends_the_process_and_writes_nothing(on: Stage) -> None:
    (lease,) = on.store.queue.leases()
    on.store.queue.expire(lease, "it was silent", 5, TELLING)
    assert on.died.wait(5)
    with pytest.raises(Fenced):
        on.claim.insist(on.finish)


def test_a_bug_in_beating_ends_the_process_with_a_word(on: Stage) -> None:
    on.claim.gpu_seconds = lambda: 1 / 0
    assert on.died.wait(5)
    assert "ZeroDivisionError" in on.said[0]


def test_waiting_is_counted_over_all_claims_and_forgotten_at_the_end(on: Stage) -> None:
    assert on.claim.waited_s() == 0.0
    assert on.claim.waited_s() < 5
    long_ago = utc_now() - timedelta(seconds=WAITING_S + 60)
    on.store.marks.set("waits r1", long_ago.isoformat())
    again = Claim(on.run, on.store, LEASE_S, on.stops.is_set, on.said.append, on.died.set)
    assert again.waited_s() > WAITING_S
    on.claim.waits_no_more()
    assert on.store.marks.get("waits r1") is None


def test_a_claim_that_went_well_for_long_counts_anew(on: Stage) -> None:
    on.store.marks.set("waits r1", (utc_now() - timedelta(seconds=WAITING_S + 60)).isoformat())
    on.claim._began_s -= 3700
    assert on.claim.waited_s() == 0.0
