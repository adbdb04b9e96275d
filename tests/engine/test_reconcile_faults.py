"""What fails in the reconciler rests and ends in time, and keeps nothing else from being done."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from fiat.engine.asks import Asks
from fiat.engine.commands import Commands
from fiat.engine.heads import Heads
from fiat.engine.order import Order
from fiat.engine.policy import RepoPolicy
from fiat.engine.reconcile import AT_ONCE, Reconciler
from fiat.engine.specs_at import SpecsAt
from fiat.engine.split import Splitter
from fiat.engine.targets import Targets
from fiat.engine.ticks import Ticks
from fiat.engine.watched import Watched
from fiat.errors import Waiting
from fiat.run.delivery import Commented, Delivery
from fiat.run.queue import Change
from fiat.store.deliveries import Taking
from fiat.store.store import Store
from fiat.wiring.runner_teller import CommentLanguage
from tests.engine.queue_stage import TELLING, Clock, open_queue

MAIN = "refs/heads/main"
DAY_S = 86400.0


def no_targets(store: Store) -> Targets:
    """No place was ever deployed to, so nobody is asked."""
    return Targets(store, lambda watched: None, lambda *_: (), lambda *_: None, time.monotonic, print)  # type: ignore[arg-type, return-value]


class ToldForge:
    """A forge that does one thing when it is asked who may write."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self.asked = asked

    def may_write(self, *_: str) -> bool:
        return self.asked()


@dataclass
class Stage:
    """A reconciler over a real store, whose repositories answer as a test says."""

    store: Store
    folder: Path
    clock: Clock

    def __post_init__(self) -> None:
        self.said: list[str] = []
        self.repos: dict[str, Watched] = {}
        store, order, specs = self.store, Order(lambda: datetime.now(UTC), lambda: "abc"), SpecsAt()
        self.asks = asks = Asks(store, TELLING, order.new_id, order.now)
        self.reconciler = Reconciler(
            store=store,
            repos=self.repos,
            heads=Heads(store, asks),
            commands=Commands(store, self.repos, specs, asks, CommentLanguage()),
            ticks=Ticks(store, specs, asks, lambda *_: "", order.new_id, order.now),
            targets=no_targets(store),
            splitter=Splitter(store, self.repos, specs, TELLING, self.folder, order.new_id, order.now),
            every_s=60.0,
            clock=self.clock,
            log=self.said.append,
            queued=lambda: None,
        )

    def watch(self, name: str, repo_id: str, *, mirror: object = None, forge: object = None) -> None:
        self.repos[name] = Watched(
            RepoPolicy(name, "github", id=repo_id), cast(Any, mirror), cast(Any, forge)
        )

    def change(self, name: str, number: int, age_s: float = 0.0) -> Change:
        made_at = datetime.now(UTC) - timedelta(seconds=age_s)
        change = Change(f"{number:09}-c", name, f"{number:040x}", "push", MAIN, made_at=made_at)
        assert self.store.changes.add(change)
        return change

    def comment(self, repo_id: str, number: int) -> None:
        happening = Commented("/fiat run", 1, "", str(number))
        name = f"{repo_id}-{number}"
        told = Delivery("github", name, name, "issue_comment", repo_id, "x", "99", "mona", (happening,))
        assert self.store.deliveries.take([Taking(told)]) == ["new"]

    def pass_time(self, seconds: float, step_s: float = 60.0) -> None:
        until_s = self.clock.now_s + seconds
        while self.clock.now_s < until_s:
            self.clock.now_s += step_s
            self.reconciler.tick()


