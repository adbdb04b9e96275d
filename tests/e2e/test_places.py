"""What stands where: status, diff, deploy, rollback, hold, revert in git, and why; on a folder, with the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIAT = (sys.executable, "-m", "fiat")
pytestmark = pytest.mark.slow

SPEC = """\
fiat: 1
name: leaves
params: {depth: 2}
data:
  rows:
    source: {path: rows.csv}
    label: kind
    split: {train: 7, test: 3}
train: {call: "leaves:train", with: {depth: "${params.depth}"}}
evaluate: {metrics: [accuracy]}
deploy:
  shelf: {to: directory, path: models}
  gate: {to: directory, path: agreed, approval: true}
"""
CODE = """\
from sklearn.tree import DecisionTreeClassifier


def train(data, params):
    return DecisionTreeClassifier(max_depth=params["depth"], random_state=0).fit(data.train.features, data.train.codes)
"""


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    command = ["git", *identity, "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def fiat(root: Path, *words: str, code: int = 0, json_out: bool = True) -> Any:
    env = {**os.environ, "FIAT_COMPUTE": "local", "FIAT_USER": "ada"}
    command = [*FIAT, *words, *(["--json"] if json_out else [])]
    done = subprocess.run(
        command, cwd=root, env=env, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout) if json_out else done.stdout


def states(document: Any) -> dict[str, str]:
    return {step["name"]: step["state"] for step in document["steps"]}


def set_depth(root: Path, before: int, after: int) -> None:
    spec = root / "spec.yaml"
    spec.write_text(spec.read_text().replace(f"depth: {before}}}", f"depth: {after}}}"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose second commit has another model; both are made, the second one stands on the shelf."""
    root = tmp_path_factory.mktemp("places")
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("models/\nagreed/\n.fiat/\n__pycache__/\n")
    (root / "spec.yaml").write_text(SPEC)
    (root / "leaves.py").write_text(CODE)
    rows = [f"{n % 17},{n % 5},{'ab'[(n % 17) > 8]}" for n in range(400)]
    (root / "rows.csv").write_text("\n".join(["length,width,kind", *rows]) + "\n")
    for depth in (2, 3):
        if depth == 3:
            set_depth(root, 2, 3)
        git(root, "add", ".")
        git(root, "commit", "-qm", f"depth {depth}")
        assert states(fiat(root, "run", "spec.yaml"))["deploy.shelf"] == "ran"
    return root


def served(root: Path, folder: str = "models") -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((root / folder / "leaves" / "manifest.json").read_text())
    return manifest


def test_status_says_which_version_and_commit_stand_there(project: Path) -> None:
    found = fiat(project, "status", "leaves")
    assert [(one["place"], one["state"]["phase"], one["drift"]) for one in found] == [
        ("shelf:leaves", "serving", [])
    ]
    assert found[0]["deployment"]["commit"] == git(project, "rev-parse", "HEAD").strip()
    assert "leaves 2" in fiat(project, "status", json_out=False)


def test_a_changed_file_is_found_and_mended_by_deploy(project: Path) -> None:
    path = project / "models" / "leaves" / "metrics.json"
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content[:-2] + b" \n")
    found = fiat(project, "status", code=1)
    assert found[0]["drift"] == ["metrics.json is gone or was changed"]
    fiat(project, "deploy", "spec.yaml", "shelf")
    assert path.read_bytes() == content
    fiat(project, "status")


def test_what_needs_approval_waits_until_somebody_agrees(project: Path) -> None:
    done = fiat(project, "deploy", "spec.yaml", "gate", code=1)
    assert "waits for approval" in done["not_deployed"]["gate"]
    assert not (project / "agreed").exists()
    fiat(project, "deploy", "spec.yaml", "gate", "--approve")
    assert served(project, "agreed")["params"] == {"depth": 3}
    story = fiat(project, "why", "leaves")[0]
    assert {one["target"]: one["approver"] for one in story["deployments"]}["gate"] == "ada"
    assert story["release"]["commit"] == git(project, "rev-parse", "HEAD").strip()
    assert story["run"]["verdict"] == "pass"


def test_a_rollback_brings_the_earlier_model_at_once_and_no_run_undoes_it(project: Path) -> None:
    sight = fiat(project, "rollback", "leaves", "shelf")
    assert sight["drift"] == []
    assert served(project)["params"] == {"depth": 2}
    held = fiat(project, "run", "spec.yaml")
    assert states(held)["deploy.shelf"] == "skipped"
    assert "rolled back by hand" in next(
        one["reason"] for one in held["steps"] if one["name"] == "deploy.shelf"
    )
    assert served(project)["params"] == {"depth": 2}
    different = fiat(project, "diff", "spec.yaml", code=1)
    shelf = next(one for one in different if one["target"]["target"] == "shelf")
    assert ["params.depth", 2, 3] in shelf["changes"]
    fiat(project, "unhold", "leaves", "shelf", json_out=False)
    fiat(project, "deploy", "spec.yaml", "shelf")
    assert served(project)["params"] == {"depth": 3}


def test_a_rollback_to_a_version_by_its_number(project: Path) -> None:
    fiat(project, "rollback", "leaves", "shelf", "--to", "1")
    assert served(project)["params"] == {"depth": 2}
    fiat(project, "unhold", "shelf:leaves", json_out=False)
    fiat(project, "deploy", "spec.yaml", "shelf")


def test_while_everything_is_held_nothing_is_put_there(project: Path) -> None:
    fiat(project, "hold", "leaves", "shelf", "-m", "an incident", json_out=False)
    set_depth(project, 3, 1)
    document = fiat(project, "run", "spec.yaml")
    assert states(document)["deploy.shelf"] == "skipped"
    assert served(project)["params"] == {"depth": 3}
    assert "an incident" in fiat(project, "status", json_out=False)
    set_depth(project, 1, 3)
    assert "1 lifted" in fiat(project, "unhold", "leaves", "shelf", json_out=False)


def test_a_revert_in_git_restores_the_earlier_model_without_training(project: Path) -> None:
    git(project, "revert", "--no-edit", "HEAD")
    document = fiat(project, "run", "spec.yaml")
    assert states(document)["train"] == "reused"
    assert served(project)["params"] == {"depth": 2}
    assert (
        fiat(project, "diff", "spec.yaml", code=1) != []
    )  # the target with approval has the other one still


def test_deploy_does_not_train(project: Path) -> None:
    set_depth(project, 2, 4)
    done = subprocess.run(
        [*FIAT, "deploy", "spec.yaml"], cwd=project, capture_output=True, text=True, check=False
    )
    set_depth(project, 4, 2)
    assert done.returncode == 1
    assert "train" in done.stderr
    assert "fiat run spec.yaml" in done.stderr


def test_unknown_names_are_sentences(project: Path) -> None:
    for words, said in (
        (("rollback", "nothing"), "nothing was deployed as nothing"),
        (("deploy", "spec.yaml", "moon"), "the spec has no target moon"),
        (("why", "nothing"), "no model is called nothing"),
        (("why", "http://127.0.0.1:9/"), "does not answer"),
        (("why", "http://[here"), "is no address"),
    ):
        done = subprocess.run([*FIAT, *words], cwd=project, capture_output=True, text=True, check=False)
        assert said in done.stderr, done.stderr
        assert done.returncode in (2, 3)
