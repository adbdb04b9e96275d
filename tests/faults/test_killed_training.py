"""kill -9 while a model is trained: whoever comes next goes on from the last checkpoint, to the very same weights."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from fiat.plan.fingerprint import resume_key
from fiat.run.model import StepResult
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.settings import read_settings

SEED = int(os.environ.get("FIAT_KILL_SEED", "20"))
KILLS = 6
EPOCHS = 150
FIAT = (sys.executable, "-m", "fiat")
SPEC = """\
fiat: 1
name: small
params: {seed: 3}
data: {points: {source: {path: points.csv}, label: kind, split: {train: 8, test: 2}}}
train:
  call: work:train
  with: {epochs: %d, diary: DIARY}
  checkpoint: {keep: 2}
evaluate: {metrics: [accuracy]}
"""
# What is random, or carried over from epoch to epoch, decides the weights. A checkpoint is megabytes: it takes a while.
WORK = '''\
"""Logistic regression by stochastic gradient descent, in NumPy alone."""

import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper


def train(data, run, epochs, diary):
    weights, begin = np.zeros(3), 0
    if found := run.restore():
        weights, begin = found.state["weights"], found.step + 1
    note(diary, "begin", begin)
    x, y = np.column_stack([data.train.features, np.ones(len(data.train))]), data.train.codes
    for epoch in range(begin, epochs):
        rows = np.random.permutation(len(x))[:32]
        scores = 1 / (1 + np.exp(-x[rows] @ weights))
        weights = weights - 0.1 * x[rows].T @ (scores - y[rows]) / len(rows)
        time.sleep(0.01)
        run.log(epoch, loss=float(np.mean((scores - y[rows]) ** 2)))
        run.checkpoint({"weights": weights, "ballast": np.zeros(300_000)}, epoch)
        note(diary, "done", epoch)
    path = run.work_dir / "model.onnx"
    save(path, np.float32([-weights[:2], weights[:2]]).T, np.float32([-weights[2], weights[2]]))
    return path


def note(diary, word, number):
    with Path(diary).open("a") as file:
        print(word, number, file=file)


def save(path, w, b):
    nodes = [helper.make_node("Gemm", ["features", "w", "b"], ["raw"])]
    nodes.append(helper.make_node("Softmax", ["raw"], ["scores"]))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("features", "scores")
    ]
    values = [onnx.numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in (("w", w), ("b", b))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))
'''


@dataclass(frozen=True)
class Project:
    """A checkout with a training, and the diary that it writes outside of everything that Fiat knows."""

    root: Path

    @property
    def diary(self) -> list[tuple[str, int]]:
        path = self.root / "diary"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(word, int(number)) for word, number in map(str.split, lines)]

    def environment(self, store: str) -> dict[str, str]:
        return {**os.environ, "FIAT_STORE": str(self.root / store)}

    def start(self, store: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*FIAT, "run", "spec.yaml", "--json", "--compute", "local"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(store),
            cwd=self.root / "checkout",
            start_new_session=True,
        )

    def finish(self, process: "subprocess.Popen[bytes]", store: str) -> StepResult:
        """Wait for the end; gives the training as the store has it."""
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err.decode()
        with self.desk(store).store as opened:
            run = opened.runs.find(json.loads(out)["run"])
        return next(step for step in run.steps if step.name == "train")

    def desk(self, store: str) -> Desk:
        spec = str(self.root / "checkout" / "spec.yaml")
        return open_desk(spec, [], read_settings(self.environment(store)))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    draw = random.Random(SEED)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    points = [(draw.gauss(0, 1), draw.gauss(0, 1)) for _ in range(300)]
    rows = "".join(f"{a:.4f},{b:.4f},{'up' if a + b > 0 else 'down'}\n" for a, b in points)
    (checkout / "points.csv").write_text(f"a,b,kind\n{rows}")
    (checkout / "work.py").write_text(WORK)
    (checkout / "spec.yaml").write_text((SPEC % EPOCHS).replace("DIARY", str(tmp_path / "diary")))
    return Project(tmp_path)


def await_epochs(
    project: Project, process: "subprocess.Popen[bytes]", attempts: int, epochs: int
) -> psutil.Process:
    """Wait until the training of this many attempts has gone through some epochs; gives the child that trains."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        words = [word for word, _ in project.diary]
        if words.count("begin") == attempts and words[::-1].index("begin") >= epochs:
            for child in psutil.Process(process.pid).children(recursive=True):
                if "fiat.builtin.child" in child.cmdline():
                    return child
        time.sleep(0.005)
    process.kill()
    said = process.communicate()[1].decode()
    raise AssertionError(f"attempt {attempts} does not train: {project.diary[-3:]} {said}")


