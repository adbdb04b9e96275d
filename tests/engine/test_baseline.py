"""Which model a spec's `baseline: {alias: ...}` means when people move aliases."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.engine.baseline import find_baseline
from fiat.run.model import Release
from fiat.store.store import Store, open_store

TIME = datetime(2026, 12, 1, tzinfo=UTC)
MODEL, WANTED = "acme/models:tiny", {"alias": "champion"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / ".fiat", now=lambda: TIME) as opened:
        yield opened


def release(store: Store, name: str, alias: str = "champion") -> str:
    """Release a package that is there; gives its digest."""
    folder = store.root.parent / name
    folder.mkdir(exist_ok=True)
    (folder / "model").write_text(name)
    digest = store.artifacts.put(folder, move=False).digest
    store.releases.add(Release(MODEL, alias, "main", "c" * 40, f"run-{name}", digest, name, TIME))
    return digest


def found(store: Store, candidate: str) -> str:
    """The run of the baseline, or why there is none."""
    baseline = find_baseline(store, MODEL, WANTED, candidate)
    return baseline.release.run if baseline.release else baseline.reason


def test_it_is_the_champion_that_the_last_release_made(store: Store) -> None:
    release(store, "a")
    release(store, "b")
    release(store, "c", alias="")
    assert found(store, "new") == "run-b"


def test_it_is_the_champion_that_a_person_made(store: Store) -> None:
    first = release(store, "a")
    release(store, "b")
    store.registry.move_alias(MODEL, "champion", first, who="ann", reason="b is worse")
    assert found(store, "new") == "run-a"
    assert find_baseline(store, MODEL, WANTED, "new").reason == "run run-a, released from alias champion"


def test_running_again_what_became_champion_compares_with_the_one_before(store: Store) -> None:
    first = release(store, "a")
    release(store, "b")
    assert found(store, "b") == "run-a"
    store.registry.move_alias(MODEL, "champion", first, who="ann")
    assert found(store, "b") == "run-a"
    assert found(store, "a").startswith("no earlier model")


def test_without_a_champion_there_is_no_baseline(store: Store) -> None:
    assert "no earlier model of acme/models:tiny was released from alias champion" in found(store, "new")
    release(store, "a")
    store.registry.move_alias(MODEL, "champion", "", who="ann")
    assert "no earlier model" in found(store, "new")
