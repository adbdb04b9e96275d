"""GPUs (logical ones) of a Ray that Fiat started: the machine's ledger gives them, also between Ray and compute local."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from fiat.builtin import ray_state
from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.compute_ray import RayCompute
from fiat.builtin.gpu_ledger import GpuLedger
from fiat.builtin.gpu_pool import GpuPool
from fiat.ports.compute import JobResult, Resources
from fiat.testing.compute_jobs import WAIT_S, Jobs, is_alive, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from study_stage import Stage

# Says which GPUs it sees, and runs until it is told to end.
HOLD = """
import os, sys, time
open(sys.argv[1] + ".new", "w").write(f"{os.environ['CUDA_VISIBLE_DEVICES']} {os.getpid()}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
while not os.path.exists("end"):
    time.sleep(0.01)
"""


@pytest.fixture
def ray(ray_head: Path) -> Iterator[RayCompute]:
    compute = RayCompute(ray_head)
    compute.start([])
    yield compute
    compute.close()


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


@pytest.fixture
def others(ray_head: Path) -> GpuPool:
    """What another process of this machine takes its GPUs from."""
    return GpuPool(ray_head / "gpus", ("0", "1"), ("0", "1"))


def hold(compute: RayCompute | LocalCompute, jobs: Jobs, name: str, need: Resources) -> Future[JobResult]:
    future = compute.submit(jobs.python(HOLD, name, resources=need))
    wait_for(lambda: (jobs.folder / name).exists(), f"{name} runs", WAIT_S)
    return future


def test_a_job_on_ray_waits_for_gpus_that_another_process_has(
    ray: RayCompute, jobs: Jobs, others: GpuPool
) -> None:
    place = others.enter_as("other", "train", Resources(gpus=1))
    assert place.take() is not None
    both = ray.submit(jobs.python("open('both', 'w')", resources=Resources(cpus=0, gpus=2)))
    assert ray.submit(jobs.python("", resources=Resources())).result(WAIT_S).state == "done"
    wait_for(lambda: len(GpuLedger(others.folder).look()[1]) == 1, "it waits", WAIT_S)
    assert not (jobs.folder / "both").exists()
    place.leave()
    result = both.result(WAIT_S)
    assert (result.state, sorted(result.gpus)) == ("done", ["0", "1"])


def test_another_process_waits_for_gpus_that_a_job_on_ray_has(
    ray: RayCompute, jobs: Jobs, ray_head: Path, tmp_path: Path
) -> None:
    local = LocalCompute(cpus=4, gpus=2, ledger=ray_head / "gpus")
    local.start([])
    try:
        first = hold(ray, jobs, "first", Resources(cpus=0, gpus=1))
        second = hold(local, jobs, "second", Resources(cpus=0, gpus=1))
        third = local.submit(jobs.python("", resources=Resources(cpus=0, gpus=0.5)))
        assert not third.done()
        seen = {(tmp_path / name).read_text().split()[0] for name in ("first", "second")}
        (tmp_path / "end").touch()
        results = [future.result(WAIT_S) for future in (first, second, third)]
    finally:
        local.close()
    assert seen == {"0", "1"}
    assert [result.state for result in results] == ["done"] * 3


def test_a_job_on_ray_that_waits_for_gpus_can_be_cancelled(
    ray: RayCompute, jobs: Jobs, others: GpuPool
) -> None:
    place = others.enter_as("other", "train", Resources(gpus=2))
    assert place.take() is not None
    job = jobs.python("open('ran', 'w')", resources=Resources(cpus=0, gpus=0.5))
    waiting = ray.submit(job)
    wait_for(lambda: len(GpuLedger(others.folder).look()[1]) == 1, "it waits", WAIT_S)
    ray.cancel(job.id)
    assert waiting.result(WAIT_S).state == "cancelled"
    wait_for(lambda: GpuLedger(others.folder).look()[1] == (), "it waits no more", WAIT_S)
    place.leave()
    assert not (jobs.folder / "ran").exists()


def test_a_job_on_ray_with_gpus_can_be_cancelled_while_it_runs(
    ray: RayCompute, jobs: Jobs, others: GpuPool
) -> None:
    job = jobs.python(HOLD, "first", resources=Resources(cpus=0, gpus=2))
    future = ray.submit(job)
    wait_for(lambda: (jobs.folder / "first").exists(), "it runs", WAIT_S)
    ray.cancel(job.id)
    assert future.result(WAIT_S).state == "cancelled"
    wait_for(lambda: GpuLedger(others.folder).look() == ((), ()), "its GPUs are free", WAIT_S)


def test_fractions_share_a_gpu_and_a_whole_one_stays_whole(
    ray: RayCompute, jobs: Jobs, tmp_path: Path
) -> None:
    halves = [hold(ray, jobs, f"half{n}", Resources(cpus=0, gpus=0.5)) for n in range(2)]
    whole = hold(ray, jobs, "whole", Resources(cpus=0, gpus=1))
    (tmp_path / "end").touch()
    results = [future.result(WAIT_S) for future in (*halves, whole)]
    assert [result.gpus for result in results] == [("0",), ("0",), ("1",)]


@pytest.mark.slow
def test_workers_on_ray_get_a_gpu_each_and_all_together(
    ray: RayCompute, jobs: Jobs, others: GpuPool, tmp_path: Path
) -> None:
    code = "import os, json; json.dump(dict(os.environ), open('seen' + os.environ['RANK'], 'w'))"
    need = Resources(cpus=1, gpus=1, workers=2)
    place = others.enter_as("other", "train", Resources(gpus=0.25))
    assert place.take() is not None
    gang = ray.submit(jobs.python(code, resources=need))
    wait_for(lambda: len(GpuLedger(others.folder).look()[1]) == 1, "it waits", WAIT_S)
    place.leave()
    result = gang.result(2 * WAIT_S)  # Ray Train is loaded first
    assert (result.state, sorted(result.gpus)) == ("done", ["0", "1"]), result.reason
    seen = [json.loads((tmp_path / f"seen{rank}").read_text()) for rank in range(2)]
    assert {env["CUDA_VISIBLE_DEVICES"] for env in seen} == {"0", "1"}
    assert all(env["HIP_VISIBLE_DEVICES"] == env["CUDA_VISIBLE_DEVICES"] for env in seen)


def test_gpus_of_a_ray_worker_that_is_killed_are_free_when_its_job_has_ended(
    ray: RayCompute, jobs: Jobs, others: GpuPool, tmp_path: Path, ray_head: Path
) -> None:
    future = hold(ray, jobs, "first", Resources(cpus=0, gpus=2))
    job = int((tmp_path / "first").read_text().split()[1])
    info = ray_state.status(ray_head)
    assert info is not None
    worker = next(pid for pid in _above(job) if b"ray::" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    result = future.result(WAIT_S)
    assert result.state == "lost"
    with others.claimed(jobs.python("", resources=Resources(gpus=2)), threading.Event()) as grant:
        assert grant is not None
        assert not is_alive(job)


@pytest.mark.slow
def test_gpus_of_a_ray_host_that_is_killed_are_free_when_its_jobs_have_ended(
    jobs: Jobs, tmp_path: Path
) -> None:
    compute = RayCompute(tmp_path / "state", cpus=1, gpus=2, ledger=tmp_path / "gpus")
    compute.start([])
    others = GpuPool(tmp_path / "gpus", ("0", "1"), ("0", "1"))
    try:
        future = hold(compute, jobs, "first", Resources(cpus=0, gpus=2))
        job = int((tmp_path / "first").read_text().split()[1])
        (holder,), _ = GpuLedger(others.folder).look()
        os.kill(holder.pid, signal.SIGKILL)
        with others.claimed(jobs.python("", resources=Resources(gpus=2)), threading.Event()) as grant:
            assert grant is not None
            assert not is_alive(job)
        assert future.result(WAIT_S).state == "lost"
    finally:
        compute.close()


def test_gpus_of_a_search_that_ends_at_its_limit_are_free_for_the_training_behind_it(
    ray_head: Path, others: GpuPool, tmp_path: Path
) -> None:
    stage, space = Stage(tmp_path), {"x": {"choice": [1, 2, 3]}}
    need = Resources(cpus=0.1, gpus=1)
    job = stage.job("time.sleep(600)", space, need, sampler="grid", trials=3, timeout_s=3.0)
    result = stage.run(ray_head, job)
    assert result.reason == "no trial ended within the search's limit of 3 s"
    wait_for(lambda: GpuLedger(others.folder).look() == ((), ()), "their GPUs are free", WAIT_S)


@pytest.mark.slow
def test_a_ray_at_an_address_places_gpus_itself(
    ray_head: Path, jobs: Jobs, others: GpuPool, tmp_path: Path
) -> None:
    info = ray_state.status(ray_head)
    assert info is not None
    env = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": info.token_path}
    compute = RayCompute(tmp_path / "state", address=info.address, env=env)
    place = others.enter_as("other", "train", Resources(gpus=2))
    assert place.take() is not None
    try:
        assert compute.start([]).gpus == 2
        result = compute.submit(jobs.python("", resources=Resources(cpus=0, gpus=1))).result(WAIT_S)
    finally:
        compute.close()
        place.leave()
    assert result.state == "done"
    assert len(result.gpus) == 1


def _above(pid: int) -> list[int]:
    """The process and those above it."""
    found = []
    while pid > 1:
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return found
