"""Versions, aliases, tags and notes of models, on both databases."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiat.run.deployment import Deployment, DeploymentState
from fiat.run.model import Release
from fiat.store.store import Store, open_store

TIME = datetime(2026, 11, 21, tzinfo=UTC)
MODEL = "acme/models:digits"


def make(name: str, *, alias: str = "champion", model: str = MODEL, branch: str = "main") -> Release:
    return Release(model, alias, branch, "c" * 40, f"run-{name}", f"{name}.dir", name, TIME)


def test_versions_are_numbered_by_the_first_release_of_each_package(store: Store) -> None:
    assert store.registry.versions(MODEL) == []
    for name in "ABAC":
        store.releases.add(make(name))
    store.releases.add(make("X", model="other"))
    versions = store.registry.versions(MODEL)
    assert [(one.number, one.digest, one.n_releases) for one in versions] == [
        (1, "A.dir", 2),
        (2, "B.dir", 1),
        (3, "C.dir", 1),
    ]
    store.releases.add(make("B"))
    assert [one.digest for one in store.registry.versions(MODEL)] == ["A.dir", "B.dir", "C.dir"]


def test_models_are_listed_by_name_with_what_their_aliases_mean(store: Store) -> None:
    for name, alias in (("A", "champion"), ("B", ""), ("A", "shadow")):
        store.releases.add(make(name, alias=alias))
    store.releases.add(make("X", model="other", alias=""))
    first, second = store.registry.models()
    assert (first.model, first.n_versions, first.newest.digest) == (MODEL, 2, "A.dir")
    assert first.aliases == (("champion", 1), ("shadow", 1))
    assert (second.model, second.aliases) == ("other", ())


def test_a_release_with_an_alias_moves_it_and_a_person_can_move_it_back(store: Store) -> None:
    store.releases.add(make("A"))
    store.releases.add(make("B"))
    assert [one.aliases for one in store.registry.versions(MODEL)] == [(), ("champion",)]
    assert store.registry.move_alias(MODEL, "champion", "A.dir", who="ann", reason="B is slow")
    assert not store.registry.move_alias(MODEL, "champion", "A.dir", who="bob")
    assert [one.aliases for one in store.registry.versions(MODEL)] == [("champion",), ()]
    moves = store.registry.alias_moves(MODEL)
    assert [(move.digest, move.who, move.reason) for move in moves] == [
        ("A.dir", "ann", "B is slow"),
        ("B.dir", "", "released by run run-B"),
        ("A.dir", "", "released by run run-A"),
    ]


def test_a_removed_alias_means_nothing_until_it_is_given_again(store: Store) -> None:
    store.releases.add(make("A"))
    assert not store.registry.move_alias(MODEL, "nobody", "", who="ann")
    assert store.registry.move_alias(MODEL, "champion", "", who="ann")
    assert [one.aliases for one in store.registry.versions(MODEL)] == [()]
    assert store.releases.last(MODEL, alias="champion") is None
    store.releases.add(make("B"))
    assert store.releases.last(MODEL, alias="champion") == make("B")


def test_the_baseline_of_an_alias_is_where_a_person_moved_it(store: Store) -> None:
    store.releases.add(make("A"))
    store.releases.add(make("B"))
    store.registry.move_alias(MODEL, "champion", "A.dir", who="ann")
    assert store.releases.last(MODEL, alias="champion", not_fingerprint="C") == make("A")
    assert store.releases.last(MODEL, alias="champion", branch="dev") is None


def test_a_model_that_a_person_made_champion_is_not_its_own_baseline(store: Store) -> None:
    store.releases.add(make("A"))
    store.releases.add(make("B", alias=""))
    assert store.releases.last(MODEL, alias="champion", not_fingerprint="B") == make("A")
    store.registry.move_alias(MODEL, "champion", "B.dir", who="ann")
    assert store.releases.last(MODEL, alias="champion", not_fingerprint="B") == make("A")
    assert store.releases.last(MODEL, alias="champion", not_fingerprint="C") == make("B", alias="")


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=st.lists(
        st.tuples(st.sampled_from("ABCD"), st.sampled_from(["release", "move", "remove"])), max_size=12
    )
)
def test_what_a_champion_was_compared_with_never_changes_after_it_became_one(
    tmp_path_factory: Any, history: list[tuple[str, str]]
) -> None:
    """Replays any history of releases and moves of one alias."""
    with open_store(tmp_path_factory.mktemp("repo") / ".fiat", now=lambda: TIME) as store:
        released: set[str] = set()
        champions: dict[str, Release | None] = {}
        for number, (name, act) in enumerate(history):
            if act == "move" and name not in released:
                continue
            before = store.releases.last(MODEL, alias="champion", not_fingerprint=name)
            if act == "remove":
                store.registry.move_alias(MODEL, "champion", "", who="ann")
                continue
            if act == "release":
                store.releases.add(make(name, branch=f"b{number}"))
                released.add(name)
            else:
                store.registry.move_alias(MODEL, "champion", f"{name}.dir", who="ann")
            champions.setdefault(name, before)
            for known, baseline in champions.items():
                found = store.releases.last(MODEL, alias="champion", not_fingerprint=known)
                assert found == baseline
                assert found is None or found.fingerprint != known


def test_tags_and_notes_say_who_and_when_and_the_newest_tag_counts(store: Store) -> None:
    store.releases.add(make("A"))
    store.releases.add(make("B"))
    store.registry.tag(MODEL, "A.dir", "reviewed", "no", who="ann")
    store.registry.tag(MODEL, "A.dir", "area", "north", who="ann")
    store.registry.tag(MODEL, "A.dir", "reviewed", "yes", who="bob")
    store.registry.note(MODEL, "A.dir", "good on rainy days", who="bob")
    store.registry.note(MODEL, "A.dir", "bad in snow", who="ann")
    first, second = store.registry.versions(MODEL)
    assert [(tag.name, tag.value, tag.who) for tag in first.tags] == [
        ("area", "north", "ann"),
        ("reviewed", "yes", "bob"),
    ]
    assert [(note.text, note.who) for note in first.notes] == [
        ("good on rainy days", "bob"),
        ("bad in snow", "ann"),
    ]
    assert first.notes[0].written_at < first.notes[1].written_at
    assert (second.tags, second.notes) == ((), ())
    store.registry.tag(MODEL, "A.dir", "area", "", who="ann")
    assert [tag.name for tag in store.registry.versions(MODEL)[0].tags] == ["reviewed"]


def test_a_package_is_found_by_the_beginning_of_its_digest(store: Store) -> None:
    for digest, model in (("abc1", MODEL), ("abc2", MODEL), ("abd1", "other"), ("abc1", "other")):
        store.releases.add(make(digest, model=model))
    assert store.registry.owners("abc") == [("other", "abc1.dir"), (MODEL, "abc2.dir"), (MODEL, "abc1.dir")]
    assert store.registry.owners("abd") == [("other", "abd1.dir")]
    assert store.registry.owners("abc%") == []


def test_the_newest_deployment_of_a_place_that_was_not_refused_stands_there(store: Store) -> None:
    store.releases.add(make("A"))
    store.releases.add(make("B"))
    told: tuple[tuple[str, str, DeploymentState], ...] = (
        ("acme/models:live:digits", "A.dir", "deployed"),
        ("acme/models:live:digits", "B.dir", "refused"),
        ("acme/models:edge:digits", "A.dir", "deployed"),
        ("acme/models:edge:digits", "B.dir", "deploying"),
    )
    for place, digest, state in told:
        deployment = Deployment(
            place, "service", "live", "digits", MODEL, digest, "", "", 0, "by hand", TIME, state=state
        )
        store.deployments.begin(deployment)
    first, second = store.registry.versions(MODEL)
    assert [(one.place, one.state) for one in first.standings] == [("acme/models:live:digits", "deployed")]
    assert [(one.place, one.state) for one in second.standings] == [("acme/models:edge:digits", "deploying")]
