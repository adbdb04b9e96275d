"""What was served as an input of checks: described once, again when enough is new, and by whose log."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fiat.engine.placing import Ground
from fiat.errors import EnvironmentFault
from fiat.profile.document import read_profile
from fiat.run.deployment import Deployment
from fiat.serving.place import Place
from fiat.store.store import Store, open_store
from fiat.wiring.served import find_served, service_places
from tests.monitor.watch_stage import logged, reference, release, two_columns, write_log

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DRAW = np.random.default_rng(8)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / ".fiat", now=lambda: NOW, checkout=tmp_path) as store:
        yield store


def deploy(store: Store, kind: str = "service", model: str = "taxi", spec: str = "rides") -> int:
    settings = {"to": kind, "model": "taxi"}
    wanted = Deployment(
        f"production:{model}", kind, "production", spec, model, "a.dir", "c", "r", 0, "a test", NOW
    )
    return store.deployments.begin(Deployment(**{**wanted.__dict__, "settings": settings}))


def find(store: Store) -> str:
    root = store.root.parent
    return find_served(store, "rides", "taxi", lambda target: Ground(root, root / "services"))


@pytest.fixture
def place(store: Store) -> Place:
    """The folder of a service that stands."""
    deploy(store)
    place = Place(store.root.parent / "services" / "production" / "taxi")
    release(place, reference(two_columns(DRAW, 1000)))
    return place


def n_rows(store: Store, digest: str, folder: Path) -> int:
    store.artifacts.materialize(digest, folder)
    return read_profile(folder).profiles[0].n_rows


def test_nothing_is_found_where_no_service_stands_or_was_asked(store: Store) -> None:
    assert find(store) == ""
    deploy(store, kind="directory")
    assert find(store) == ""
    number = deploy(store)
    assert find(store) == ""
    store.deployments.stop(number, "ada", NOW)
    assert find(store) == ""


def test_services_of_other_models_and_specs_are_not_looked_at(store: Store) -> None:
    root = store.root.parent
    deploy(store, model="other")
    assert service_places(store, "rides", "taxi", lambda target: Ground(root)) == ()
    assert service_places(store, "rides", "other", lambda target: Ground(root)) != ()
    assert service_places(store, "walks", "other", lambda target: Ground(root)) == ()


@pytest.mark.slow
def test_a_log_that_hardly_grew_stays_the_same_input(store: Store, place: Place, tmp_path: Path) -> None:
    write_log(place, logged(two_columns(DRAW, 1200)))
    first = find(store)
    assert n_rows(store, first, tmp_path / "first") == 1200
    write_log(place, logged(two_columns(DRAW, 999), first=1200), number=1)
    assert find(store) == first
    write_log(place, logged(two_columns(DRAW, 1000), first=1200), number=1)
    second = find(store)
    assert second != first
    assert n_rows(store, second, tmp_path / "second") == 2200


def test_while_the_log_is_as_it_was_nobody_reads_it(store: Store, place: Place, tmp_path: Path) -> None:
    write_log(place, logged(two_columns(DRAW, 300)))
    find(store)
    (tmp_path / "other").write_text("who reads the log would not give this")
    other = store.artifacts.put(tmp_path / "other").digest
    mark = json.loads(store.marks.get("served taxi rides") or "")
    store.marks.set("served taxi rides", json.dumps(mark | {"digest": other, "last": {}}))
    assert find(store) == other


def test_a_profile_that_is_gone_from_the_store_is_made_again(store: Store, place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 300)))
    first = find(store)
    store.artifacts.object_path(first).unlink()
    assert find(store) == first
    assert store.artifacts.check(first)


def test_a_log_whose_files_were_deleted_leaves_what_is_known(store: Store, place: Place) -> None:
    path = write_log(place, logged(two_columns(DRAW, 300)))
    first = find(store)
    path.unlink()
    assert find(store) == first


def test_where_a_service_stands_elsewhere_its_requests_there_count(store: Store, place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 300)))
    assert find(store)
    elsewhere = store.root.parent / "elsewhere"
    assert find_served(store, "rides", "taxi", lambda target: Ground(elsewhere)) == ""


def test_a_log_that_can_not_be_described_is_a_fault_and_no_pass(store: Store, place: Place) -> None:
    rows = logged(two_columns(DRAW, 300))
    write_log(place, rows.drop_columns(["time"]))
    with pytest.raises(EnvironmentFault, match="the log can't be looked at"):
        find(store)
