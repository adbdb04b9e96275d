"""Going back to an earlier model by hand, on a folder."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.errors import SpecError
from fiat.run.deployment import Deployment
from fiat.store.store import open_store
from fiat.testing.sample_packages import make_package
from fiat.wiring.places import find_places, make_placer, roll_back
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import Shelf

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PLACE = "shelf:tiny"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A checkout where three models stood one after the other, the last one in another folder."""
    open_store(tmp_path / ".fiat", now=lambda: NOW).close()
    opened = Shelf(tmp_path, tmp_path / ".fiat", read_settings({}))
    placer = make_placer(opened)
    for number in (1, 2, 3):
        package = make_package(tmp_path / "packages", number).folder
        digest = opened.store.artifacts.put(package, move=False).digest
        path = "models" if number < 3 else "served"
        wanted = Deployment(
            PLACE, "directory", "shelf", "tiny", "tiny", digest, f"c{number}", f"r{number}", 0, "a test", NOW
        )
        placer.place(replace(wanted, settings={"model": "tiny", "path": path}))
    yield opened
    opened.store.close()


def test_going_back_twice_does_not_bring_what_was_gone_back_from(shelf: Shelf) -> None:
    placer, seen = make_placer(shelf), []
    for _ in range(2):
        seen.append(roll_back(shelf, placer, find_places(shelf, PLACE)[0]).deployment.commit)
    assert seen == ["c2", "c1"]
    assert {hold.commit for hold in shelf.store.deployments.holds(PLACE)} == {"c2", "c3"}
    with pytest.raises(SpecError, match="no other model before"):
        roll_back(shelf, placer, find_places(shelf, PLACE)[0])


def test_the_model_goes_back_where_it_is_read_now(shelf: Shelf) -> None:
    sight = roll_back(shelf, make_placer(shelf), find_places(shelf, PLACE)[0])
    assert sight.drift == ()
    assert (shelf.root / "served" / "tiny").resolve().name == sight.deployment.digest
