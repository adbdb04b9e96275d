"""kill -9 while data are read, checked and transformed: the next run has the same digests, and nothing is half there."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from fiat.wiring.desk import open_desk
from fiat.wiring.settings import read_settings

SEED = int(os.environ.get("FIAT_KILL_SEED", "20"))
KILLS = 8
ROWS = 20_000
STEPS = ("data.d", "check.d", "transform")
FIAT = (sys.executable, "-m", "fiat")
# Training fails at once: only what comes before it is looked at.
SPEC = """\
fiat: 1
name: small
data:
  d:
    source: {path: d.csv}
    label: rich
    derive: {late: "age > 50"}
    split: {train: 3, eval: 1, test: 1, key: id}
    drop: [id]
    checks:
      - {sql: "select * from train where age > 120"}
      - {duplicates: {across: warn, within: warn, columns: [age, city, note]}}
      - {drift: {against: train, max: 0.2}}
transform:
  - {columns: [age], apply: [{impute: median}, standardize]}
  - {columns: [city], apply: [lower, strip, one_hot]}
  - {columns: [note], apply: [tokenize, {tf_idf: {max: 50}}]}
train: {run: "exit 1 # {data.d} {out.model}", code: []}
"""

Digests = dict[str, str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    draw = random.Random(SEED)
    words = ["fast", "slow", "blue", "red", "one", "two"]
    lines = ["id,age,city,note,rich"]
    for number in range(ROWS):
        age = "" if draw.random() < 0.05 else str(draw.randrange(20, 60))
        note = " ".join(draw.choices(words, k=5))
        lines.append(
            f"{number},{age},{draw.choice(['Rome', 'Oslo', 'Lima'])},{note},{draw.choice(['yes', 'no'])}"
        )
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def environment(root: Path, store: str) -> dict[str, str]:
    return {**os.environ, "FIAT_STORE": str(root / store), "FIAT_COMPUTE": "local"}


def start(root: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*FIAT, "run", "spec.yaml", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=root,
        start_new_session=True,
    )


def finish(root: Path, env: dict[str, str]) -> Digests:
    """Run to the training, look at every byte of what was made, and name it by digest."""
    process = start(root, env)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err.decode()
    states = {step["name"]: step["state"] for step in json.loads(out)["steps"]}
    assert {states[name] for name in STEPS} <= {"ran", "reused"}, out.decode()
    assert states["train"] == "failed"
    desk = open_desk(str(root / "spec.yaml"), [], read_settings(env))
    walk = desk.walk()
    assert [decided.step.name for decided in walk.advance()] == ["train"]
    found: Digests = {}
    for name in STEPS:
        for output, artifact in walk.settled[name].outputs.items():
            assert desk.store.artifacts.verify(artifact.digest), f"{name}.{output}"
            found[f"{name}.{output}"] = artifact.digest
    desk.store.close()
    return found


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_one(process: "subprocess.Popen[bytes]", what: str, draw: random.Random, after_s: float) -> bool:
    """Wait until a step is at work, a random moment longer, then kill the run or what it started.

    Returns:
        Whether there was something to kill.
    """
    deadline = time.monotonic() + 60
    while not descendants(process.pid) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(draw.uniform(0, after_s))
    victims = descendants(process.pid)
    if process.poll() is not None or not victims:
        return False
    (draw.choice(victims) if what == "worker" else process).send_signal(signal.SIGKILL)
    return True


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_random_moments_the_next_run_has_the_same_digests(project: Path) -> None:
    draw = random.Random(SEED)
    began = time.monotonic()
    expected = finish(project, environment(project, "whole"))
    length_s = time.monotonic() - began
    assert set(expected) == {"data.d.dataset", "check.d.profile", "transform.dataset", "transform.transform"}
    hits = 0
    for attempt in range(KILLS):
        env = environment(project, f"store{attempt}")
        what = ("run", "worker")[attempt % 2]
        process = start(project, env)
        hits += kill_one(process, what, draw, length_s / 2)
        children = descendants(process.pid)
        _, err = process.communicate(timeout=120)
        _, alive = psutil.wait_procs(children, timeout=10)
        orphans = [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
        assert not orphans, f"seed {SEED}, kill {attempt}: orphans of a killed {what}"
        if what == "worker":
            assert process.returncode in (1, 3), f"seed {SEED}, kill {attempt}: {err.decode()}"
        assert finish(project, env) == expected, f"seed {SEED}, kill {attempt} of a {what}"
    assert hits > KILLS // 2
