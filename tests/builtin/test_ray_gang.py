"""Several workers on Ray: the same training as one, placed together, and one end for all."""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from fiat.builtin import job_tree
from fiat.builtin.compute_ray import RayCompute
from fiat.builtin.ray_state import status
from fiat.ports.compute import Job, JobResult, Resources
from fiat.testing.compute_jobs import is_alive, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from gang_stage import Alone, GangStage, losses, value

pytestmark = pytest.mark.slow
PATIENCE_S = 180.0
DUMP = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


@pytest.fixture
def compute(ray_head: Path) -> Iterator[RayCompute]:
    compute = RayCompute(ray_head)
    compute.start([])
    yield compute
    compute.close()


@pytest.fixture
def stage(tmp_path: Path) -> GangStage:
    return GangStage(tmp_path)


def run(compute: RayCompute, job: Job) -> JobResult:
    return compute.submit(job).result(PATIENCE_S)


def waiting(compute: RayCompute, stage: GangStage, path: Path) -> tuple[Job, "Future[JobResult]", list[int]]:
    """A job whose two workers wait, its future, and the workers' processes."""
    job = stage.shell(f"echo $$ >> {path}; exec sleep 100", 2)
    future = compute.submit(job)
    wait_for(lambda: path.exists() and len(path.read_text().split()) == 2, "both workers wait", PATIENCE_S)
    return job, future, [int(pid) for pid in path.read_text().split()]


def train_worker_of(pid: int) -> int:
    """The Ray Train worker above a process."""
    while "RayTrainWorker" not in Path(f"/proc/{pid}/cmdline").read_text():
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid


def leads(ray_head: Path) -> bool:
    """Whether a run of Ray Train is going on in the tests' own Ray."""
    host = status(ray_head)
    assert host is not None
    names = []
    for pid in job_tree.descendants(host.keeper_pid):
        with contextlib.suppress(OSError):
            names.append(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
    return any(name.startswith("ray::_Controller") for name in names)


def test_two_workers_learn_what_one_learns_and_leave_nothing_elsewhere(
    compute: RayCompute, stage: GangStage, alone: Alone
) -> None:
    results_folder = Path.home() / "ray_results"
    there_before = results_folder.exists()
    job = stage.train(2)
    result = run(compute, job)
    assert (result.state, result.reason) == ("done", "")
    assert losses(result) == pytest.approx(alone.losses, rel=1e-4)
    assert value(result, "weights") == pytest.approx(alone.weights, abs=1e-3)
    assert value(result, "rank") == 0.5
    assert json.loads((job.work_dir / "out/model/model.json").read_text()) == alone.model
    log = job.log_path.read_text()
    assert "rank 0 of 2 DistributedDataParallel True" in log
    assert "rank 1" not in log
    assert "listens at 0100007F" in log
    observed = result.result["observed"]
    assert isinstance(observed, dict)
    assert {"code/net.py", "rows.0", "rows.1"} <= set(observed["read"])
    assert "made" not in observed["read"]
    assert result.peak_memory_bytes > 1.5 * alone.peak_memory_bytes
    assert results_folder.exists() == there_before


def test_a_worker_that_fails_ends_all_and_says_why(compute: RayCompute, stage: GangStage) -> None:
    job = stage.call("fail", 2)
    result = run(compute, job)
    assert (result.state, result.reason) == ("failed", "worker 1 of 2 exited with code 1")
    error = result.result["error"]
    assert isinstance(error, dict)
    assert (error["type"], error["message"]) == ("ValueError", "this worker is wrong")
    lines = job.log_path.read_text().splitlines()
    told = lines.index("[fiat] worker 1 of 2 failed; its last lines:")
    assert lines[told + 1] == "[worker 1] before the fall"
    assert "[worker 1] ValueError: this worker is wrong" in lines[told:]


def test_a_train_worker_that_dies_makes_the_job_worth_another_try(
    compute: RayCompute, stage: GangStage, tmp_path: Path
) -> None:
    _, future, pids = waiting(compute, stage, tmp_path / "pids")
    os.kill(train_worker_of(pids[1]), signal.SIGKILL)
    began = time.monotonic()
    result = future.result(PATIENCE_S)
    assert result.state == "lost"
    assert result.reason.startswith("the Ray worker that ran worker ")
    assert time.monotonic() - began < 60
    wait_for(lambda: not any(map(is_alive, pids)), "both workers are gone")


def test_cancelling_ends_all_workers(compute: RayCompute, stage: GangStage, tmp_path: Path) -> None:
    job, future, pids = waiting(compute, stage, tmp_path / "pids")
    compute.cancel(job.id)
    assert future.result(60).state == "cancelled"
    wait_for(lambda: not any(map(is_alive, pids)), "both workers are gone")


def test_workers_that_can_not_all_be_placed_take_nothing_and_can_be_cancelled(
    compute: RayCompute, stage: GangStage, ray_head: Path
) -> None:
    gang = stage.shell("sleep 100", 3, Resources(cpus=2, workers=3))
    future = compute.submit(gang)
    wait_for(lambda: leads(ray_head), "Ray Train wants to place it", PATIENCE_S)
    time.sleep(2)
    assert run(compute, stage.shell("true", 1, Resources(cpus=4))).state == "done"
    assert not future.done()
    compute.cancel(gang.id)
    assert future.result(60).state == "cancelled"
    wait_for(lambda: not leads(ray_head), "Ray Train has ended", 60)
    assert run(compute, stage.shell("true", 1, Resources(cpus=4))).state == "done"


def test_a_command_runs_in_every_worker_with_its_own_gpu(compute: RayCompute, stage: GangStage) -> None:
    text = f'python -I -S -c "{DUMP}" {{out}}; echo FIAT_METRIC rank=$RANK step=1'
    job = stage.shell(text, 2, Resources(gpus=1, workers=2))
    result = run(compute, job)
    assert (result.state, result.reason) == ("done", "")
    assert value(result, "rank") == 0.5
    places = (job.work_dir / "out/text", job.work_dir / "workers/1/out/text")
    found = [json.loads(path.read_text()) for path in places]
    assert [(seen["RANK"], seen["WORLD_SIZE"], seen["LOCAL_RANK"]) for seen in found] == [
        ("0", "2", "0"),
        ("1", "2", "0"),
    ]
    assert len({seen["CUDA_VISIBLE_DEVICES"] for seen in found}) == 2
    assert sorted(result.gpus) == sorted(seen["CUDA_VISIBLE_DEVICES"] for seen in found)
    assert len({(seen["MASTER_ADDR"], seen["MASTER_PORT"]) for seen in found}) == 1