class BrokenMirror:
    """Of which every use fails in one way."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.used = 0

    def heads(self, **_: bool) -> dict[str, str]:
        self.used += 1
        raise self.error

    def fetch(self, *_: object, **__: object) -> frozenset[str]:
        self.used += 1
        raise self.error


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with open_queue(tmp_path) as store:
        yield Stage(store, tmp_path / "footprints", Clock())


@pytest.mark.parametrize("error", [KeyError("bug"), Waiting("git does not answer")])
def test_a_change_that_can_not_be_split_for_a_day_ends_with_an_error(on: Stage, error: Exception) -> None:
    on.watch("acme/models", "1", mirror=BrokenMirror(error))
    change = on.change("acme/models", 1)
    on.pass_time(DAY_S - 3600, 300.0)
    assert (found := on.store.changes.find(change.id)) is not None
    assert found.state == "new"
    on.pass_time(2 * 3600, 300.0)
    assert (found := on.store.changes.find(change.id)) is not None
    assert (found.state, found.verdict) == ("done", "error")
    assert "given up" in found.reason


def test_a_change_that_was_left_for_days_is_tried_for_some_minutes_first(on: Stage) -> None:
    mirror = BrokenMirror(Waiting("git does not answer"))
    on.watch("acme/models", "1", mirror=mirror)
    change = on.change("acme/models", 1, age_s=3 * DAY_S)
    on.pass_time(300)
    assert (found := on.store.changes.find(change.id)) is not None
    assert found.state == "new"
    on.pass_time(1200)
    assert (found := on.store.changes.find(change.id)) is not None
    assert (found.state, found.verdict) == ("done", "error")


@pytest.mark.parametrize("error", [KeyError("bug"), Waiting("the forge is down")])
def test_a_comment_that_can_not_be_obeyed_for_a_day_has_failed(on: Stage, error: Exception) -> None:
    def asked() -> bool:
        raise error

    on.watch("acme/models", "1", mirror=BrokenMirror(Waiting("git")), forge=ToldForge(asked))
    on.comment("1", 1)
    on.pass_time(DAY_S - 3600, 300.0)
    assert len(on.store.deliveries.received()) == 1
    on.pass_time(2 * 3600, 300.0)
    assert on.store.deliveries.received() == []
    assert on.store.deliveries.counts()["github", "issue_comment", "failed"] == 1


def test_any_number_of_changes_that_wait_keeps_no_other_repository_waiting(on: Stage) -> None:
    on.watch("dead/models", "1", mirror=BrokenMirror(Waiting("git does not answer")))
    for number in range(2 * AT_ONCE):
        on.change("dead/models", number)
    last = on.change("gone/models", 5000)
    on.pass_time(10, 1.0)
    assert (found := on.store.changes.find(last.id)) is not None
    assert (found.state, found.reason) == ("done", "the repository is no longer watched")


def test_any_number_of_comments_that_wait_keeps_no_other_repository_waiting(on: Stage) -> None:
    def down() -> bool:
        raise Waiting("the forge is down")

    asked: list[bool] = []

    def up() -> bool:
        asked.append(True)
        return False

    git = BrokenMirror(Waiting("git does not answer"))
    on.watch("dead/models", "1", mirror=git, forge=ToldForge(down))
    on.watch("good/models", "2", mirror=git, forge=ToldForge(up))
    for number in range(2 * AT_ONCE):
        on.comment("1", number)
    on.comment("2", 1)
    on.pass_time(10, 1.0)
    assert asked == [True]
    assert len(on.store.deliveries.received(1000)) == 2 * AT_ONCE


def test_triggers_are_looked_at_although_git_does_not_tell_its_heads(on: Stage) -> None:
    on.watch("acme/models", "1", mirror=BrokenMirror(Waiting("git does not answer")))
    looked: list[str] = []
    on.reconciler.ticks.look = lambda watched: looked.append(watched.policy.name)  # type: ignore[method-assign]
    on.reconciler.tick()
    assert looked == ["acme/models"]
    assert on.said == ["heads acme/models: git does not answer"]


def test_nothing_is_remembered_of_what_others_were_done_with(on: Stage) -> None:
    on.watch("acme/models", "1", mirror=BrokenMirror(Waiting("git does not answer")))
    change = on.change("acme/models", 1)
    on.reconciler.tick()
    on.store.changes.split(change.id, (), [], TELLING)
    on.reconciler.tick()
    assert on.reconciler._pauses.count("change") == 0
