"""Targets that take signed packages only: what is not signed by the operator's key changes nothing there."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.builtin.deploy_directory import DirectoryTarget
from fiat.engine.deploy import bring
from fiat.errors import EnvironmentFault, SignatureFault
from fiat.model.provenance import Build, write_provenance
from fiat.model.signing import (
    kept_signature,
    provenance_beside,
    require_signature,
    sign_package,
    signature_beside,
)
from fiat.model.signing_keys import new_key
from fiat.ports.deploy import DeployRequest
from fiat.store.store import Store, open_store

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
from package_parts import ORIGIN, parts

from fiat.model.package import write_package


class Stage:
    """A store with two packages, a key, and a folder that takes signed ones."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root, self.store = root, store
        self.public = new_key(root / "key")
        self.digests: dict[str, str] = {}
        for name in ("old", "new"):
            folder = root / name
            write_package(folder, parts(root / f"{name}-parts"), replace(ORIGIN, params={"name": name}))
            self.digests[name] = store.artifacts.put(folder, move=False).digest
        self.served = root / "models" / "tiny"

    def sign(self, name: str, key: str = "key", *, about: str = "") -> None:
        signature = kept_signature(self.store.root, self.digests[name])
        signature.parent.mkdir(exist_ok=True)
        folder, digest = self.root / name, self.digests[about or name]
        sign_package(folder, self.root / key, signature)
        write_provenance(folder, Build("tiny", digest), self.root / key, provenance_beside(signature))

    def deploy(self, name: str, *, key: Path | None = None, signed: bool = True) -> None:
        settings = {"model": "tiny", "path": "models", "signed": signed, "key": str(key or self.public)}
        request = DeployRequest("shelf", settings, self.root, self.digests[name], self.root)
        bring(self.store, DirectoryTarget(), request, "run-1")

    def stands(self) -> str:
        params = json.loads((self.served / "manifest.json").read_text())["params"]
        return str(params["name"])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_store(tmp_path / ".fiat", now=lambda: datetime(2026, 1, 1, tzinfo=UTC)) as store:
        made = Stage(tmp_path, store)
        made.sign("old")
        made.deploy("old")
        yield made


def test_a_signed_package_goes_there_and_its_signature_lies_beside_it(stage: Stage) -> None:
    stage.sign("new")
    stage.deploy("new")
    assert stage.stands() == "new"
    folder = stage.served.resolve()
    assert (
        require_signature(folder, signature_beside(folder), stage.public, digest=stage.digests["new"]).digest
        == (stage.digests["new"])
    )


def test_an_unsigned_package_leaves_the_old_model_there(stage: Stage) -> None:
    with pytest.raises(SignatureFault, match="it has no signature"):
        stage.deploy("new")
    assert stage.stands() == "old"


def test_an_unknown_key_leaves_the_old_model_there(stage: Stage) -> None:
    new_key(stage.root / "stranger")
    stage.sign("new", "stranger")
    with pytest.raises(SignatureFault, match="signed by the key"):
        stage.deploy("new")
    assert stage.stands() == "old"


def test_a_statement_about_another_package_leaves_the_old_model_there(stage: Stage) -> None:
    stage.sign("new", about="old")
    with pytest.raises(SignatureFault, match="it is about the package"):
        stage.deploy("new")
    assert stage.stands() == "old"


def test_the_signature_of_the_old_package_is_none_of_the_new_one(stage: Stage) -> None:
    old, new = (kept_signature(stage.store.root, stage.digests[name]) for name in ("old", "new"))
    shutil.copyfile(old, new)
    shutil.copyfile(provenance_beside(old), provenance_beside(new))
    with pytest.raises(SignatureFault, match="changed since"):
        stage.deploy("new")
    assert stage.stands() == "old"


def test_bytes_that_are_swapped_after_signing_leave_the_old_model_there(stage: Stage) -> None:
    stage.sign("new")
    card = next(file for file in stage.store.artifacts.files(stage.digests["new"]) if file.path == "MODEL.md")
    path = stage.store.artifacts.object_path(card.digest)
    path.chmod(0o644)
    path.write_text("trust me")
    with pytest.raises(EnvironmentFault, match="not what it was when it was judged"):
        stage.deploy("new")
    assert stage.stands() == "old"


def test_a_target_that_asks_for_signatures_needs_a_key_to_check_them(stage: Stage) -> None:
    stage.sign("new")
    settings = {"model": "tiny", "path": "models", "signed": True}
    request = DeployRequest("shelf", settings, stage.root, stage.digests["new"], stage.root)
    with pytest.raises(EnvironmentFault, match="no key to check them with"):
        bring(stage.store, DirectoryTarget(), request, "run-1")
    assert stage.stands() == "old"


def test_a_target_that_asks_for_none_takes_unsigned_packages(stage: Stage) -> None:
    stage.deploy("new", signed=False)
    assert stage.stands() == "new"


def test_signatures_of_packages_that_left_the_shelf_go_too(stage: Stage) -> None:
    for name in ("new", "old", "new"):
        stage.sign(name)
        stage.deploy(name)
    third = stage.root / "third"
    write_package(third, parts(stage.root / "third-parts"), replace(ORIGIN, params={"name": "third"}))
    stage.digests["third"] = stage.store.artifacts.put(third, move=False).digest
    stage.sign("third")
    stage.deploy("third")
    beside = {
        path.name for path in stage.served.resolve().parent.iterdir() if path.suffix in (".sig", ".json")
    }
    kept = (stage.digests["new"], stage.digests["third"])
    assert beside == {f"{digest}{end}" for digest in kept for end in (".sig", ".provenance.json")}
