"""What becomes of a commit: by whose spec its runs exclude each other, and for how long it is tried."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fiat.engine.order import Order
from fiat.engine.policy import RepoPolicy
from fiat.engine.specs_at import SpecsAt
from fiat.engine.split import GIVE_UP_S, MISSING_S, Splitter
from fiat.engine.watched import Watched
from fiat.errors import Waiting
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
from fiat.run.queue import Change
from fiat.store.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
sys.path.insert(0, str(Path(__file__).parent))
from git_repository import Repository
from queue_stage import TELLING, Clock, open_queue

MAIN, REPO = "refs/heads/main", "acme/models"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SPEC = "fiat: 1\nname: tiny\n{more}steps:\n  one: {{run: 'echo {word} > {{out.a}}', out: {{a: file}}}}\n"


class Scene:
    """One repository, and clocks by hand."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.clock, self.wall = store, Clock(), NOON
        self.repository = Repository(folder / "work")
        remote = Remote(f"file://{self.repository.folder}", protocols=frozenset({"file"}))
        self.watched = Watched(RepoPolicy(REPO, "github"), Mirror(folder / "mirror", remote), None)
        self.order = Order(lambda: self.wall, lambda: "abc")
        self.splitter = Splitter(
            store,
            {REPO: self.watched},
            SpecsAt(),
            TELLING,
            folder / "footprints",
            self.order.new_id,
            self.order.now,
            self.clock,
            lambda: self.wall,
        )

    def change(self, commit: str, purpose: Any = "push", pull: int = 0) -> Change:
        made = Change(self.order.new_id(), REPO, commit, purpose, MAIN, pull=pull, made_at=self.order.now())
        assert self.store.changes.add(made)
        return made

    def pulled(self, files: dict[str, str], gone: str = "") -> Change:
        """A pull request to main with these files, and without one."""
        self.repository.git("checkout", "-q", "-b", "patch")
        if gone:
            self.repository.git("rm", "-q", gone)
        commit = self.repository.commit(files)
        self.repository.git("update-ref", "refs/pull/1/head", commit)
        self.repository.git("checkout", "-q", "main")
        return self.change(commit, "pull_request", 1)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_queue(tmp_path) as store:
        yield Scene(store, tmp_path)


@pytest.mark.parametrize("path", ["spec.yaml", "moved/spec.yaml"])
def test_the_base_branch_says_which_runs_of_a_pull_request_exclude_each_other(
    scene: Scene, path: str
) -> None:
    ours = "concurrency: {group: gpu, supersede: true}\n"
    scene.repository.commit({"spec.yaml": SPEC.format(more=ours, word=1)})
    theirs = SPEC.format(more="concurrency: {group: all}\n", word=2)
    scene.splitter.split(scene.pulled({path: theirs}, gone="spec.yaml"))
    (run,) = scene.store.queue.newest()
    assert (run.spec_path, run.group, run.supersede) == (path, f"{REPO}/pull gpu", True)


def test_a_new_spec_of_a_pull_request_excludes_what_it_says_itself(scene: Scene) -> None:
    scene.repository.commit({"README": "words"})
    theirs = SPEC.format(more="concurrency: {group: tiny-main}\n", word=2)
    scene.splitter.split(scene.pulled({"spec.yaml": theirs}))
    (run,) = scene.store.queue.newest()
    assert run.group == f"{REPO}/pull tiny-main"


def test_a_commit_that_is_not_there_is_tried_by_the_plain_clock_whatever_order_needs(scene: Scene) -> None:
    scene.repository.commit({"spec.yaml": SPEC.format(more="", word=1)})
    change = scene.change("d" * 40)
    scene.order.after(NOON + timedelta(days=400))  # another runner's clock is far ahead
    with pytest.raises(Waiting):
        scene.splitter.split(change)
    assert not scene.splitter.is_old(change)
    scene.wall += timedelta(seconds=MISSING_S + 1)
    scene.splitter.split(change)
    found = scene.store.changes.find(change.id)
    assert found is not None
    assert found.reason == "the commit is not in the repository"


def test_a_change_grows_old_though_the_clock_was_set_back_by_years(scene: Scene) -> None:
    scene.repository.commit({"spec.yaml": SPEC.format(more="", word=1)})
    change = scene.change("d" * 40)
    scene.wall -= timedelta(days=1500)
    with pytest.raises(Waiting):
        scene.splitter.split(change)
    assert not scene.splitter.is_old(change)
    scene.clock.now_s += GIVE_UP_S + 1
    assert scene.splitter.is_old(change)
    scene.splitter.give_up(change, "it is not there")
    assert scene.store.changes.open() == []
