"""A search from outside: what runs, what is reused, what is shown, and what a kill leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin import ray_state, ray_up
from fiat.errors import SpecError
from fiat.testing.compute_jobs import is_alive, wait_for
from fiat.wiring.settings import read_settings
from fiat.wiring.shelf import open_shelf
from fiat.wiring.tune import find_study
from tests.e2e.tiny_specs import add_models

FIAT = (sys.executable, "-m", "fiat")
SPEC = """\
fiat: 1
name: scale
env: {{vars: {{STARTS: "{starts}"}}}}
data: {{rows: {{source: {{path: specs/scale/rows.csv}}, label: y, split: {{train: 1, test: 1, key: id}}}}}}
train:
  run: "{python} -S -I specs/scale/train.py {{out.model}}"
  with: {{by: 3, shift: 0}}
  code: ["specs/scale/*.onnx", "specs/scale/train.py"]
  checkpoint: {{keep: 1}}
tune:
  search: {{by: [1, 2, 3], shift: {{int: [0, 5]}}}}
  objective: {{minimize: error}}
  sampler: random
  trials: {trials}
  parallel: {parallel}
evaluate: {{metrics: [mae]}}
"""
TRAIN = """
import json, os, shutil, sys, time
params = json.loads(os.environ["FIAT_PARAMS"])
mark = os.path.join(os.environ["FIAT_CHECKPOINTS"], "mark")
with open(os.environ["STARTS"], "a") as file:
    file.write(json.dumps([os.environ["FIAT_STEP"], os.getpid(), params, os.path.exists(mark)]) + chr(10))
open(mark, "w").close()
if os.path.exists(os.environ["STARTS"] + ".slow"):
    time.sleep(60)
