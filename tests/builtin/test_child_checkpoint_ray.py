"""A worker of Ray that dies takes the attempt with it, and not what was trained."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fiat.builtin.compute_ray import RayCompute
from fiat.ports.compute import Job, JobResult
from fiat.testing.compute_jobs import WAIT_S, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from gang_stage import GangStage

WORK = """
import os, time

def train(run, path, epochs, pause_s):
    found = run.restore()
    for epoch in range(0 if found is None else found.step + 1, epochs):
        run.log(epoch, loss=1 / (epoch + 1))
        run.checkpoint({"at": epoch}, epoch)
        with open(path, "w") as file:
            file.write(f"{epoch} {os.getpid()}")
        time.sleep(pause_s)
"""


@pytest.fixture
def compute(ray_head: Path) -> Iterator[RayCompute]:
    compute = RayCompute(ray_head)
    compute.start([])
    yield compute
    compute.close()


@pytest.mark.slow
def test_a_ray_worker_that_is_killed_is_lost_and_the_next_attempt_goes_on(
    compute: RayCompute, tmp_path: Path
) -> None:
    stage, sign = GangStage(tmp_path), tmp_path / "sign"
    stage.module("net", WORK)

    def job(epochs: int, pause_s: float) -> Job:
        params = {"path": str(sign), "epochs": epochs, "pause_s": pause_s}
        asked = {"keep": 1, "every_s": 0, "metric": "", "mode": "max", "folder": str(tmp_path / "c")}
        return stage.call("train", 1, params=params, checkpoint=asked)

    future = compute.submit(job(10_000, 0.05))
    wait_for(lambda: sign.exists() and int(sign.read_text().split()[0] or 0) >= 3, "some epochs are over")
    child = psutil.Process(int(sign.read_text().split()[1]))
    worker = next(one for one in child.parents() if "".join(one.cmdline()[:1]).startswith("ray::"))
    os.kill(worker.pid, signal.SIGKILL)
    lost = future.result(WAIT_S)
    assert lost.state == "lost"
    wait_for(lambda: not child.is_running(), "what it ran is gone too")
    last = int(sign.read_text().split()[0])
    resumed: JobResult = compute.submit(job(last + 5, 0.0)).result(WAIT_S)
    assert resumed.reason == ""
    begun = next(metric.step for metric in resumed.metrics if metric.name == "loss")
    assert begun in (last + 1, last + 2)  # one may be kept that the sign does not say yet
    assert resumed.resumed == f"went on from step {begun - 1} (checkpoint {begun})"
