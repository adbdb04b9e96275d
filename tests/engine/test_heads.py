"""What a look at git and at the forge's list of pull requests adds, and what it leaves alone."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fiat.engine.asks import Asks
from fiat.engine.heads import Heads
from fiat.engine.order import Order
from fiat.engine.policy import RepoPolicy
from fiat.engine.watched import Watched
from fiat.errors import Stalled
from fiat.ports.forge import Pull
from fiat.run.queue import CLOSED, Change, QueuedRun
from fiat.store.store import Store
from fiat.testing.fake_forge import FakeForge

sys.path.insert(0, str(Path(__file__).parent))
from queue_stage import TELLING, open_queue

MAIN, DEV, SIDE = "refs/heads/main", "refs/heads/dev", "refs/heads/side"
A, B = "a" * 40, "b" * 40
REPO = "acme/models"


@dataclass
class Told:
    """What git says: a mirror as far as a look needs it."""

    refs: dict[str, str] = field(default_factory=dict)

    def heads(self, *, pulls: bool = True) -> Mapping[str, str]:
        return dict(self.refs)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_queue(tmp_path) as store:
        yield store


@dataclass
class Scene:
    """One repository that is looked at."""

    store: Store
    git: Told = field(default_factory=Told)
    forge: FakeForge = field(default_factory=FakeForge)

    def __post_init__(self) -> None:
        order = Order(lambda: datetime.now(UTC), lambda: "abc")
        self.asks = Asks(self.store, TELLING, order.new_id, order.now)
        self.heads = Heads(self.store, self.asks)
        policy = RepoPolicy(REPO, "github", id="4711", branches=("main", "dev"))
        git: Any = self.git
        self.watched = Watched(policy, git, self.forge)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.heads.look(self.watched)

    def pull(self, commit: str, base: str = MAIN) -> None:
        self.git.refs["refs/pull/1/head"] = commit
        self.forge.open_pulls = (Pull(1, commit, "patch", base, False, "", "7"),)

    def told(self) -> list[tuple[str, str, int]]:
        """Of all changes commit, ref and serial, the oldest first."""
        return [(one.commit, one.ref, one.serial) for one in reversed(self.store.changes.newest())]


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store)


def webhook(scene: Scene, purpose: Any, commit: str, ref: str, pull: int = 0) -> None:
    """What the web writes when a webhook comes."""
    change = Change(scene.asks.new_id(), REPO, commit, purpose, ref, pull, made_at=scene.asks.now())
    scene.store.changes.add(change)


def test_a_webhook_that_comes_in_the_middle_of_a_look_leaves_one_change(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.git.refs[MAIN] = A
    scene.pull(B)
    add = scene.asks.add

    def late(change: Change, serial: int | None = None) -> Change:
        webhook(scene, change.purpose, change.commit, change.ref, change.pull)
        return add(change, serial)

    monkeypatch.setattr(scene.asks, "add", late)
    scene.look()
    assert scene.told() == [(A, MAIN, 0), (B, MAIN, 0)]


def test_a_pull_request_to_a_branch_that_is_not_watched_gets_nothing_until_it_goes_to_one_that_is(
    scene: Scene,
) -> None:
    scene.pull(A, SIDE)
    scene.look(11)
    assert scene.told() == []
    scene.pull(A, MAIN)
    scene.look(10)
    assert scene.told() == [(A, MAIN, 0)]


def test_a_pull_request_that_goes_to_another_branch_and_back_is_found_though_its_head_did_not_move(
    scene: Scene,
) -> None:
    for base in (MAIN, DEV, MAIN):
        scene.pull(A, base)
        scene.look(10)
    assert scene.told() == [(A, MAIN, 0), (A, DEV, 0), (A, MAIN, 1)]
    scene.look(25)
    assert len(scene.told()) == 3


def test_a_pull_request_that_was_set_back_runs_again_once(scene: Scene) -> None:
    for commit in (A, B, A, A):
        scene.pull(commit)
        scene.look()
    assert scene.told() == [(A, MAIN, 0), (B, MAIN, 0), (A, MAIN, 1)]


def test_what_was_ended_by_closing_its_pull_request_runs_again_when_that_is_open_again(scene: Scene) -> None:
    scene.pull(A)
    scene.look()
    (change,) = scene.store.changes.newest()
    run = QueuedRun("r1", change.id, REPO, A, "pull_request", MAIN, "x", "spec.yaml", pull=1)
    scene.store.changes.split(change.id, [replace(run, queued_at=scene.asks.now())], [], TELLING)
    assert scene.asks.cancel_pull(scene.watched, 1, CLOSED)
    scene.look(10)
    assert scene.told() == [(A, MAIN, 0), (A, MAIN, 1)]
    assert scene.asks.cancel_pull(scene.watched, 1, CLOSED), "one that is not split yet ends, too"
    assert not scene.store.changes.open()
    scene.look(10)
    assert scene.told()[2:] == [(A, MAIN, 2)]


def test_nothing_is_added_while_another_repository_has_the_name(scene: Scene) -> None:
    scene.git.refs[MAIN] = A
    scene.forge.renamed_to = "999"
    with pytest.raises(Stalled, match="another repository"):
        scene.look()
    scene.git.refs.clear()
    scene.pull(B)
    with pytest.raises(Stalled, match="another repository"):
        scene.look()
    assert scene.told() == []