print(f"FIAT_METRIC error={abs(params['by'] - 1) + params['shift'] / 10}", flush=True)
shutil.copy(f"specs/scale/{params['by']}.onnx", sys.argv[1])
"""


class Desk:
    """A checkout with a search.

    Attributes:
        root: its top.
        starts: a line for each child that was started.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.starts = root / ".fiat" / "starts"
        self.starts.parent.mkdir()
        add_models(root, 1, 2, 3)
        (root / "specs/scale/train.py").write_text(TRAIN)
        self.write(trials=4)

    def write(self, trials: int, parallel: int = 2) -> None:
        text = SPEC.format(starts=self.starts, python=sys.executable, trials=trials, parallel=parallel)
        (self.root / "specs/scale/spec.yaml").write_text(text)

    def fiat(self, *words: str, code: int = 0, compute: str = "ray") -> str:
        """Standard output of a command, and its errors when it is to fail."""
        done = subprocess.run(
            [*FIAT, *words], cwd=self.root, env=self.env(compute), capture_output=True, text=True, timeout=240
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def read(self, *words: str) -> Any:
        return json.loads(self.fiat(*words, "--json"))

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        with open(self.root / ".fiat/said", "ab") as said:
            return subprocess.Popen(
                [*FIAT, *words],
                cwd=self.root,
                env=self.env("ray"),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def env(self, compute: str) -> dict[str, str]:
        return {**os.environ, "FIAT_COMPUTE": compute, "COLUMNS": "160"}

    def started(self, step: str) -> list[dict[str, Any]]:
        """Parameters of the children of a step, in the order they were started."""
        return [params for name, _, params, _ in self._lines() if name == step]

    def resumed(self) -> list[dict[str, Any]]:
        """Parameters of the children that found what an earlier one had kept."""
        return [params for _, _, params, found in self._lines() if found]

    def pids(self) -> list[int]:
        return [pid for _, pid, _, _ in self._lines()]

    def _lines(self) -> list[tuple[str, int, dict[str, Any], bool]]:
        return (
            [json.loads(line) for line in self.starts.read_text().splitlines()]
            if self.starts.exists()
            else []
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def shared(desk: Desk, ray_head: Path) -> Desk:
    """With the Ray that many tests share."""
    shutil.copy(ray_state.state_path(ray_head), ray_state.state_path(desk.root / ".fiat"))
    return desk


@pytest.fixture
def warm(desk: Desk) -> Iterator[Desk]:
    """With a Ray of its own that stays for all commands of a test, and may be killed."""
    ray_up.up(desk.root / ".fiat", cpus=4, gpus=0)
    yield desk
    ray_up.down(desk.root / ".fiat")


def states(run: Any) -> dict[str, str]:
    return {step["name"]: step["state"] for step in run["steps"]}


@pytest.mark.slow
def test_a_search_trains_with_the_best_reuses_it_and_grows_by_what_is_missing(shared: Desk) -> None:
    assert "best: " not in shared.fiat("plan", "specs/scale")
    run = shared.read("run", "specs/scale")
    assert run["verdict"] == "pass"
    tried = shared.started("tune")
    assert len(tried) == 4
    best = min(tried, key=lambda params: abs(params["by"] - 1) + params["shift"] / 10)
    assert shared.started("train") == [best]

    plan = shared.fiat("plan", "specs/scale")
    assert f"best: by={best['by']} shift={best['shift']}" in plan
    assert "nothing to do" in plan
    told = shared.fiat("explain", "specs/scale", "train")
    assert f"trained with the best parameters: by={best['by']} shift={best['shift']}" in told

    shared.write(trials=6)
    again = shared.read("run", "specs/scale")
    tried = shared.started("tune")
    assert len(tried) == 6
    assert len({json.dumps(params) for params in tried}) == 6
    assert states(again)["tune"] == "ran"
    now = min(tried, key=lambda params: abs(params["by"] - 1) + params["shift"] / 10)
    assert states(again)["train"] == ("reused" if now == best else "ran")
    assert shared.started("train")[-1] == now

    shared.write(trials=6, parallel=3)
    wider = states(shared.read("run", "specs/scale"))
    assert (len(shared.started("tune")), wider["train"]) == (6, "reused")

    shown = shared.read("tune", "show", "specs/scale")
    assert (shown["state"], shown["record"]["metric"], shown["record"]["mode"]) == ("done", "error", "min")
    assert len(shown["record"]["trials"]) == 6
    assert shown["record"]["best_params"] == now
    earlier = shared.read("tune", "show", run["run"])
    assert (earlier["run"], len(earlier["record"]["trials"])) == (run["run"], 4)
    text = shared.fiat("tune", "show", "--html", "tune.html")
    assert "6 trials: 6 done" in text
    page = (shared.root / "tune.html").read_text()
    assert "error of 6 trials" in page
    assert "Parameters and error of trials" in page
    assert "Importance of parameters" in page


@pytest.mark.slow
def test_a_killed_command_and_a_killed_ray_lose_no_finished_trial(warm: Desk) -> None:
    slow = warm.starts.with_name("starts.slow")
    first = warm.begin("run", "specs/scale")
    try:
        wait_for(lambda: len(warm.pids()) >= 2, "trials run", 120)
        slow.touch()
        wait_for(lambda: len(_files(warm, "done")) >= 2 and _files(warm, "running") != [], "two ended", 120)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    wait_for(lambda: not any(is_alive(pid) for pid in warm.pids()), "all children are gone", 30)
    done, cut = _files(warm, "done"), _files(warm, "running")
    shown = warm.read("tune", "show")
    assert shown["state"] == "ended"
    assert len(shown["record"]["trials"]) == len(done) + len(cut)

    begun = [params for params in warm.started("tune") if params in cut]
    before = len(warm.pids())
    second = warm.begin("run", "specs/scale")
    try:
        wait_for(lambda: len(warm.pids()) > before, "a trial that did not end runs again", 120)
        slow.unlink()
        info = ray_state.status(warm.root / ".fiat")
        assert info is not None
        os.kill(info.pid, signal.SIGKILL)
        assert second.wait(240) == 0, (warm.root / ".fiat/said").read_text()
    finally:
        second.kill()
    later = warm.started("tune")[before:]
    assert [params for params in later if params in done] == []
    assert all(params in later for params in cut)
    assert all(params in warm.resumed() for params in begun)
    assert [params for params in warm.resumed() if params in done] == []
    assert {json.dumps(params) for params in _files(warm, "done")} >= {json.dumps(params) for params in done}
    assert len(_files(warm, "done")) == 4
    assert len(warm.started("train")) == 1
    assert warm.read("tune", "show")["state"] == "done"


def _files(desk: Desk, state: str) -> list[dict[str, Any]]:
    """Parameters of the trials of that state, as the ledger has them."""
    found = []
    for path in (desk.root / ".fiat/studies").glob("*/*.json"):
        try:
            said = json.loads(path.read_text())
        except FileNotFoundError:
            continue
        if said["state"] == state:
            found.append(said["params"])
    return found


def test_compute_local_says_that_it_does_not_search(desk: Desk) -> None:
    told = desk.fiat("run", "specs/scale", code=3, compute="local")
    assert "set FIAT_COMPUTE=ray" in told
    assert desk.started("tune") == []


def test_without_a_search_there_is_none_to_show(desk: Desk) -> None:
    assert "there is no store" in desk.fiat("tune", "show", code=3)
    (desk.root / "plain.yaml").write_text("fiat: 1\nname: plain\nsteps: {a: {run: 'true', code: []}}\n")
    run = json.loads(desk.fiat("run", "plain.yaml", "--json", compute="local"))
    assert "has no search to show" in desk.fiat("tune", "show", code=2)
    with open_shelf(desk.root, read_settings({})) as shelf:
        for name in ("plain.yaml", "plain", run["run"]):
            with pytest.raises(SpecError, match="has no search to show"):
                find_study(shelf, name, desk.root)
        with pytest.raises(SpecError) as error:
            find_study(shelf, "last", desk.root)
    assert "`tune`" in error.value.hint