def victim_of(what: str, process: "subprocess.Popen[bytes]", child: psutil.Process) -> psutil.Process:
    if what == "run":
        return psutil.Process(process.pid)
    return child if what == "child" else child.parents()[0]


def kill(
    project: Project, process: "subprocess.Popen[bytes]", what: str, attempts: int, draw: random.Random
) -> None:
    """At a random moment of the attempt of this number, kill what trains or something around it."""
    child = await_epochs(project, process, attempts, draw.randrange(1, 10))
    time.sleep(draw.uniform(0.0, 0.05))
    victim_of(what, process, child).send_signal(signal.SIGKILL)
    psutil.wait_procs([child], timeout=60)
    check_diary(project.diary)


def check_diary(diary: list[tuple[str, int]]) -> None:
    """Each attempt begins with the epoch after the last one that was kept: nothing is lost, nothing is done twice."""
    last = -1
    for word, number in diary:
        if word == "begin":
            # A kill between the checkpoint and the diary leaves one that only the checkpoint knows.
            assert number in (last + 1, last + 2), diary
            last = number - 1
        else:
            assert number == last + 1, diary
            last = number


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_moments_a_training_ends_with_the_weights_of_an_undisturbed_one(
    project: Project,
) -> None:
    draw = random.Random(SEED)
    undisturbed = project.finish(project.start("whole"), "whole")
    assert "resumed" not in undisturbed.resources
    (project.root / "diary").unlink()
    for attempt in range(KILLS):
        what = ("run", "child")[attempt % 2]
        process = project.start("killed")
        kill(project, process, what, attempt + 1, draw)
        _, err = process.communicate(timeout=120)
        assert process.returncode == (-signal.SIGKILL if what == "run" else 1), err.decode()
    # A worker that is killed costs no attempt: the same run goes on, until it is killed itself.
    process = project.start("killed")
    kill(project, process, "worker", KILLS + 1, draw)
    kill(project, process, "run", KILLS + 2, draw)
    process.communicate(timeout=120)
    process = project.start("killed")
    ended = project.finish(process, "killed")
    diary = project.diary
    check_diary(diary)
    assert [word for word, _ in diary].count("begin") == KILLS + 3, f"seed {SEED}"
    assert diary[-1] == ("done", EPOCHS - 1)
    assert ended.outputs == undisturbed.outputs, f"seed {SEED}"
    begun = [number for word, number in diary if word == "begin"][-1]
    resumed = str(ended.resources["resumed"])
    assert resumed.startswith(f"went on from step {begun - 1} (checkpoint ")
    assert ended.reason.endswith(resumed)
    forgets_what_is_done(project)


def forgets_what_is_done(project: Project) -> None:
    """Checkpoints go with the result; those that a kill between the two left go with the next run."""
    store = project.root / "killed"
    assert list((store / "checkpoints").iterdir()) == []
    desk = project.desk("killed")
    with desk.store:
        walk = desk.walk()
        walk.advance()
        left = desk.store.resume.checkpoints(resume_key(walk.decided["train"].parts))
        (left / "state").write_text("left over")
    assert project.finish(project.start("killed"), "killed").state == "reused"
    assert list((store / "checkpoints").iterdir()) == []
