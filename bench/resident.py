"""How long a runner takes to start, and how much memory its processes hold: idle, after many webhooks, after many runs.

Beside it a program that only listens; and for growth the same process before.
"""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil
from first_step import RunnerStage, runner_stage
from stopwatch import Line, Room

MOST_GROWTH = 1.1
PATIENCE_S = 300.0
LOOK_S = 0.05
SPEC = """\
fiat: 1
name: tiny{n}
steps:
  tell: {{run: "echo {salt} {n} > {{out.said}}", out: {{said: file}}, code: []}}
"""
LISTENS = """\
import sys, fastapi, uvicorn
app = fastapi.FastAPI()
app.get("/healthz")(lambda: {"ok": True})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""
SLEEPS = "import sqlite3, time; time.sleep(600)"
PEER, PEER_WORKER, EARLIER = "empty FastAPI", "python, sqlite3", "before them"


def measure(folder: Path, *, deliveries: int, runs: int) -> list[Line]:
    """One runner that lives through all of it."""
    room = Room(folder / "resident")
    with runner_stage(room.folder) as stage:
        stage.settings["repositories"][0]["specs"] = ["specs/*/spec.yaml"]
        bare_start, bare_main = _bare(room, LISTENS, stage.port)
        _, bare_worker = _bare(room, SLEEPS)
        commit = _push(stage, 1, "while it was down")
        began = time.time()
        stage.start()
        start = time.time() - began
        claim = _over(stage, commit, 1, began)
        main, worker = _held(stage)
        lines = [
            Line("runner's start until it answers", start, bare_start, PEER),
            Line("runner's start until a worker's first claim", claim, bare_start, PEER),
            Line("main process, idle", main, bare_main, PEER, unit="MiB"),
            Line("a worker, idle after its first run", worker, bare_worker, PEER_WORKER, unit="MiB"),
        ]
        _deliver(stage, deliveries // 10)
        before, _ = _held(stage)
        _deliver(stage, deliveries)
        after, _ = _held(stage)
        lines.append(_growth(f"main process after {deliveries:,} webhooks", after, before))
        befores = _some_runs(stage, runs // 10 or 1, "a few")
        afters = _some_runs(stage, runs, "many")
        for name, grown, earlier in zip(("main process", "a worker"), afters, befores, strict=True):
            lines.append(_growth(f"{name} after {runs:,} runs", grown, earlier))
    return lines


def _growth(what: str, after: float, before: float) -> Line:
    return Line(what, after, before, EARLIER, most_ratio=MOST_GROWTH, unit="MiB")


def _some_runs(stage: RunnerStage, count: int, salt: str) -> tuple[float, float]:
    began = time.time()
    _over(stage, _push(stage, count, salt, tell=True), count, began)
    return _held(stage)


def _push(stage: RunnerStage, specs: int, salt: str, *, tell: bool = False) -> str:
    """A commit that touches so many specs."""
    commit = stage.commit({f"specs/{n}/spec.yaml": SPEC.format(n=n, salt=salt) for n in range(specs)}, salt)
    stage.push("main", tell=tell)
    return commit


def _over(stage: RunnerStage, commit: str, count: int, began: float) -> float:
    """Wait until the runs of a commit are over; gives when the first one was claimed, seconds after `began`."""
    while True:
        found = [run for run in stage.runs() if run["commit"] == commit]
        if len(found) == count and all(run["state"] == "done" for run in found):
            break
        if time.time() - began > PATIENCE_S:
            sys.exit(f"{count} runs are not over after {PATIENCE_S:.0f} s: {found[:3]}\n{stage.log}")
        time.sleep(LOOK_S)
    if any(run["verdict"] != "pass" for run in found):
        sys.exit(f"not all runs passed: {found[:3]}\n{stage.log}")
    return min(datetime.fromisoformat(run["started_at"]).timestamp() for run in found) - began


def _deliver(stage: RunnerStage, count: int) -> None:
    """Webhooks about a branch that nobody watches: each one is verified, read and written."""
    for number in range(count):
        answer = stage.tell_push("not-watched", f"{time.time_ns():020x}{number:020x}")
        if answer.status not in (200, 202):
            sys.exit(f"a webhook was answered with {answer}")


def _held(stage: RunnerStage) -> tuple[float, float]:
    """Memory of the main process and of its worker, MiB, once both have nothing to do."""
    time.sleep(1)
    if stage.process is None:
        sys.exit("the runner is gone")
    main = psutil.Process(stage.process.pid)
    workers = [child for child in main.children() if "fiat.wiring.worker" in child.cmdline()]
    return _mib(main), max(_mib(worker) for worker in workers)


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


def _bare(room: Room, program: str, port: int = 0) -> tuple[float, float]:
    """Start a program; gives the seconds until it answers, if it listens, and its memory, MiB."""
    started = time.perf_counter()
    with _running([sys.executable, "-c", program, str(port)], room) as process:
        while port and not _answers(port):
            time.sleep(LOOK_S)
        seconds = time.perf_counter() - started
        time.sleep(0.5)
        return seconds, _mib(psutil.Process(process.pid))


@contextmanager
def _running(words: list[str], room: Room) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(words, env=room.env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
