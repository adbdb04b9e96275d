"""Studies on a real Ray: trials that take no time, and what becomes of them."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin import ray_state
from fiat.builtin.compute_ray import RayCompute
from fiat.ports.compute import Job, JobResult, Resources
from fiat.testing.compute_jobs import is_alive, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from study_stage import WAIT_S, Stage, best_in

pytestmark = pytest.mark.slow

TWO = {"a": {"choice": [1, 2]}, "b": {"choice": [3, 5]}}
SIX = {"x": {"choice": [1, 2, 3, 4, 5, 6]}}
# Trial 1 is the best; the last ones are poor from the first value on, and would not end for minutes.
POOR = """
if p["x"] > GOOD:
    for step in range(1000):
        say("score", -p["x"], step)
        time.sleep(0.1)
for step in range(4):
    say("score", step + 1 / p["x"], step)
    time.sleep(0.1)
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_grid_tries_all_combinations_and_finds_the_best_whatever_fails(
    ray_head: Path, stage: Stage
) -> None:
    info = ray_state.status(ray_head)
    assert info is not None
    caught = _caught(info.pid)
    code = "if p['a'] * p['b'] == 3:\n    raise ValueError('no such thing')\nsay('score', p['a'] * p['b'])"
    job = stage.job(code, TWO, sampler="grid", secret="hush-4711")
    result = stage.run(ray_head, job)
    assert (result.state, result.reason) == ("done", "")
    tried = sorted((p["a"], p["b"], p["fixed"]) for p in stage.started())
    assert tried == [(1, 3, 1), (1, 5, 1), (2, 3, 1), (2, 5, 1)]
    assert best_in(job) == {"params": {"a": 2, "b": 5}, "value": 10.0, "trial": 4}
    assert job.study is not None
    trials = json.loads(job.study.trials_file.read_text())
    assert [(trial["number"], trial["state"]) for trial in trials] == [
        (1, "failed"),
        (2, "done"),
        (3, "done"),
        (4, "done"),
    ]
    assert result.result == {"observed": {}}
    assert _caught(info.pid) == caught
    _look_at_what_is_left(stage, Path(info.temp_dir))


def test_trials_run_in_processes_like_all_others_of_a_ray_of_our_own(ray_head: Path, stage: Stage) -> None:
    # Up to the Ray worker that the trial belongs to.
    code = """
pid, seen = os.getpid(), ""
while "RAY_CHDIR_TO_TRIAL_DIR" not in seen:
    pid = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1]
    seen = open(f"/proc/{pid}/environ").read()
say("score", 1 if "RAY_CHDIR_TO_TRIAL_DIR=0" in seen and "PL_DISABLE_FORK" not in seen else 0)
"""
    job = stage.job(code, {"x": {"choice": [1]}}, trials=1)
    assert stage.run(ray_head, job).state == "done"
    assert best_in(job)["value"] == 1


def _look_at_what_is_left(stage: Stage, ray_folder: Path) -> None:
    """The log says what became of each trial; nothing is written elsewhere, and nothing secret anywhere."""
    log = stage.log()
    assert log.count("FIAT_TRIAL ") == 4
    assert "trial 1 failed (exited with code 1); a=1 b=3\n" in log
    assert "  trial 1 | ValueError: no such thing\n" in log
    assert log.endswith("[fiat] best of 4: trial 4, score 10; a=2 b=5\n")
    assert not (Path.home() / "ray_results").exists()
    assert list(ray_folder.rglob("*study-*")) == []
    files = [path for path in stage.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if b"hush-4711" in path.read_bytes()] == []


