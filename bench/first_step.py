"""From a webhook to the first step's start: a whole runner with a warm Ray, git over HTTP and a pretended forge.

Beside it the least that it takes: `git fetch` of the commit, and a process. Both say themselves when they have started.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from stopwatch import Line, Room

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]
from tests.e2e.runner_stage import RunnerStage, runner_stage  # noqa: E402 - a stage of the tests

MOST_S = 1.0
PEER = "git fetch, sh"
LOOK_S = 0.002
PATIENCE_S = 60.0
SAY_WHEN = "date +%s.%N"
SPEC = """\
fiat: 1
name: clock
steps:
  tell: {{run: "{say} | tee {{out.when}} # {salt}", out: {{when: file}}}}
"""


def measure(folder: Path, *, pushes: int) -> list[Line]:
    """One runner, one push after the other; the first one warms everything up and does not count."""
    room = Room(folder / "first_step")
    ours, ends, peers = [], [], []
    with runner_stage(room.folder, compute="ray") as stage:
        bare = room.folder / "bare"
        bare.mkdir()
        room.run(bare, "git", "init", "-q", "--bare")
        stage.commit({"spec.yaml": SPEC.format(say=SAY_WHEN, salt="first")}, "first")
        _push(stage)
        stage.start()
        for number in range(pushes + 1):
            commit = stage.commit({"spec.yaml": SPEC.format(say=SAY_WHEN, salt=number)}, f"commit {number}")
            before = _push(stage)
            peers.append(_bare(room, bare, stage, commit))
            step, end = _told(stage, commit, before)
            ours.append(step)
            ends.append(end)
    step, end, peer = (statistics.median(each[1:]) for each in (ours, ends, peers))
    return [
        Line("webhook to the first step's start, warm Ray", step, peer, PEER, most=MOST_S),
        Line("webhook to the verdict at the forge, one step", end, peer, PEER),
    ]


def _push(stage: RunnerStage) -> str:
    """Push without a word to the runner; gives the commit before."""
    before = stage.remote_head("main")
    stage.push("main", tell=False)
    return before


def _told(stage: RunnerStage, commit: str, before: str) -> tuple[float, float]:
    """Seconds from the webhook to the step's first word, and to the forge's last."""
    started = time.time()
    answer = stage.tell_push("main", commit, before)
    if answer.status != 202:
        sys.exit(f"the webhook was answered with {answer}")
    while stage.forge.world.last(commit, "fiat/push") != "success":
        if time.time() - started > PATIENCE_S:
            sys.exit(f"no success within {PATIENCE_S:.0f} s\n{stage.log}")
        time.sleep(LOOK_S)
    ended = time.time()
    run = next(run["id"] for run in stage.runs() if run["commit"] == commit)
    said = (stage.store / "runs" / run / "tell.log").read_text()
    return float(said) - started, ended - started


def _bare(room: Room, bare: Path, stage: RunnerStage, commit: str) -> float:
    """Fetch the commit and start a process that says when it runs."""
    started = time.time()
    room.run(bare, "git", "fetch", "-q", stage.git.url("acme/models"), commit)
    done = subprocess.run(
        ["/bin/sh", "-c", SAY_WHEN], env=room.env, capture_output=True, text=True, check=True
    )
    return float(done.stdout) - started
