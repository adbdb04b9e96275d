"""kill -9 at random moments: the next run finishes, no result is wrong, nothing half-written is reused."""

import hashlib
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

from fiat.engine.silent import SilentReporter
from fiat.wiring.desk import open_desk
from fiat.wiring.settings import read_settings

SEED = int(os.environ.get("FIAT_KILL_SEED", "20"))
STEPS = 6
LINES = 40_000
CLI_KILLS, WORKER_KILLS, RAYLET_KILLS = 30, 10, 10
FIAT = (sys.executable, "-m", "fiat")


def write_spec(root: Path) -> None:
    """A chain of steps whose outputs take a moment to write, each made of the one before."""
    lines = ["fiat: 1", "name: chain", "params: {salt: 0}", "steps:"]
    for index in range(STEPS):
        first = f"awk 'BEGIN {{{{ for (i = 0; i < {LINES}; i++) print i, ${{params.salt}} }}}}' > {{out.o}}"
        later = f"awk '{{{{ print $1 + 1, $2 }}}}' {{s{index - 1}.o}} > {{out.o}}"
        lines.append(f"  s{index}:")
        lines.append(f'    run: "{first if index == 0 else later}; sleep 0.15; echo FIAT_METRIC at={index}"')
        lines.append("    out: {o: file}")
        lines.append("    code: []")
        lines.append("    with: {}")
    (root / "spec.yaml").write_text("\n".join(lines) + "\n")


def expected(salt: int) -> str:
    text = "".join(f"{i + STEPS - 1} {salt}\n" for i in range(LINES))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def start(root: Path, salt: int, compute: str, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [*FIAT, "run", str(root / "spec.yaml"), f"params.salt={salt}", "--json", "--compute", compute]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=root, start_new_session=True
    )


def finish(root: Path, salt: int, compute: str, env: dict[str, str]) -> None:
    """Run to the end and check every byte of the last output."""
    process = start(root, salt, compute, env)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err.decode()
    document = json.loads(out)
    assert document["verdict"] == "pass"
    assert {step["state"] for step in document["steps"]} <= {"ran", "reused"}
    desk = open_desk(str(root / "spec.yaml"), [f"params.salt={salt}"], read_settings(env))
    walk = desk.walk()
    assert walk.advance() == []
    for index in range(STEPS):
        digest = walk.settled[f"s{index}"].outputs["o"].digest
        assert desk.store.artifacts.verify(digest), f"s{index}"
    assert walk.settled[f"s{STEPS - 1}"].outputs["o"].digest == expected(salt)
    desk.store.close()


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_spec(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_command_line_killed_at_random_moments(project: Path) -> None:
    draw = random.Random(SEED)
    env = dict(os.environ)
    killed_midway = 0
    for attempt in range(CLI_KILLS):
        process = start(project, attempt, "local", env)
        time.sleep(draw.uniform(0.15, 1.1))
        children = descendants(process.pid)
        killed_midway += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert gone(children, 10) == [], f"seed {SEED}, kill {attempt}: orphans"
        if attempt % 3 == 2 or attempt == CLI_KILLS - 1:
            finish(project, attempt, "local", env)
    assert killed_midway > CLI_KILLS // 3


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("what", "kills"), [("worker", WORKER_KILLS), ("raylet", RAYLET_KILLS)])
def test_ray_killed_at_random_moments(project: Path, what: str, kills: int) -> None:
    draw = random.Random(SEED + kills)
    env = dict(os.environ)
    hits = 0
    for attempt in range(kills):
        process = start(project, attempt, "ray", env)
        victim = find_victim(process, what, draw)
        if victim is not None:
            hits += 1
            victim.kill()
        out, err = process.communicate(timeout=180)
        if process.returncode != 0:
            assert process.returncode in (1, 3), err.decode()
        else:
            assert json.loads(out)["verdict"] == "pass"
        finish(project, attempt, "local", env)
    assert hits > kills // 2


def find_victim(process: "subprocess.Popen[bytes]", what: str, draw: random.Random) -> psutil.Process | None:
    """Wait until the run has begun on Ray, a random moment longer, then pick a process."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        found = [child for child in descendants(process.pid) if is_a(child, what)]
        if found:
            time.sleep(draw.uniform(0.0, 1.2))
            alive = [child for child in found if child.is_running()]
            return draw.choice(alive) if alive else None
        time.sleep(0.02)
    return None


def is_a(process: psutil.Process, what: str) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    if not words:
        return False
    return (
        Path(words[0]).name == "raylet"
        if what == "raylet"
        else words[0].startswith(("ray::run_in_worker", "ray::IDLE"))
    )


def test_an_interrupt_ends_the_run_in_order(project: Path) -> None:
    (project / "spec.yaml").write_text(
        'fiat: 1\nname: slow\nsteps:\n  wait: {run: "echo begun; sleep 600; echo > {out.o}", out: {o: file}, code: []}\n'
    )
    process = subprocess.Popen(
        [*FIAT, "run", "spec.yaml", "--compute", "local"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    log_folder = project / ".fiat" / "runs"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not list(log_folder.glob("*/wait.log")):
        time.sleep(0.05)
    time.sleep(0.5)
    children = descendants(process.pid)
    assert any("sleep" in child.name() for child in children)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert gone(children, 5) == []
    desk = open_desk(str(project / "spec.yaml"), [], read_settings(os.environ))
    run = desk.store.runs.find("last")
    assert (run.state, run.verdict) == ("interrupted", "error")
    assert [step.state for step in run.steps] == ["cancelled"]


def test_a_run_that_was_killed_is_not_shown_as_running(project: Path) -> None:
    process = start(project, 1, "local", dict(os.environ))
    time.sleep(0.8)
    process.kill()
    process.wait()
    desk = open_desk(str(project / "spec.yaml"), ["params.salt=1"], read_settings(os.environ))
    desk.apply(desk.new_run(), SilentReporter(), compute="local")
    assert [run.state for run in desk.store.runs.newest(state="running")] == []
