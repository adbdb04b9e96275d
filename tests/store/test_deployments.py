from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fiat.run.deployment import Deployment, Hold
from fiat.store.store import Store, open_store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgres" else None
    with open_store(tmp_path, url=url, now=lambda: NOW) as opened:
        yield opened


def deployment(place: str = "production:fashion", digest: str = "a.dir", run: str = "r1") -> Deployment:
    return Deployment(
        place=place,
        kind="directory",
        target="production",
        spec="fashion",
        model="fashion",
        digest=digest,
        commit="c" * 40,
        run=run,
        generation=3,
        cause="a push",
        began_at=NOW,
        approver="ada",
        settings={"path": "models"},
    )


def test_the_newest_that_was_not_refused_is_what_a_place_wants(store: Store) -> None:
    first = store.deployments.begin(deployment())
    store.deployments.end(first, "deployed", "done", NOW)
    second = store.deployments.begin(deployment(digest="b.dir", run="r2"))
    wanted = store.deployments.wanted("production:fashion")
    assert wanted is not None
    assert (wanted.digest, wanted.state, wanted.sequence) == ("b.dir", "deploying", second)
    store.deployments.end(second, "refused", "it was slower", NOW + timedelta(seconds=3))
    back = store.deployments.wanted("production:fashion")
    assert back is not None
    assert (back.digest, back.approver, back.settings) == ("a.dir", "ada", {"path": "models"})
    assert [item.digest for item in store.deployments.newest("production:fashion")] == ["b.dir", "a.dir"]
    assert store.deployments.newest(digest="b.dir")[0].reason == "it was slower"
    assert store.deployments.newest(digest="b.dir")[0].ended_at == NOW + timedelta(seconds=3)


def test_a_run_that_was_killed_and_begins_again_keeps_its_row(store: Store) -> None:
    first = store.deployments.begin(deployment())
    store.deployments.end(first, "failed", "the disk was full", NOW)
    assert store.deployments.begin(deployment()) == first
    assert [item.state for item in store.deployments.newest()] == ["deploying"]
    assert store.deployments.begin(deployment(run="")) != first


def test_places_of_one_repository_are_told_from_those_of_another(store: Store) -> None:
    for place in ("acme/a:x:m", "acme/ab:x:m", "acme/a:y:m"):
        store.deployments.begin(deployment(place))
    assert [item.place for item in store.deployments.standing("acme/a:")] == ["acme/a:x:m", "acme/a:y:m"]
    assert len(store.deployments.standing()) == 3
    assert store.deployments.wanted("acme/b:x:m") is None


def test_a_place_that_somebody_stopped_wants_nothing_until_the_next_deploy(store: Store) -> None:
    place = "production:fashion"
    store.deployments.end(store.deployments.begin(deployment()), "deployed", "done", NOW)
    second = store.deployments.begin(deployment(digest="b.dir", run="r2"))
    store.deployments.stop(second, "ada", NOW)
    assert store.deployments.wanted(place) is None
    assert store.deployments.standing() == []
    assert [one.place for one in store.deployments.stopped()] == [place]
    assert store.deployments.newest(place)[0].reason == "stopped by ada"
    store.deployments.begin(deployment(digest="c.dir", run="r3"))
    assert [one.digest for one in store.deployments.standing()] == ["c.dir"]


def test_holds_stand_until_they_are_lifted(store: Store) -> None:
    place = "production:fashion"
    store.deployments.hold(Hold(place, "c" * 40, "a.dir", "rollout", "p95 above 20 ms", NOW))
    store.deployments.hold(Hold(place, "", "", "ada", "a freeze", NOW + timedelta(seconds=1)))
    store.deployments.hold(Hold(place, "", "", "ada", "a longer freeze", NOW + timedelta(seconds=2)))
    found = store.deployments.holds(place)
    assert [hold.reason for hold in found] == ["p95 above 20 ms", "a longer freeze"]
    assert [hold.stops("c" * 40, "a.dir") for hold in found] == [True, True]
    assert [hold.stops("d" * 40, "a.dir") for hold in found] == [False, True]
    assert store.deployments.holds("other") == []
    assert store.deployments.unhold(place) == 2
    assert store.deployments.holds() == []


def test_of_two_runs_that_deploy_at_once_the_higher_number_is_wanted_as_at_the_target(store: Store) -> None:
    newer = store.deployments.begin(replace(deployment(digest="b.dir", run="r2"), generation=6))
    store.deployments.end(newer, "deployed", "serves", NOW)
    store.deployments.begin(replace(deployment(run="r1"), generation=5))
    wanted = store.deployments.wanted("production:fashion")
    assert wanted is not None
    assert wanted.run == "r2"
    assert [one.run for one in store.deployments.standing()] == ["r2"]


def test_what_somebody_stopped_stays_stopped_though_a_look_from_before_ends_late(store: Store) -> None:
    number = store.deployments.begin(deployment())
    store.deployments.stop(number, "ada", NOW)
    store.deployments.end(number, "deployed", "serves", NOW)
    assert store.deployments.wanted("production:fashion") is None
    assert store.deployments.newest()[0].state == "stopped"


def test_outside_git_a_model_that_is_held_lifts_no_hold_of_everything(store: Store) -> None:
    place = "production:fashion"
    store.deployments.hold(Hold(place, "", "", "ada", "an incident", NOW))
    store.deployments.hold(Hold(place, "", "b.dir", "bob", "rolled back by hand", NOW))
    store.deployments.hold(Hold(place, "", "c.dir", "bob", "rolled back by hand", NOW))
    held = {
        digest
        for digest in ("b.dir", "c.dir", "d.dir")
        for hold in store.deployments.holds(place)
        if hold.stops("", digest)
    }
    assert held == {"b.dir", "c.dir", "d.dir"}
    assert store.deployments.unhold(place) == 3
