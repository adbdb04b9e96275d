"""How people name models, mark them, trace them and check them."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from model_registry_stage import CODE, Stage, staged

from fiat.engine.package_folder import package_folder
from fiat.errors import EnvironmentFault, SpecError
from fiat.model.provenance import read_statement
from fiat.model.signing import carry_signature, kept_signature, provenance_beside
from fiat.model.signing_keys import new_key, read_public_key
from fiat.run.deployment import Deployment
from fiat.wiring.lineage import Ancestry, descend, trace
from fiat.wiring.models import find_model
from fiat.wiring.registry_lineage import look_up
from fiat.wiring.registry_marks import give_alias, give_tags, take_alias, write_note
from fiat.wiring.registry_names import require_name, resolve_name
from fiat.wiring.registry_signing import sign_model, sign_release
from fiat.wiring.verify import verify_model

RUNNERS = "acme/models:tiny"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def _number(stage: Stage, name: str) -> int:
    found = require_name(stage.store, name)
    assert found.version is not None
    return found.version.number


def test_a_model_goes_by_name_alias_number_digest_and_folder(stage: Stage) -> None:
    first = stage.release(params=1, alias="champion")
    stage.release(params=2)
    assert _number(stage, "tiny") == 2
    assert _number(stage, "tiny@champion") == _number(stage, "tiny@1") == 1
    assert _number(stage, f"tiny@{first.digest[:6]}") == 1
    assert _number(stage, first.digest) == _number(stage, first.digest[:8]) == 1
    assert _number(stage, str(package_folder(stage.store, first.digest))) == 1


def test_without_more_the_newest_release_is_meant_even_of_an_earlier_version(stage: Stage) -> None:
    first = stage.release(params=1)
    stage.release(params=2)
    stage.store.releases.add(first)
    assert _number(stage, "tiny") == 1


def test_a_runners_model_may_be_named_without_its_repository_where_only_one_is_called_so(
    stage: Stage,
) -> None:
    stage.release(RUNNERS, params=1, alias="champion")
    assert require_name(stage.store, "tiny@champion").model == RUNNERS
    assert require_name(stage.store, f"{RUNNERS}@1").model == RUNNERS
    stage.release("other/repo:tiny", params=2)
    with pytest.raises(SpecError, match="several models are called tiny") as caught:
        resolve_name(stage.store, "tiny")
    assert RUNNERS in caught.value.hint
    assert "other/repo:tiny" in caught.value.hint
    stage.release("tiny", params=3)
    assert require_name(stage.store, "tiny").model == "tiny"


def test_an_unknown_name_or_version_is_told_with_what_there_is(stage: Stage) -> None:
    stage.release(alias="champion")
    assert resolve_name(stage.store, "nothing") is None
    assert resolve_name(stage.store, "nothing@3") is None
    assert resolve_name(stage.store, "20261201") is None
    with pytest.raises(SpecError, match="no model 'tinny' was released") as caught:
        require_name(stage.store, "tinny")
    assert caught.value.hint == "did you mean tiny"
    for word in ("2", "0", "challenger", "abcdef"):
        with pytest.raises(SpecError, match=f"tiny has no version {word}") as caught:
            resolve_name(stage.store, f"tiny@{word}")
        assert caught.value.hint == "it has version 1 and the aliases champion"


def test_show_finds_what_the_registry_knows_of_a_model(stage: Stage) -> None:
    stage.release(RUNNERS, params=1, alias="champion")
    write_note(stage.store, "tiny@1", "first of its kind", who="ann")
    shown = find_model(stage.shelf, "tiny@champion")
    assert shown is not None
    assert (shown.name, shown.manifest["name"]) == (RUNNERS, "tiny")
    assert shown.version is not None
    assert [note.text for note in shown.version.notes] == ["first of its kind"]


def test_an_alias_is_given_to_what_the_name_means_or_to_the_version_that_is_named(stage: Stage) -> None:
    for params in (1, 2, 3):
        stage.release(params=params)
    assert give_alias(stage.store, "tiny", "best", "", who="ann", reason="").version == 3
    assert give_alias(stage.store, "tiny@1", "best", "", who="ann", reason="").version == 1
    assert give_alias(stage.store, "tiny", "best", "2", who="ann", reason="faster").version == 2
    assert give_alias(stage.store, "tiny", "old", "best", who="bob", reason="").version == 2
    assert not give_alias(stage.store, "tiny", "old", "2", who="bob", reason="").changed
    assert _number(stage, "tiny@best") == 2
    moves = stage.store.registry.alias_moves("tiny")
    assert [(move.alias, move.who, move.reason) for move in moves[:2]] == [
        ("old", "bob", ""),
        ("best", "ann", "faster"),
    ]
    take_alias(stage.store, "tiny", "best", who="ann", reason="")
    with pytest.raises(SpecError, match="no version best"):
        require_name(stage.store, "tiny@best")
    with pytest.raises(SpecError, match="has no alias best"):
        take_alias(stage.store, "tiny", "best", who="ann", reason="")


@pytest.mark.parametrize("alias", ["7", "", "a b", "a@b", "Champion", "x" * 65])
def test_a_word_that_could_be_read_otherwise_is_no_alias(stage: Stage, alias: str) -> None:
    stage.release()
    with pytest.raises(SpecError, match="can't be an alias"):
        give_alias(stage.store, "tiny", alias, "", who="ann", reason="")


def test_one_wrong_tag_among_several_leaves_all_of_them_out(stage: Stage) -> None:
    stage.release()
    with pytest.raises(SpecError, match="'nothing' is no tag"):
        give_tags(stage.store, "tiny", ["good=yes", "nothing"], who="ann")
    assert stage.store.registry.versions("tiny")[0].tags == ()
    give_tags(stage.store, "tiny", ["good=yes", "area=a=b"], who="ann")
    assert [(tag.name, tag.value) for tag in stage.store.registry.versions("tiny")[0].tags] == [
        ("area", "a=b"),
        ("good", "yes"),
    ]
    with pytest.raises(SpecError, match="the note is empty"):
        write_note(stage.store, "tiny", " \n", who="ann")


def test_what_made_a_model_is_found_backwards_through_its_steps(stage: Stage) -> None:
    release = stage.release(params=7, unrelated="weather")
    found = look_up(stage.shelf, "tiny")
    assert isinstance(found, Ancestry)
    assert [step.name for step in found.steps] == ["data.rows", "train", "package"]
    assert list(found.data) == ["data.rows"]
    data, train, package = found.steps
    assert list(data.sources) == ["./data/rows.csv"]
    assert (train.call, train.code, train.run) == ("tiny:train", CODE, release.run)
    assert package.outputs == {"package": release.digest}
    assert found.run is not None
    assert (found.run.commit, found.run.config["params"]) == (release.commit, {"seed": 7})


def test_what_came_from_data_is_found_by_name_digest_file_and_place(stage: Stage) -> None:
    stage.release(params=1, alias="champion")
    stage.release("other", params=2)
    stage.release("other", params=3, rows="3,4\n")
    ancestry = trace(stage.store, require_name(stage.store, "tiny"))
    assert ancestry is not None
    dataset = ancestry.data["data.rows"]
    source = ancestry.steps[0].sources["./data/rows.csv"]
    both = [("other", 1), ("tiny", 1)]

    def models(wanted: str) -> list[tuple[str, int]]:
        return [(one.model, one.number) for one in descend(stage.store, wanted)]

    assert (
        models("rows")
        == models("data.rows")
        == models("data/rows.csv")
        == [("other", 1), ("other", 2), ("tiny", 1)]
    )
    assert models(dataset) == models(dataset[:6]) == models(source) == both
    assert models("nothing") == models(dataset[:5]) == []
    found = look_up(stage.shelf, str(stage.shelf.root / "data" / "rows.csv"))
    assert isinstance(found, tuple)
    assert [(one.model, one.number) for one in found] == [("other", 2)]
    with pytest.raises(SpecError, match="no released model is called weather"):
        look_up(stage.shelf, "weather")


def test_data_that_a_run_only_read_beside_made_nothing(stage: Stage) -> None:
    stage.release(unrelated="weather")
    assert descend(stage.store, "weather") == []


def test_what_came_from_data_says_where_it_stands_and_stood(stage: Stage) -> None:
    first, second = stage.release(params=1), stage.release(params=2)
    for release in (first, second):
        deployment = Deployment(
            place="live:tiny",
            kind="service",
            target="live",
            spec="tiny",
            model="tiny",
            digest=release.digest,
            commit=release.commit,
            run=release.run,
            generation=1,
            cause="run",
            began_at=release.released_at,
            state="deployed",
        )
        stage.store.deployments.begin(deployment)
    old, new = descend(stage.store, "rows")
    assert (old.standings, [one.place for one in old.deployments]) == ((), ["live:tiny"])
    assert [one.place for one in new.standings] == ["live:tiny"]


def test_a_signed_model_is_good_in_the_store_and_wherever_its_folder_goes(
    stage: Stage, tmp_path: Path
) -> None:
    release = stage.release(RUNNERS, params=1)
    public = new_key(tmp_path / "key")
    named = require_name(stage.store, "tiny")
    unsigned = verify_model(stage.store, named, "tiny", public)
    assert [(one.name, one.state) for one in unsigned.checks] == [
        ("files", "pass"),
        ("digest", "pass"),
        ("signature", "fail"),
        ("provenance", "fail"),
    ]
    signed = sign_model(stage.store, named, tmp_path / "key")
    found = verify_model(stage.store, named, "tiny", public)
    assert found.good, found.checks
    assert (found.key, found.digest) == (signed.key, release.digest)
    copy = tmp_path / "copy"
    shutil.copytree(package_folder(stage.store, release.digest), copy)
    carry_signature(kept_signature(stage.store.root, release.digest), copy)
    assert verify_model(stage.store, require_name(stage.store, str(copy)), str(copy), public).good
    (copy / "MODEL.md").write_text("trust me")
    changed = resolve_name(stage.store, str(copy))
    assert changed is not None
    bad = verify_model(stage.store, changed, str(copy), public)
    assert {one.name: one.state for one in bad.checks} == {
        "files": "fail",
        "digest": "pass",
        "signature": "fail",
        "provenance": "fail",
    }
    assert "no release of this store has it" in bad.checks[1].reason


def test_a_package_whose_folder_was_changed_is_neither_good_nor_signed(stage: Stage, tmp_path: Path) -> None:
    release = stage.release()
    public = new_key(tmp_path / "key")
    named = require_name(stage.store, "tiny")
    sign_model(stage.store, named, tmp_path / "key")
    (package_folder(stage.store, release.digest) / "extra").write_text("")
    found = verify_model(stage.store, named, "tiny", public)
    assert {one.name: one.state for one in found.checks} == {
        "files": "pass",
        "digest": "fail",
        "signature": "fail",
        "provenance": "fail",
    }
    with pytest.raises(EnvironmentFault, match="not what it was when it was judged"):
        sign_model(stage.store, named, tmp_path / "key")


def test_without_a_key_files_and_digest_are_looked_at_and_the_signature_is_not(stage: Stage) -> None:
    stage.release()
    found = verify_model(stage.store, require_name(stage.store, "tiny"), "tiny", None)
    assert found.good
    assert [(one.name, one.state) for one in found.checks] == [
        ("files", "pass"),
        ("digest", "pass"),
        ("signature", "skipped"),
    ]


def test_the_statement_says_data_code_commit_run_and_sandbox(stage: Stage, tmp_path: Path) -> None:
    release = stage.release(RUNNERS, params=7, sandbox="bubblewrap", unrelated="weather")
    public = new_key(tmp_path / "key")
    named = require_name(stage.store, "tiny")
    signed = sign_model(stage.store, named, tmp_path / "key", builder="https://fiat.example.org")
    statement = read_statement(signed.provenance, read_public_key(public))
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "spec": {"path": "specs/tiny/spec.yaml", "digest": {"sha256": "ab" * 32}},
        "commit": release.commit,
        "dirty": False,
        "params": {"seed": 7},
    }
    assert definition["internalParameters"]["sandbox"] == "bubblewrap"
    used = {one["name"]: one["digest"] for one in definition["resolvedDependencies"]}
    assert set(used) == {"git", "data.rows", "data.rows/data/rows.csv", "code/tiny.py"}
    assert used["git"] == {"gitCommit": release.commit}
    assert used["code/tiny.py"] == {"md5": CODE["tiny.py"]}
    details = statement["predicate"]["runDetails"]
    assert details["builder"]["id"] == "https://fiat.example.org"
    assert details["metadata"]["invocationId"] == release.run
    assert statement["subject"][0]["name"] == RUNNERS


def test_a_release_is_signed_once_and_again_when_the_key_is_another(stage: Stage, tmp_path: Path) -> None:
    release = stage.release(RUNNERS)
    new_key(tmp_path / "key")
    assert sign_release(stage.store, RUNNERS, release.digest, None) is None
    assert not kept_signature(stage.store.root, release.digest).exists()
    assert sign_release(stage.store, RUNNERS, release.digest, tmp_path / "key") is not None
    assert sign_release(stage.store, RUNNERS, release.digest, tmp_path / "key") is None
    public = new_key(tmp_path / "other")
    assert sign_release(stage.store, RUNNERS, release.digest, tmp_path / "other") is not None
    named = require_name(stage.store, "tiny")
    assert verify_model(stage.store, named, "tiny", public).good
    provenance_beside(kept_signature(stage.store.root, release.digest)).unlink()
    assert sign_release(stage.store, RUNNERS, release.digest, tmp_path / "other") is not None
