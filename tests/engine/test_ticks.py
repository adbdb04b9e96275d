"""Schedules and data triggers follow what the branch really says, and stand for themselves."""

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fiat.engine.asks import Asks
from fiat.engine.order import Order
from fiat.engine.policy import RepoPolicy
from fiat.engine.specs_at import Read, SpecsAt
from fiat.engine.ticks import Ticks
from fiat.engine.watched import Watched
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
from fiat.run.queue import Change
from fiat.store.store import Store
from tests.engine.queue_stage import TELLING, open_queue

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
from git_repository import Repository

MAIN = "refs/heads/main"
REPO = "acme/models"
SPEC = """\
fiat: 1
name: {name}
steps:
  one: {{run: 'echo 1 > {{out.a}}', out: {{a: file}}}}
triggers: {triggers}
"""
EACH_MINUTE = "{schedule: {cron: '* * * * *'}}"
ON_MARS = "{schedule: {cron: '* * * * *', timezone: Mars/Base}}"
BY_DATA = "{data: {every: 1m}}"


class Stage:
    """Ticks over a real repository, with a clock by hand."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.store = store
        self.repository = Repository(folder / "work")
        remote = Remote(f"file://{self.repository.folder}", protocols=frozenset({"file"}))
        policy = RepoPolicy(REPO, "github", branches=("*",), protected=("main", "side"))
        self.watched = Watched(policy, Mirror(folder / "mirror", remote), None)
        self.now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
        self.order = order = Order(lambda: datetime.now(UTC), lambda: "a")
        self.said: list[str] = []
        self.data = "old"
        asks = Asks(store, TELLING, order.new_id, order.now)
        self.ticks = Ticks(
            store, SpecsAt(), asks, self.probe, order.new_id, lambda: self.now, self.said.append
        )

    def probe(self, watched: Watched, commit: str, read: Read) -> str:
        if read.name == "buggy":
            raise KeyError("bug")
        return self.data

    def commit(self, **triggers: str) -> str:
        files = {
            f"{name}/spec.yaml": SPEC.format(name=name, triggers=text) for name, text in triggers.items()
        }
        return self.repository.commit(files)

    def split(self, commit: str, ref: str = MAIN) -> None:
        """As if its webhook had come and it had been split."""
        self.watched.mirror.fetch()
        change = Change(self.order.new_id(), REPO, commit, "push", ref, made_at=self.order.now())
        assert self.store.changes.add(change)
        self.store.changes.split(change.id, (), [], TELLING)

    def pass_minutes(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            self.now += timedelta(minutes=1)
            self.ticks.look(self.watched)

    def started(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """What was started, the oldest first."""
        return [
            (change.purpose, change.commit, change.specs)
            for change in reversed(self.store.changes.newest(limit=100))
            if change.purpose != "push"
        ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Stage]:
    with open_queue(tmp_path) as store:
        yield Stage(tmp_path, store)


def test_a_zone_that_nobody_knows_stops_no_other_schedule_and_is_said_once(on: Stage) -> None:
    commit = on.commit(bad=ON_MARS, good=EACH_MINUTE)
    on.split(commit)
    on.pass_minutes(4)
    assert on.started() == [("schedule", commit, ("good/spec.yaml",))] * 3
    assert len(on.said) == 1
    assert "no time zone Mars/Base" in on.said[0]


def test_a_late_webhook_of_an_older_commit_does_not_turn_schedules_back(on: Stage) -> None:
    older = on.commit(good=EACH_MINUTE)
    newer = on.repository.commit({"README.md": "words"})
    on.split(newer)
    on.split(older)
    on.pass_minutes(2)
    assert on.started() == [("schedule", newer, ("good/spec.yaml",))]


def test_what_is_due_waits_until_the_new_head_was_split(on: Stage) -> None:
    older = on.commit(good=EACH_MINUTE)
    on.split(older)
    on.pass_minutes(1)
    newer = on.repository.commit({"README.md": "words"})
    on.pass_minutes(1)
    assert on.started() == []
    on.split(newer)
    on.ticks.look(on.watched)
    assert on.started() == [("schedule", newer, ("good/spec.yaml",))]


def test_a_branch_that_is_gone_starts_nothing(on: Stage) -> None:
    commit = on.commit(good=EACH_MINUTE, fed=BY_DATA)
    on.repository.git("branch", "side")
    on.repository.commit({"good/spec.yaml": "gone", "fed/spec.yaml": "gone"})
    on.split(commit, "refs/heads/side")
    on.pass_minutes(2)
    assert len(on.started()) == 1
    on.repository.git("branch", "-D", "side")
    on.data = "new"
    on.pass_minutes(3)
    assert len(on.started()) == 1


def test_while_git_does_not_answer_schedules_go_on_with_what_was_fetched_last(on: Stage) -> None:
    commit = on.commit(good=EACH_MINUTE)
    on.split(commit)
    silent = Remote(f"http://127.0.0.1:{free_port()}/models.git", protocols=frozenset({"http"}))
    on.watched = replace(on.watched, mirror=Mirror(on.watched.mirror.folder, silent))
    on.pass_minutes(2)
    assert on.started() == [("schedule", commit, ("good/spec.yaml",))]


def test_data_that_changed_starts_its_spec_and_a_bug_in_looking_at_other_data_does_not_matter(
    on: Stage,
) -> None:
    commit = on.commit(buggy=BY_DATA, fed=BY_DATA)
    on.split(commit)
    on.pass_minutes(2)
    assert on.started() == []
    on.data = "new"
    on.pass_minutes(3)
    assert on.started() == [("data", commit, ("fed/spec.yaml",))]
