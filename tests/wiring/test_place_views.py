"""What a runner shows of places, from a real store: whose they are, which version, what was seen and is held."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fiat.engine.sight_marks import SightMarks
from fiat.run.deployment import Deployment, Hold, Seen
from fiat.run.model import Release
from fiat.store.store import Store, open_store
from fiat.wiring.desk import utc_now
from fiat.wiring.runner import Runner
from fiat.wiring.runner_door import RunnerDoor
from fiat.wiring.runner_parts import make_parts
from fiat.wiring.runner_reading import read_runner_settings

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SETTINGS = """\
fiat_runner: 1
store: store
compute: local
sandbox: {kind: none}
repositories:
  - {name: acme/models, forge: github, url: "https://github.com/acme/models.git", webhooks: false}
  - {name: acme/models2, forge: gitea, url: "ssh://git@forge.example/acme/models2.git", webhooks: false}
"""


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    (tmp_path / "runner.yaml").write_text(SETTINGS)
    made = Runner(make_parts(read_runner_settings(tmp_path / "runner.yaml", {})), {})
    yield made
    made.stop()


@pytest.fixture
def door(runner: Runner) -> RunnerDoor:
    return runner.door


@pytest.fixture
def store(runner: Runner, tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store", now=utc_now) as opened:
        yield opened


def put(store: Store, place: str, digest: str, **more: Any) -> int:
    """Put a model there; gives the deployment's number."""
    given: dict[str, Any] = {
        "kind": "service",
        "target": place.split(":")[-2],
        "spec": "fashion",
        "model": "acme/models:fashion",
        "commit": "4f2a" * 10,
        "run": "",
        "generation": 0,
        "cause": "a test",
        "began_at": NOW,
    }
    number = store.deployments.begin(Deployment(place=place, digest=digest, **{**given, **more}))
    store.deployments.end(number, "deployed", "", NOW + timedelta(minutes=1))
    return number


def release(store: Store, digest: str) -> None:
    """Release a package of the model."""
    store.releases.add(Release("acme/models:fashion", "", "main", "4f2a" * 10, "r1", digest, digest, NOW))


def test_each_place_of_a_watched_repository_is_shown_with_version_commit_and_sight(
    door: RunnerDoor, store: Store
) -> None:
    release(store, "one")
    release(store, "two")
    number = put(store, "acme/models:production:fashion", "two", approver="ada")
    put(store, "acme/models2:production:fashion", "three")
    put(store, "unknown/repo:production:fashion", "one")
    put(store, "production:fashion", "one")  # put there from a desk
    seen = Seen(number, "serving", "all is well", "", (), NOW)
    SightMarks(store).note("acme/models:production:fashion", seen)
    hold = Hold("acme/models:production:fashion", "", "", "ada", "an incident", NOW)
    store.deployments.hold(hold)
    first, second = door.places(())
    assert (first.repo, first.target, first.model) == ("acme/models", "production", "fashion")
    assert first.standing is not None
    assert (first.standing.version, first.standing.deployment.approver) == (2, "ada")
    assert first.standing.commit_url == f"https://github.com/acme/models/commit/{'4f2a' * 10}"
    assert (first.now_seen, first.holds, first.history) == (seen, (hold,), ())
    assert second.standing is not None
    assert (second.repo, second.holds, second.seen) == ("acme/models2", (), None)
    assert (second.standing.version, second.standing.commit_url) == (0, "")
    assert [view.repo for view in door.places(("acme/models2",))] == ["acme/models2"]


def test_a_place_is_shown_with_its_newest_deployments_also_when_nothing_is_wanted_there(
    door: RunnerDoor, store: Store
) -> None:
    put(store, "acme/models:production:fashion", "one")
    last = put(store, "acme/models:production:fashion", "two")
    view = door.place("acme/models", "production", "fashion", 10)
    assert view is not None
    assert [one.deployment.digest for one in view.history] == ["two", "one"]
    store.deployments.stop(last, "ada", NOW)
    view = door.place("acme/models", "production", "fashion", 1)
    assert view is not None
    assert (view.standing, [one.deployment.state for one in view.history]) == (None, ["stopped"])
    assert door.places(()) == ()


def test_a_place_that_only_a_hold_knows_is_shown_and_others_are_not_there(
    door: RunnerDoor, store: Store
) -> None:
    store.deployments.hold(Hold("acme/models:production:fashion", "c1", "one", "rollout", "slower", NOW))
    view = door.place("acme/models", "production", "fashion", 10)
    assert view is not None
    assert (view.standing, len(view.holds), view.history) == (None, 1, ())
    assert door.place("acme/models", "production", "other", 10) is None
    assert door.place("unknown/repo", "production", "fashion", 10) is None
