"""The commands for released models from outside: documents, sentences, exit codes."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

sys.path.insert(0, str(Path(__file__).parents[1] / "wiring"))
from model_registry_stage import staged

from fiat.cli.main import main

RUNNERS = "acme/models:tiny"


@dataclass
class Project:
    """Calls the program in one folder, in this process: a new one for each of dozens of calls would take minutes."""

    root: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def fiat(self, *words: str, code: int = 0, **environment: str) -> tuple[str, str]:
        """What it prints: (standard output, standard error)."""
        with self.patch.context() as patch:
            patch.chdir(self.root)
            for name in ("FIAT_SIGNING_KEY", "FIAT_VERIFY_KEY", "FIAT_STORE", "FIAT_DATABASE_URL"):
                patch.delenv(name, raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            found = main(words)
        said = self.capture.readouterr()
        assert found == code, f"{words}: {found}\n{said.out}\n{said.err}"
        return said.out, said.err

    def read(self, *words: str, code: int = 0, **environment: str) -> dict[str, Any]:
        """The document that it prints."""
        document = json.loads(self.fiat(*words, "--json", code=code, **environment)[0])
        assert isinstance(document, dict)
        return document


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    with staged(tmp_path) as stage:
        stage.release(RUNNERS, params=1, alias="champion")
        stage.release(RUNNERS, params=2)
    return Project(tmp_path, monkeypatch, capsys)


def test_models_and_versions_are_listed_with_what_people_said_of_them(project: Project) -> None:
    (model,) = project.read("models")["models"]
    assert (model["model"], model["n_versions"], model["aliases"]) == (RUNNERS, 2, [["champion", 1]])
    assert project.read("alias", "tiny", "best", "2", "--reason", "fewer errors")["version"] == 2
    assert project.read("tag", "tiny@best", "reviewed=yes")["version"] == 2
    project.fiat("note", "tiny@champion", "good on rainy days")
    document = project.read("models", "tiny")
    first, second = document["versions"]
    assert (first["number"], first["aliases"], first["notes"][0]["text"]) == (
        1,
        ["champion"],
        "good on rainy days",
    )
    assert (second["aliases"], second["tags"][0]["name"]) == (["best"], "reviewed")
    assert second["metric"] == {"name": "accuracy", "value": 0.9}
    assert second["tags"][0]["who"] == document["alias_moves"][0]["who"] != ""
    text = project.fiat("models", "tiny")[0]
    for word in ("champion", "best", "reviewed=yes", "good on rainy days", "fewer errors", "ACCURACY"):
        assert word in text
    assert "2" in project.fiat("models")[0]
    project.fiat("alias", "tiny", "best", "--remove")
    assert project.read("models", "tiny")["versions"][1]["aliases"] == []


def test_a_wrong_name_is_a_sentence_with_the_next_step(project: Project) -> None:
    assert "did you mean acme/models:tiny" in project.fiat("models", "acme/model:tiny", code=2)[1]
    assert "it has versions 1 to 2" in project.fiat("alias", "tiny@7", "x", code=2)[1]
    assert "name=value" in project.fiat("tag", "tiny", "x", code=2)[1]
    assert "leave out VERSION" in project.fiat("alias", "tiny", "x", "1", "--remove", code=2)[1]
    assert "`fiat models` lists" in project.fiat("lineage", "weather", code=2)[1]


def test_lineage_is_told_both_ways(project: Project) -> None:
    made = project.read("lineage", "tiny@1")
    assert [step["name"] for step in made["steps"]] == ["data.rows", "train", "package"]
    assert made["run"]["config"]["params"] == {"seed": 1}
    came = project.read("lineage", "data/rows.csv")["models"]
    assert [(one["model"], one["number"]) for one in came] == [(RUNNERS, 1), (RUNNERS, 2)]
    text = project.fiat("lineage", "tiny@1")[0]
    for word in ("./data/rows.csv", "tiny:train", "seed", f"{1:040x}"[:12]):
        assert word in text
    assert RUNNERS in project.fiat("lineage", "data.rows")[0]


def test_a_model_is_signed_and_checked_and_another_key_is_exit_code_one(project: Project) -> None:
    made = project.read("keys", "new", "signing.pem")
    assert Path(project.root / "signing.pem").stat().st_mode & 0o777 == 0o600
    assert "no key is named" in project.fiat("sign", "tiny", code=2)[1]
    project.fiat("sign", "tiny", "--key", "signing.pem")
    good = project.read("verify", "tiny", "--key", "signing.pem.pub")
    assert (good["good"], good["key"]) == (True, made["id"])
    assert [check["state"] for check in good["checks"]] == ["pass"] * 4
    assert "no signature" in project.fiat("verify", "tiny@1", "--key", "signing.pem.pub", code=1)[0]
    project.fiat("keys", "new", "other.pem")
    bad = project.read("verify", "tiny", "--key", "other.pem.pub", code=1)
    assert [check["state"] for check in bad["checks"]] == ["pass", "pass", "fail", "fail"]
    project.fiat("verify", "tiny", FIAT_VERIFY_KEY="signing.pem.pub")
    project.fiat("sign", "tiny@1", FIAT_SIGNING_KEY="signing.pem")
    project.fiat("verify", "tiny@1", FIAT_SIGNING_KEY="signing.pem")
    assert "already" in project.fiat("keys", "new", "signing.pem", code=3)[1]
    assert "no public key" in project.fiat("verify", "tiny", "--key", "signing.pem", code=3)[1]


def test_the_bill_of_materials_is_printed_or_written(project: Project) -> None:
    document = json.loads(project.fiat("bom", "tiny@1")[0])
    assert document["specVersion"] == "1.6"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    names = {one["bom-ref"] for one in document["components"]}
    assert {"package/model.onnx", "data/data.rows", "code/tiny.py", "pypi/numpy==2.0.0"} <= names
    project.fiat("bom", "tiny@1", "--output", "bom.json")
    assert json.loads((project.root / "bom.json").read_text()) == document
    assert "can't write" in project.fiat("bom", "tiny@1", "-o", "nowhere/bom.json", code=3)[1]


def test_the_private_key_is_in_nothing_that_is_printed_or_kept(project: Project) -> None:
    project.fiat("keys", "new", "signing.pem")
    secret = "".join((project.root / "signing.pem").read_text().splitlines()[1:-1])[:40]
    said = [
        project.fiat(*words)[0]
        for words in (
            ("sign", "tiny", "--key", "signing.pem", "--json"),
            ("verify", "tiny", "--key", "signing.pem.pub", "--json"),
            ("models", "tiny", "--json"),
        )
    ]
    assert all(secret not in text for text in said)
    for path in (project.root / ".fiat").rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
