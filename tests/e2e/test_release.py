"""From the starter spec: release, baseline, a refused model, the way back, reproduction."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIAT = (sys.executable, "-m", "fiat")
pytestmark = pytest.mark.slow


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    command = ["git", *identity, "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def fiat(root: Path, *words: str, code: int = 0) -> Any:
    env = {**os.environ, "FIAT_COMPUTE": "local"}
    done = subprocess.run(
        [*FIAT, *words, "--json"], cwd=root, env=env, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def states(document: Any) -> dict[str, str]:
    return {step["name"]: step["state"] for step in document["steps"]}


def commit(root: Path, message: str) -> None:
    git(root, "add", ".")
    git(root, "commit", "-qm", message)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    git(root, "init", "-q", "-b", "main")
    (root / ".gitignore").write_text("models/\n.fiat/\n")
    subprocess.run([*FIAT, "init"], cwd=root, check=True, capture_output=True)
    commit(root, "start")
    return root


@pytest.fixture(scope="module")
def released(project: Path) -> Any:
    document = fiat(project, "run", "spec.yaml")
    assert document["verdict"] == "pass", document
    return document


def shelf(project: Path) -> bytes:
    return (project / "models" / "leaves" / "model.onnx").read_bytes()


def test_the_starter_is_trained_judged_packaged_and_deployed(project: Path, released: Any) -> None:
    assert states(released)["deploy.shelf"] == "ran"
    package = Path(released["model"]["path"])
    assert {path.name for path in package.iterdir()} >= {
        "model.onnx",
        "signature.json",
        "metrics.json",
        "requirements.txt",
        "manifest.json",
        "MODEL.md",
    }
    assert shelf(project) == (package / "model.onnx").read_bytes()
    assert released["metrics"]["accuracy"] > 0.85
    manifest = json.loads((package / "manifest.json").read_text())
    assert manifest["commit"] == git(project, "rev-parse", "HEAD").strip()


def test_a_second_run_reuses_everything_and_releases_nothing_new(project: Path, released: Any) -> None:
    again = fiat(project, "run", "spec.yaml")
    assert set(states(again).values()) <= {"reused", "skipped"}
    assert again["model"]["digest"] == released["model"]["digest"]
    assert len(fiat(project, "show", "leaves")["releases"]) == 1


def test_the_exported_model_answers_in_onnxruntime_alone(released: Any) -> None:
    code = (
        "import sys, json, numpy as np, onnxruntime as ort\n"
        "session = ort.InferenceSession(sys.argv[1])\n"
        "feed = {session.get_inputs()[0].name: np.array([[5.1, 3.4, 1.5], [6.6, 3.0, 5.5]], np.float32)}\n"
        "print(json.dumps([str(item) for item in session.run(None, feed)[0]]))\n"
    )
    path = str(Path(released["model"]["path"]) / "model.onnx")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["birch", "willow"]


def test_a_worse_model_is_refused_and_neither_released_nor_deployed(project: Path, released: Any) -> None:
    before = shelf(project)
    text = (project / "train.py").read_text()
    worse = text.replace("random_state=run.seed", "random_state=run.seed, max_depth=1, max_features=1")
    (project / "train.py").write_text(worse.replace("n_estimators=trees", "n_estimators=1"))
    commit(project, "a worse model")
    refused = fiat(project, "run", "spec.yaml", code=1)
    assert refused["verdict"] == "fail"
    against = next(gate for gate in refused["gates"] if "baseline" in gate["name"])
    assert against["state"] == "fail"
    assert "accuracy" in against["reason"]
    assert states(refused)["deploy.shelf"] == "skipped"
    assert shelf(project) == before
    assert len(fiat(project, "show", "leaves")["releases"]) == 1
    compared = fiat(project, "compare", released["run"], refused["run"])
    row = next(row for row in compared["metrics"] if row["name"] == "accuracy")
    assert row["change"] == "worse"


def test_a_revert_brings_the_earlier_model_back_without_training(project: Path, released: Any) -> None:
    git(project, "revert", "--no-edit", "HEAD")
    back = fiat(project, "run", "spec.yaml")
    assert back["verdict"] == "pass"
    assert set(states(back).values()) <= {"reused", "skipped"}
    assert back["model"]["digest"] == released["model"]["digest"]


def test_a_deployed_model_that_was_removed_is_put_back_without_training(project: Path, released: Any) -> None:
    model = project / "models" / "leaves" / "model.onnx"
    target = (project / "models" / "leaves").resolve()
    for path in sorted(target.iterdir()):
        path.chmod(0o644)
        path.unlink()
    plan = {step["step"]: step["action"] for step in fiat(project, "plan", "spec.yaml")["steps"]}
    assert plan["deploy.shelf"] == "run"
    back = fiat(project, "run", "spec.yaml")
    assert states(back)["deploy.shelf"] == "ran"
    assert states(back)["train"] == "reused"
    assert model.read_bytes() == (Path(released["model"]["path"]) / "model.onnx").read_bytes()


def test_a_run_is_reproduced_from_its_commit_to_the_byte(project: Path, released: Any) -> None:
    outcome = fiat(project, "reproduce", released["run"])
    assert outcome["same"] is True
    assert {"train", "export", "evaluate", "package"} <= {item["step"] for item in outcome["outputs"]}


def test_judging_only_releases_and_deploys_nothing(project: Path, released: Any) -> None:
    judged = fiat(project, "run", "spec.yaml", "params.trees=20", "--judge-only")
    assert judged["verdict"] == "pass"
    assert states(judged)["deploy.shelf"] == "skipped"
    assert len(fiat(project, "show", "leaves")["releases"]) == 1
