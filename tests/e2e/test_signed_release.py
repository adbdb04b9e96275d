"""Signed releases from the spec on: at a desk, and on a runner whose operator has the key."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fiat.model.signing_keys import new_key
from tests.e2e.runner_stage import runner_stage
from tests.e2e.tiny_specs import add_models, deployed_factor, judged

pytestmark = pytest.mark.slow
FIAT = (sys.executable, "-m", "fiat")
TARGET = "  shelf: {to: directory, path: models"


def fiat(root: Path, *words: str, code: int = 0, **more: str) -> Any:
    env = {**os.environ, "FIAT_COMPUTE": "local", **more}
    done = subprocess.run(
        [*FIAT, *words, "--json"], cwd=root, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def signed(by: int) -> str:
    return judged(by, 100).replace(TARGET, f"{TARGET}, signed: true")


def write(root: Path, text: str) -> None:
    path = root / "specs" / "scale" / "spec.yaml"
    path.write_text(text)


def states(document: Any) -> dict[str, str]:
    return {step["name"]: step["state"] for step in document["steps"]}


def test_at_a_desk_a_release_is_signed_and_only_signed_ones_reach_the_target(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    add_models(root, 1, 2)
    public = new_key(tmp_path / "key")
    signing, checking = {"FIAT_SIGNING_KEY": str(tmp_path / "key")}, {"FIAT_VERIFY_KEY": str(public)}
    write(root, signed(1))
    assert states(fiat(root, "run", "specs/scale", **signing))["deploy.shelf"] == "ran"
    assert fiat(root, "verify", "scale", **checking)["good"]
    assert fiat(root, "verify", "models/scale", **checking)["good"]
    write(root, signed(2))
    refused = fiat(root, "run", "specs/scale", code=1, **checking)
    assert states(refused)["deploy.shelf"] == "failed"
    reasons = {step["name"]: step["reason"] for step in refused["steps"]}
    assert "it has no signature" in reasons["deploy.shelf"]
    assert deployed_factor(root) == 1
    # With the key the same release is signed, and goes there without another step being run.
    again = fiat(root, "run", "specs/scale", **signing)
    assert (states(again)["train"], states(again)["deploy.shelf"]) == ("reused", "ran")
    assert deployed_factor(root) == 2


def test_on_a_runner_the_operators_key_signs_and_the_target_takes_nothing_else(tmp_path: Path) -> None:
    with runner_stage(tmp_path) as stage:
        public = new_key(tmp_path / "operator.key")
        stage.settings["signing_key"] = "operator.key"
        add_models(stage.clone, 1)
        stage.start()
        commit = stage.commit({"specs/scale/spec.yaml": signed(1)}, "a signed model")
        stage.push("main")
        stage.wait_state(commit, "fiat/push", "success")
        assert deployed_factor(stage.shelf) == 1
        inside = {"FIAT_STORE": str(stage.store), "FIAT_VERIFY_KEY": str(public)}
        assert fiat(tmp_path, "verify", "scale", **inside)["good"]
        assert fiat(tmp_path, "verify", str(stage.shelf / "models" / "scale"), **inside)["good"]
        (model,) = fiat(tmp_path, "models", **inside)["models"]
        assert model["model"] == "acme/models:scale"
        made = fiat(tmp_path, "lineage", "scale@1", **inside)
        assert made["run"]["commit"] == commit
        (statement,) = (stage.store / "signatures").glob("*.provenance.json")
        payload = json.loads(base64.b64decode(json.loads(statement.read_text())["payload"]))
        definition = payload["predicate"]["buildDefinition"]
        assert definition["internalParameters"]["sandbox"] == "bubblewrap"
        assert payload["predicate"]["runDetails"]["builder"]["id"].startswith("http://127.0.0.1:")
        secret = (tmp_path / "operator.key").read_text().splitlines()[1]
        assert secret not in stage.log
        for path in (*stage.store.rglob("*.log"), stage.store / "store.db"):
            assert secret.encode() not in path.read_bytes()
