"""What a claimed run tells on its way: the first thing at once, the last thing in the end, and not too often."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.builtin.report_teller import ForgeTeller
from fiat.engine.telling import Telling
from fiat.plan.model import Plan, Step
from fiat.run.model import Run, StepResult, StepState
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Check
from fiat.store.store import Store, open_store
from fiat.wiring.errand_reporter import PACE_S, ErrandReporter

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
CHANGE = Change("c1", "acme/models", "ab" * 20, "push", "refs/heads/main")
QUEUED = QueuedRun("r1", "c1", "acme/models", "ab" * 20, "push", "refs/heads/main", "digits", "spec.yaml")
PLAN = Plan("digits", ".", "digest", (Step("prepare", "run"), Step("fit", "run")))
RUN = Run(
    id="r1",
    spec="digits",
    spec_path="spec.yaml",
    spec_digest="",
    plan_digest="",
    commit="ab" * 20,
    branch="main",
    dirty=False,
    overrides=(),
    config={},
    state="running",
    verdict=None,
    reason="",
    started_at=NOW,
)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path, now=lambda: NOW) as found:
        found.changes.add(CHANGE, [])
        found.changes.split("c1", [QUEUED], [], Telling(ForgeTeller()))
        yield found


@pytest.fixture
def reporter(store: Store, clock: Clock) -> ErrandReporter:
    queued = store.queue.claim("here:1:1")
    assert queued is not None
    made = ErrandReporter(queued, store, Telling(ForgeTeller()), lambda: (), {}, clock, print)
    made.planned(RUN, PLAN)
    return made


@pytest.fixture
def told(store: Store) -> Callable[[], str]:
    """Sends what waits; gives what the newest of it says."""

    def send() -> str:
        said = ""
        for item in store.outbox.due(10):
            assert isinstance(item.report, Check)
            said = item.report.description
            store.outbox.sent(item.id, "")
        return said

    return send


def step(name: str, state: StepState) -> StepResult:
    return StepResult(name, "run", state)


def test_the_first_step_is_told_at_once_and_the_next_when_it_is_time(
    reporter: ErrandReporter, clock: Clock, told: Callable[[], str]
) -> None:
    reporter.stepped(RUN, step("prepare", "running"))
    assert told() == "running: prepare (0 of 2 steps)"
    clock.now_s += 1
    reporter.stepped(RUN, step("prepare", "ran"))
    reporter.stepped(RUN, step("fit", "running"))
    reporter.catch_up()
    assert told() == ""
    clock.now_s += PACE_S
    reporter.catch_up()
    assert told() == "running: fit (1 of 2 steps)"
    clock.now_s += PACE_S
    reporter.catch_up()
    assert told() == "", "nothing changed since"
