from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiat.run.model import Release
from fiat.store.store import Store, open_store

TIME = datetime(2026, 11, 21, tzinfo=UTC)


def make(
    fingerprint: str, *, branch: str = "main", alias: str = "champion", commit: str = "c" * 40, **more: Any
) -> Release:
    fields = {
        "model": "digits",
        "run": f"run-{fingerprint}",
        "digest": f"{fingerprint}.dir",
        "released_at": TIME,
        **more,
    }
    return Release(alias=alias, branch=branch, commit=commit, fingerprint=fingerprint, **fields)


def test_the_newest_release_that_matches_is_the_last(store: Store) -> None:
    assert store.releases.last("digits") is None
    store.releases.add(make("A"))
    store.releases.add(make("B", branch="dev", alias=""))
    store.releases.add(make("C", model="other"))
    assert store.releases.last("digits") == make("B", branch="dev", alias="")
    assert store.releases.last("digits", branch="main") == make("A")
    assert store.releases.last("digits", alias="champion") == make("A")
    assert store.releases.last("digits", branch="main", alias="") is None
    assert store.releases.last("nobody") is None


def test_a_release_is_found_by_its_commit_or_the_start_of_it(store: Store) -> None:
    store.releases.add(make("A", commit="abc" + "0" * 37))
    store.releases.add(make("B", commit="abd" + "0" * 37))
    assert store.releases.last("digits", commit="abc") == make("A", commit="abc" + "0" * 37)
    assert store.releases.last("digits", commit="abd" + "0" * 37) == make("B", commit="abd" + "0" * 37)
    assert store.releases.last("digits", commit="ab%") is None


def test_a_model_is_never_its_own_baseline(store: Store) -> None:
    assert store.releases.last("digits", branch="main", not_fingerprint="A") is None
    store.releases.add(make("A"))
    assert store.releases.last("digits", branch="main", not_fingerprint="A") is None
    assert store.releases.last("digits", branch="main", not_fingerprint="B") == make("A")


def test_the_baseline_stays_the_same_when_nothing_changed(store: Store) -> None:
    store.releases.add(make("A"))
    before = store.releases.last("digits", branch="main", not_fingerprint="B")
    store.releases.add(make("B"))
    assert store.releases.last("digits", branch="main", not_fingerprint="B") == before == make("A")
    store.releases.add(make("B"))
    store.releases.add(make("C"))
    assert store.releases.last("digits", branch="main", not_fingerprint="B") == before


def test_a_release_from_another_branch_does_not_move_the_baseline(store: Store) -> None:
    store.releases.add(make("A"))
    store.releases.add(make("B", branch="dev"))
    store.releases.add(make("C"))
    assert store.releases.last("digits", branch="main", not_fingerprint="B") == make("C")
    assert store.releases.last("digits", branch="dev", not_fingerprint="B") is None
    assert store.releases.last("digits", not_fingerprint="B") == make("A")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(["main", "dev"])), max_size=12))
def test_what_a_model_is_compared_with_never_changes_after_its_release(
    tmp_path_factory: Any, history: list[tuple[str, str]]
) -> None:
    """Replays any history: the baseline at a model's first release on a branch is its baseline for good."""
    with open_store(tmp_path_factory.mktemp("repo") / ".fiat", now=lambda: TIME) as store:
        first: dict[tuple[str, str], Release | None] = {}
        for fingerprint, branch in history:
            baseline = store.releases.last("digits", branch=branch, not_fingerprint=fingerprint)
            assert baseline is None or baseline.fingerprint != fingerprint
            assert baseline == first.setdefault((fingerprint, branch), baseline)
            store.releases.add(make(fingerprint, branch=branch, run=f"run-{len(first)}"))


def test_releases_are_listed_from_the_newest_on(store: Store) -> None:
    for name in "ABC":
        store.releases.add(make(name))
    store.releases.add(make("X", model="other"))
    assert [one.fingerprint for one in store.releases.newest("digits", limit=2)] == ["C", "B"]
    assert [one.fingerprint for one in store.releases.newest()] == ["X", "C", "B", "A"]
