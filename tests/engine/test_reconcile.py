"""The loop of the reconciler, on a real repository and its mirror."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.engine.asks import Asks
from fiat.engine.commands import Commands
from fiat.engine.heads import Heads
from fiat.engine.order import Order
from fiat.engine.policy import RepoPolicy
from fiat.engine.reconcile import Reconciler
from fiat.engine.specs_at import SpecsAt
from fiat.engine.split import Splitter
from fiat.engine.targets import Targets
from fiat.engine.ticks import Ticks
from fiat.engine.watched import Watched
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
from fiat.run.queue import Change
from fiat.store.store import Store
from fiat.wiring.runner_teller import CommentLanguage

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
sys.path.insert(0, str(Path(__file__).parent))
from git_repository import Repository
from queue_stage import TELLING, open_queue

MAIN, SIDE = "refs/heads/main", "refs/heads/side"
SPEC = "fiat: 1\nname: tiny\nsteps:\n  one: {run: 'echo 1 > {out.a}', out: {a: file}}\n"


def no_targets(store: Store) -> Targets:
    """No place was ever deployed to, so nobody is asked."""
    return Targets(store, lambda watched: None, lambda *_: (), lambda *_: None, time.monotonic, print)  # type: ignore[arg-type, return-value]


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_queue(tmp_path) as store:
        yield store


def reconciler(store: Store, repository: Repository, heard: list[list[str]]) -> Reconciler:
    """Of one repository; each time that something was queued, the branches that have a change are noted."""
    remote = Remote(f"file://{repository.folder}", protocols=frozenset({"file"}))
    policy = RepoPolicy("acme/models", "github", branches=("main", "side"))
    watched = Watched(policy, Mirror(repository.folder.parent / "mirror", remote), None)
    repos = {policy.name: watched}
    order = Order(utc_now, lambda: "abc")
    asks = Asks(store, TELLING, order.new_id, order.now)
    specs = SpecsAt()
    return Reconciler(
        store=store,
        repos=repos,
        heads=Heads(store, asks),
        commands=Commands(store, repos, specs, asks, CommentLanguage()),
        ticks=Ticks(store, specs, asks, lambda *_: "", order.new_id, order.now),
        targets=no_targets(store),
        splitter=Splitter(
            store, repos, specs, TELLING, repository.folder.parent / "footprints", order.new_id, order.now
        ),
        every_s=60.0,
        clock=time.monotonic,
        log=print,
        queued=lambda: heard.append(sorted(change.ref for change in store.changes.newest())),
    )


def test_runs_can_be_claimed_before_the_repository_is_looked_at(tmp_path: Path, store: Store) -> None:
    repository = Repository(tmp_path / "work")
    commit = repository.commit({"spec.yaml": SPEC})
    repository.git("branch", "side")
    told = Change("20260101-000000000000-abc", "acme/models", commit, "push", MAIN, made_at=utc_now())
    assert store.changes.add(told)
    heard: list[list[str]] = []
    assert reconciler(store, repository, heard).tick()
    # The branch that no webhook told of is found by looking, and is not there yet when main's run is.
    assert heard == [[MAIN]]
    assert [change.ref for change in store.changes.open()] == [SIDE]
    assert [run.ref for run in store.queue.newest()] == [MAIN]
