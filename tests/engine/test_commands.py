"""What people ask for in comments, and pull requests that are closed and opened again."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fiat.engine.asks import Asks
from fiat.engine.commands import Commands
from fiat.engine.intake import asked
from fiat.engine.order import Order
from fiat.engine.policy import RepoPolicy
from fiat.engine.specs_at import SpecsAt
from fiat.engine.watched import Watched
from fiat.errors import SpecError
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
from fiat.ports.forge import Pull
from fiat.run.delivery import Commented, Delivery, Happening, PullChanged
from fiat.run.model import Release
from fiat.run.queue import Change, QueuedRun
from fiat.store.store import Store
from fiat.testing.fake_forge import FakeForge
from fiat.wiring.runner_teller import CommentLanguage

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
sys.path.insert(0, str(Path(__file__).parent))
from git_repository import Repository
from queue_stage import TELLING, open_queue

MAIN, REPO = "refs/heads/main", "acme/models"
A = "a" * 40
SPEC = """\
fiat: 1
name: leaves
model: {name: shop}
data: {rows: {source: {path: rows.csv}, label: y, split: {train: 1, test: 1, key: id}}}
train: {run: "cp a.onnx {out.model}", code: ["*.onnx"]}
evaluate: {metrics: [mae]}
"""


@dataclass
class Scene:
    """A repository with one open pull request; mona (7) writes, adam (9) may approve."""

    store: Store
    folder: Path
    forge: FakeForge = field(default_factory=FakeForge)

    def __post_init__(self) -> None:
        self.forge.writers["mona"] = "7"
        self.open(A)
        self.order = Order(lambda: datetime.now(UTC), lambda: "abc")
        self.asks = Asks(self.store, TELLING, self.order.new_id, self.order.now)
        self.policy = RepoPolicy(REPO, "github", approvers=("9",))
        self.mirror = Mirror(
            self.folder / "mirror",
            Remote(f"file://{self.folder / 'work'}", protocols=frozenset({"file"})),
        )
        self.watch(self.forge)

    def watch(self, forge: FakeForge | None) -> None:
        self.watched = Watched(self.policy, self.mirror, forge)
        repos = {REPO: self.watched}
        self.commands = Commands(self.store, repos, SpecsAt(), self.asks, CommentLanguage())

    def open(self, *commits: str) -> None:
        """What the forge has open: pull request 1, or none."""
        self.forge.open_pulls = tuple(Pull(1, one, "x", MAIN, False, "", "7") for one in commits)

    def take(self, key: str, happening: Happening, who: tuple[str, str] = ("7", "mona")) -> str:
        """A webhook comes: its changes are written, then the reconciler does the rest."""
        told = Delivery("github", key, key, "x", "1", REPO, who[0], who[1], (happening,))
        for change in asked(told, [self.policy], new_id=self.order.new_id, now=self.order.now()).changes:
            self.store.changes.add(change)
        return self.commands.do(told)

    def says(self, key: str, text: str, who: tuple[str, str] = ("7", "mona")) -> str:
        return self.take(key, Commented(text, 1, "", key), who)

    def pulled(self, key: str, action: Any) -> str:
        return self.take(key, PullChanged(1, action, A, "x", MAIN, fork=False))

    def split(self, change: Change, **fields: Any) -> None:
        run = QueuedRun(
            f"r-{change.id}", change.id, REPO, change.commit, change.purpose, MAIN, "leaves", "spec.yaml"
        )
        run = replace(run, pull=change.pull, queued_at=self.order.now(), **fields)
        self.store.changes.split(change.id, [run], [], TELLING)

    def release(self, model: str, commit: str, digest: str) -> None:
        self.store.releases.add(
            Release(f"{REPO}:{model}", "", "main", commit, digest, digest, digest, datetime.now(UTC))
        )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_queue(tmp_path) as store:
        yield Scene(store, tmp_path)


def test_a_comment_that_is_done_twice_since_a_kill_came_in_between_brings_one_change(scene: Scene) -> None:
    for _ in range(2):
        assert scene.says("k1", "/fiat run") == "mona asked for a run of aaaaaaaaaa"
    assert len(scene.store.changes.newest()) == 1
    scene.says("k2", "/fiat run")
    assert len(scene.store.changes.newest()) == 2, "another comment is another wish"


def test_who_may_approve_may_nothing_else(scene: Scene) -> None:
    adam = ("9", "adam")
    for number, word in enumerate(("run", "cancel", "rollback")):
        assert scene.says(f"k{number}", f"/fiat {word}", adam) == f"adam may not ask for {word}"
    scene.pulled("k8", "opened")
    scene.split(scene.store.changes.newest()[0], state="held", fork=True)
    assert scene.says("k9", f"/fiat approve {A}", adam) == "adam approved aaaaaaaaaa: 1 runs"
    assert scene.says("k10", f"/fiat approve {A}", adam).endswith("nothing was approved")
    assert scene.says("k11", f"/fiat approve {A}", ("66", "eve")) == "eve may not ask for approve"


@pytest.mark.parametrize("asks_the_forge", [True, False])
def test_a_pull_request_that_is_opened_again_runs_again_what_its_close_ended(
    scene: Scene, asks_the_forge: bool
) -> None:
    scene.watch(scene.forge if asks_the_forge else None)
    scene.pulled("k1", "opened")
    scene.split(scene.store.changes.newest()[0])
    scene.open()
    assert scene.pulled("k2", "closed") == "the pull request was closed: 1 runs"
    scene.open(A)
    for _ in range(2):
        scene.pulled("k3", "opened")
    again, first = scene.store.changes.newest()
    assert (first.state, first.verdict) == ("done", "error")
    assert (again.state, again.serial, again.commit, again.pull) == ("new", 1, A, 1)


def test_a_pull_request_that_is_opened_again_after_its_end_keeps_its_verdict(scene: Scene) -> None:
    scene.pulled("k1", "opened")
    scene.split(scene.store.changes.newest()[0], state="done", verdict="fail")
    scene.pulled("k2", "closed")
    scene.pulled("k3", "opened")
    assert len(scene.store.changes.newest()) == 1


def test_a_close_that_is_told_late_ends_nothing_of_a_pull_request_that_is_open(scene: Scene) -> None:
    scene.pulled("k1", "opened")
    scene.split(scene.store.changes.newest()[0])
    assert scene.pulled("k2", "closed") == "it was opened again meanwhile"
    assert [run.state for run in scene.store.queue.newest()] == ["waiting"]


def test_a_rollback_finds_releases_by_the_name_that_the_spec_gives_its_model(scene: Scene) -> None:
    commit = Repository(scene.folder / "work").commit({"spec.yaml": SPEC})
    scene.mirror.fetch([MAIN])
    head = Change("c1", REPO, commit, "push", MAIN, made_at=scene.order.now())
    scene.store.changes.add(head)
    scene.release("shop", "1" * 40, "d1")
    with pytest.raises(SpecError, match="leaves has no earlier release"):
        scene.asks.rollback(scene.watched, "leaves", "mona")
    scene.release("shop", "2" * 40, "d2")
    for spec in ("leaves", "spec.yaml"):
        back = scene.asks.rollback(scene.watched, spec, "mona")
        assert (back.commit, back.ref, back.specs) == ("1" * 40, MAIN, (spec,))
    scene.pulled("k1", "opened")
    scene.split(scene.store.changes.latest(REPO, "pull_request", MAIN, 1) or head)
    for _ in range(2):
        assert scene.says("k2", "/fiat rollback") == "rollback of leaves by mona"
    assert len([one for one in scene.store.changes.newest() if one.purpose == "rollback"]) == 3
