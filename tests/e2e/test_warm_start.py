"""Trainings that start from the baseline, run after run: through commits, branches, kills and back again."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

pytestmark = pytest.mark.slow
FIAT = (sys.executable, "-m", "fiat")
WAIT_S = 60
SPEC = """\
fiat: 1
name: scale
data: {rows: {source: {path: rows.csv}, label: y, split: {train: 1, test: 1, key: id}}}
train: {run: "python learn.py", out: {model: model}, warm_start: baseline, code: [learn.py]}
evaluate: {metrics: [mae]}
baseline: {from: main, if_missing: pass}
gates: [{metric: mae, max: 1e6}]
"""
# Adds its own number to that of the model it starts from; waits for a file to go where there is one.
LEARN = """\
import json, os, time
import onnx
from onnx import TensorProto, helper, numpy_helper

warm = json.loads(os.environ["FIAT_INPUTS"]).get("warm")
number = {number}
if warm:
    number += float(numpy_helper.to_array(onnx.load(warm).graph.initializer[0])[0])
open({beside!r} + "/began", "w").close()
while os.path.exists({beside!r} + "/hold"):
    time.sleep(0.05)
graph = helper.make_graph(
    [helper.make_node("Mul", ["features", "factor"], ["y"])],
    "scale",
    [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
    [helper.make_tensor("factor", TensorProto.FLOAT, [1], [number])],
)
made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
onnx.save(made, json.loads(os.environ["FIAT_OUTPUTS"])["model"])
"""


class Project:
    """A repository whose only training adds a number to the baseline's."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.beside = folder / "beside"
        self.root.mkdir()
        self.beside.mkdir()
        self.git("init", "-q", "-b", "main")
        (self.root / ".gitignore").write_text(".fiat/\n")
        (self.root / "spec.yaml").write_text(SPEC)
        (self.root / "rows.csv").write_text("id,x,y\n" + "".join(f"{n},{n}.5,{n}.5\n" for n in range(20)))
        self.env = {**os.environ, "FIAT_COMPUTE": "local"}

    def git(self, *words: str) -> None:
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, "-C", str(self.root), *words], check=True, capture_output=True)

    def commit(self, number: int) -> None:
        """Commit a training that adds this number."""
        (self.root / "learn.py").write_text(LEARN.format(number=number, beside=str(self.beside)))
        self.git("add", "-A")
        self.git("commit", "-qm", f"add {number}")

    def fiat(self, *words: str) -> Any:
        done = subprocess.run(
            [*FIAT, *words, "--json"],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def run(self) -> tuple[str, float]:
        """How the training of a run went, and the number of its model."""
        document = self.fiat("run", "spec.yaml")
        assert document["verdict"] == "pass", document
        state = next(step["state"] for step in document["steps"] if step["name"] == "train")
        model = onnx.load(str(Path(document["model"]["path"]) / "model.onnx"))
        return state, float(onnx.numpy_helper.to_array(model.graph.initializer[0])[0])

    def start(self) -> str:
        """What is said that the training would start from."""
        steps = self.fiat("explain", "spec.yaml", "train")["steps"]
        return str(steps[0]["reasons"][-1])

    def killed(self) -> None:
        """A run whose whole process group is killed while it trains."""
        (self.beside / "hold").touch()
        (self.beside / "began").unlink(missing_ok=True)
        run = subprocess.Popen(
            [*FIAT, "run", "spec.yaml"],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + WAIT_S
        while not (self.beside / "began").exists():
            assert time.monotonic() < until, "the training did not begin"
            assert run.poll() is None
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        (self.beside / "hold").unlink()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("warm"))
    yield made
    (made.beside / "hold").unlink(missing_ok=True)


def test_trainings_start_from_the_newest_baseline_and_only_for_a_reason(project: Project) -> None:
    project.commit(1)
    assert project.start() == "starts anew: no earlier model of scale was released from branch main"
    assert project.run() == ("ran", 1)
    assert project.run() == ("reused", 1)
    assert project.start().startswith("starts anew as run ")

    project.commit(10)
    assert project.start().startswith("starts from the model of run ")
    project.killed()
    assert project.run() == ("ran", 11)
    assert [project.run() for _ in range(2)] == [("reused", 11)] * 2
    assert project.start().endswith("which released this same work")

    project.git("switch", "-qc", "topic")
    project.commit(100)
    assert project.run() == ("ran", 111)
    project.git("switch", "-q", "main")
    project.commit(20)
    assert project.run() == ("ran", 31)
    project.git("switch", "-q", "topic")
    assert project.run() == ("ran", 131), "the baseline moved"
    assert project.run() == ("reused", 131)


def test_a_revert_brings_the_earlier_model_back_without_training(project: Project) -> None:
    project.git("switch", "-q", "main")
    project.git("revert", "--no-edit", "HEAD")
    assert project.run() == ("reused", 11)


def test_a_run_that_started_from_a_baseline_is_reproduced_from_its_commit(project: Project) -> None:
    runs = project.fiat("runs")["runs"]
    last = next(run["id"] for run in runs if run["branch"] == "main")
    outcome = project.fiat("reproduce", last)
    assert outcome["same"] is True, outcome
    assert {"train", "export"} <= {item["step"] for item in outcome["outputs"]}
    # The revert's run made nothing: its package is that of an earlier run, with the commit of that.
    (note,) = outcome["notes"]
    found = re.fullmatch(
        r"package is that of run (\S+) and names its commit (\S+): reproduce that run for it", note
    )
    assert found is not None
    assert found[1] != last
    maker = project.fiat("reproduce", found[1])
    assert (maker["same"], maker["notes"]) == (True, [])
    assert "package" in {item["step"] for item in maker["outputs"]}