def _caught(pid: int) -> str:
    """Which signals a process catches."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line for line in lines if line.startswith("SigCgt"))


def test_ranges_choices_and_conditions_reach_the_trials(ray_head: Path, stage: Stage) -> None:
    space: dict[str, Any] = {
        "kind": {"choice": ["deep", "flat"]},
        "width": {"int": [2, 9], "when": {"kind": "deep"}},
        "lr": {"log": [1e-4, 1e-1]},
        "drop": {"uniform": [0.0, 0.5]},
    }
    code = "say('loss', 3.0, 1); say('loss', p['lr'], 2)"
    job = stage.job(code, space, sampler="tpe", trials=4, metric="loss", mode="min")
    assert stage.run(ray_head, job).state == "done"
    tried = stage.started()
    assert len({json.dumps(params, sort_keys=True) for params in tried}) == 4
    for params in tried:
        assert ("width" in params) == (params["kind"] == "deep")
        assert 1e-4 <= float(str(params["lr"])) <= 1e-1
        assert 0.0 <= float(str(params["drop"])) <= 0.5
    assert best_in(job)["value"] == min(float(str(params["lr"])) for params in tried)
    assert [len(trial.values) for trial in stage.trials()] == [2] * 4


@pytest.mark.parametrize(("stop", "n_good"), [("asha", 2), ("median", 4)])
def test_poor_trials_are_stopped_and_their_children_end(
    ray_head: Path, stage: Stage, stop: str, n_good: int
) -> None:
    job = stage.job(f"GOOD = {n_good}{POOR}", SIX, sampler="grid", trials=6, stop=stop, parallel=2)
    result = stage.run(ray_head, job)
    assert result.state == "done"
    states = {trial.params["x"]: trial.state for trial in stage.trials()}
    assert states[1] == "done"
    assert {state for x, state in states.items() if int(str(x)) > n_good} == {"stopped"}
    assert [pid for pid in stage.pids() if is_alive(pid)] == []
    assert best_in(job)["params"] == {"x": 1}
    (poor,) = [trial for trial in stage.trials() if trial.params["x"] == 5]
    assert (poor.state, poor.values[0]) == ("stopped", (0, -5.0))


def test_trials_share_gpus_by_their_fractions_and_never_more(ray_head: Path, stage: Stage) -> None:
    code = (
        "begun = time.monotonic()\n"
        "while len(open(os.environ['STARTS']).readlines()) < 4 and time.monotonic() < begun + 60:\n"
        "    time.sleep(0.05)\n"
        "time.sleep(0.2)\n"
        "with open('spans', 'a') as file:\n"
        "    file.write(json.dumps([begun, time.monotonic(), os.environ['CUDA_VISIBLE_DEVICES']]) + chr(10))\n"
        "say('score', 1)"
    )
    job = stage.job(code, SIX, Resources(cpus=0.1, gpus=0.5), sampler="grid", trials=6, parallel=5)
    result = stage.run(ray_head, job)
    assert result.state == "done"
    spans = [json.loads(line) for line in (stage.folder / "spans").read_text().splitlines()]
    assert len(spans) == 6
    assert {gpu for _, _, gpu in spans} == set(result.gpus)
    beside = [[gpu for other, ended, gpu in spans if other <= begun < ended] for begun, _, _ in spans]
    assert max(map(len, beside)) == 4
    assert max(at_once.count(gpu) for at_once in beside for gpu in at_once) <= 2
    assert "[fiat] 4 of 5 trials at a time: this Ray has no room for more\n" in stage.log()


def test_a_trial_that_no_node_can_take_is_refused_and_one_that_asks_for_nothing_is_not(
    ray_head: Path, stage: Stage
) -> None:
    large = Attempt(ray_head, stage.job("say('score', 1)", TWO, Resources(cpus=2, workers=8)), [Resources()])
    result = large.result()
    large.compute.close()
    assert (result.state, result.reason) == (
        "failed",
        "no node of this Ray has what one trial asks for: 16 CPU cores",
    )
    assert "all `workers` of a trial run on one node" in result.mend
    assert stage.started() == []
    small = stage.job("say('score', p['a'])", TWO, Resources(cpus=0, workers=2), sampler="grid", trials=1)
    assert stage.run(ray_head, small).state == "done"
    assert [params["a"] for params in stage.started()] == [1, 1]
    assert best_in(small)["value"] == 1.0


def test_two_runs_of_one_search_at_a_time_try_nothing_twice(ray_head: Path, stage: Stage) -> None:
    code = "time.sleep(0.5)\nsay('score', p['a'] * p['b'])"
    attempts = [Attempt(ray_head, stage.job(code, TWO, sampler="grid")) for _ in range(2)]
    assert [attempt.result().state for attempt in attempts] == ["done", "done"]
    for attempt in attempts:
        attempt.compute.close()
        assert best_in(attempt.job)["params"] == {"a": 2, "b": 5}
    assert len(stage.started()) == 4
    assert "another run does the same search: this one goes on when that has ended\n" in stage.log()


def test_when_all_fail_the_study_does_and_says_why(ray_head: Path, stage: Stage) -> None:
    result = stage.run(ray_head, stage.job("sys.exit(3)", TWO, sampler="grid", trials=2, parallel=1))
    assert (result.state, result.reason) == ("failed", "all 2 trials failed: exited with code 3")
    again = stage.run(ray_head, stage.job("say('scroe', 1)", TWO, sampler="grid", trials=2, parallel=1))
    reason = "it did not log score, which the search is after; it logged scroe"
    assert (again.state, again.reason) == ("failed", f"all 2 trials failed: {reason}")
    assert stage.started()[:2] == stage.started()[2:]


class Attempt:
    """A study on its way."""

    def __init__(self, state_dir: Path, job: Job, needs: Sequence[Resources] = ()) -> None:
        self.compute = RayCompute(state_dir)
        self.compute.start(needs or [job.resources])
        self.job = job
        self.future = self.compute.submit(job)

    def result(self) -> JobResult:
        return self.future.result(WAIT_S)


def test_a_cancelled_study_leaves_no_child_and_goes_on_later(ray_head: Path, stage: Stage) -> None:
    # The last two say all that they have to say and keep it, but don't come to their end.
    code = (
        "mark = os.path.join(os.environ['FIAT_CHECKPOINTS'], 'mark')\n"
        "if os.path.exists(mark): sys.exit()\n"
        "say('score', p['x'])\n"
        "if p['x'] > 2 and not os.path.exists('go on'): open(mark, 'w').close(); time.sleep(600)"
    )
    first = Attempt(ray_head, stage.kept(stage.job(code, SIX, sampler="grid", trials=4)))
    marks = stage.folder / "checkpoints"
    wait_for(lambda: len(list(marks.glob("*/mark"))) == 2, "two ended and two hang", WAIT_S)
    first.compute.cancel(first.job.id)
    assert first.result().state == "cancelled"
    first.compute.close()
    assert [pid for pid in stage.pids() if is_alive(pid)] == []
    assert [trial.state for trial in stage.trials()] == ["done", "done", "running", "running"]
    (stage.folder / "go on").touch()
    job = stage.kept(stage.job(code, SIX, sampler="grid", trials=5))
    result = stage.run(ray_head, job)
    assert result.state == "done"
    assert result.resumed == "went on behind 2 of 5 trials"
    assert sorted(str(params["x"]) for params in stage.started()[4:]) == ["3", "4", "5"]
    assert [(trial.state, trial.value) for trial in stage.trials()] == [
        ("done", float(x)) for x in range(1, 6)
    ]
    assert best_in(job)["params"] == {"x": 5}


def test_a_trial_whose_worker_is_killed_is_begun_again(ray_head: Path, stage: Stage) -> None:
    code = "if len(open(os.environ['STARTS']).readlines()) == 1: time.sleep(600)\nsay('score', p['x'])"
    attempt = Attempt(ray_head, stage.job(code, SIX, sampler="grid", trials=2, parallel=1))
    wait_for(lambda: len(stage.started()) == 1, "the first trial runs", WAIT_S)
    (child,) = stage.pids()
    os.kill(_worker_of(child), signal.SIGKILL)
    wait_for(lambda: not is_alive(child), "its child ends with it")
    result = attempt.result()
    attempt.compute.close()
    assert result.state == "done"
    assert [params["x"] for params in stage.started()] == [1, 1, 2]
    assert [(trial.state, trial.reason) for trial in stage.trials()] == [("done", "")] * 2


def _worker_of(pid: int) -> int:
    """The process of Ray that a child is below of."""
    while not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def test_what_ended_before_the_searchs_limit_counts(ray_head: Path, stage: Stage) -> None:
    code = "if p['x'] > 1: time.sleep(600)\nsay('score', p['x'])"
    late = stage.run(ray_head, stage.job(code, SIX, sampler="grid", timeout_s=0.0))
    assert (late.state, late.reason) == ("failed", "no trial ended within the search's limit of 0 s")
    assert stage.run(ray_head, stage.job(code, SIX, sampler="grid", trials=1)).state == "done"
    job = stage.job(code, SIX, sampler="grid", trials=6, timeout_s=1.0)
    result = stage.run(ray_head, job)
    assert result.state == "done"
    assert best_in(job)["params"] == {"x": 1}
    assert "the search ended at its limit of 1 s, after 1 of 6 trials\n" in stage.log()
    assert [pid for pid in stage.pids() if is_alive(pid)] == []
