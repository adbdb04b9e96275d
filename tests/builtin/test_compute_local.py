import json
import os
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.gpu_ledger import GpuLedger
from fiat.ports.compute import Compute, JobResult, Resources, Study
from fiat.testing.compute_jobs import NO_GPU, WAIT_S, Jobs, plant_step, wait_for
from fiat.testing.compute_suite import ComputeSuite


class TestLocalCompute(ComputeSuite):
    @pytest.fixture
    def compute(self, canary: None, tmp_path: Path) -> Iterator[Compute]:
        compute = LocalCompute(cpus=4, gpus=2, ledger=tmp_path / "gpus")
        yield compute
        compute.close()


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def local(tmp_path: Path, cpus: float = 8, gpus: int = 2) -> LocalCompute:
    compute = LocalCompute(cpus=cpus, gpus=gpus, ledger=tmp_path / "gpus")
    compute.start([])
    return compute


# Says that it runs, and does so until it is told to end.
HOLD = """
import os, sys, time
open(sys.argv[1], "w").write(os.environ["CUDA_VISIBLE_DEVICES"])
while not os.path.exists("end"):
    time.sleep(0.01)
"""


def hold(compute: LocalCompute, jobs: Jobs, name: str, need: Resources) -> Future[JobResult]:
    future = compute.submit(jobs.python(HOLD, name, resources=need))
    wait_for(lambda: (jobs.folder / name).exists(), f"{name} runs", WAIT_S)
    return future


def test_two_computes_share_the_gpus_of_a_machine(jobs: Jobs, tmp_path: Path) -> None:
    one, two = local(tmp_path), local(tmp_path)
    try:
        first = hold(one, jobs, "first", Resources(gpus=1))
        second = hold(two, jobs, "second", Resources(gpus=1))
        third = two.submit(jobs.python("", resources=Resources(gpus=1)))
        cpu_only = two.submit(jobs.python("", resources=Resources())).result(WAIT_S)
        assert not third.done()
        (tmp_path / "end").touch()
        results = [future.result(WAIT_S) for future in (first, second, third)]
    finally:
        one.close()
        two.close()
    assert cpu_only.state == "done"
    assert [result.state for result in results] == ["done"] * 3
    assert {results[0].gpus, results[1].gpus} == {("0",), ("1",)}


def test_a_job_that_waits_for_another_compute_can_be_cancelled(jobs: Jobs, tmp_path: Path) -> None:
    one, two = local(tmp_path), local(tmp_path)
    try:
        hold(one, jobs, "first", Resources(gpus=2))
        job = jobs.python("", resources=Resources(gpus=0.5))
        waiting = two.submit(job)
        two.cancel(job.id)
        assert waiting.result(WAIT_S).state == "cancelled"
    finally:
        one.close()
        two.close()


@pytest.mark.parametrize("need", [Resources(cpus=1), Resources(cpus=1, gpus=1)])
def test_who_waits_is_served_by_priority_and_then_by_age(jobs: Jobs, tmp_path: Path, need: Resources) -> None:
    compute = local(tmp_path, cpus=1, gpus=1)
    code = "import sys; open('order', 'a').write(sys.argv[1])"
    try:
        hold(compute, jobs, "first", need)
        futures = [
            compute.submit(jobs.python(code, name, resources=replace(need, priority=priority)))
            for name, priority in (("a", 0), ("b", 2), ("c", -1), ("d", 2), ("e", 0))
        ]
        (tmp_path / "end").touch()
        assert {future.result(WAIT_S).state for future in futures} == {"done"}
    finally:
        compute.close()
    assert (tmp_path / "order").read_text() == "bdaec"


def test_a_job_that_waits_for_cores_keeps_no_gpu_from_another_process(jobs: Jobs, tmp_path: Path) -> None:
    one, two = local(tmp_path, cpus=1), local(tmp_path, cpus=1)
    try:
        hold(one, jobs, "first", Resources(cpus=1))
        early = one.submit(jobs.python("", resources=Resources(cpus=1, gpus=2)))
        late = two.submit(jobs.python("", resources=Resources(cpus=1, gpus=2))).result(WAIT_S)
        assert (late.state, early.done()) == ("done", False)
        (tmp_path / "end").touch()
        assert early.result(WAIT_S).state == "done"
    finally:
        one.close()
        two.close()


def test_who_has_waited_long_takes_gpus_first_and_then_waits_for_cores(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fiat.builtin.gpu_place.PATIENCE_S", 0.0)
    one, two = local(tmp_path, cpus=1), local(tmp_path, cpus=1)
    ledger = GpuLedger(tmp_path / "gpus")
    try:
        hold(one, jobs, "first", Resources(cpus=1))
        early = one.submit(jobs.python("open('early', 'w')", resources=Resources(cpus=1, gpus=2)))
        late = two.submit(jobs.python("assert open('early')", resources=Resources(cpus=1, gpus=2)))
        behind = one.submit(jobs.python("assert open('early')", resources=Resources(cpus=1)))
        ((held,), (waiting,)) = ledger.look()
        assert (held.keys, waiting.pid) == (("0", "1"), os.getpid())
        (tmp_path / "end").touch()
        assert {future.result(WAIT_S).state for future in (early, late, behind)} == {"done"}
    finally:
        one.close()
        two.close()
    assert ledger.look() == ((), ())


def test_each_worker_sees_its_own_gpu_and_all_start_together(jobs: Jobs, tmp_path: Path) -> None:
    compute = local(tmp_path)
    code = "import os; open('seen' + os.environ['RANK'], 'w').write(os.environ['CUDA_VISIBLE_DEVICES'])"
    need = Resources(cpus=1, gpus=1, workers=2)
    try:
        first = hold(compute, jobs, "first", Resources(gpus=1))
        gang = compute.submit(jobs.python(code, resources=need))
        small = compute.submit(jobs.python("", resources=Resources(gpus=1)))
        assert not small.done(), "it would take what the gang waits for"
        (tmp_path / "end").touch()
        result = gang.result(WAIT_S)
        assert (first.result(WAIT_S).state, small.result(WAIT_S).state) == ("done", "done")
    finally:
        compute.close()
    assert (result.state, result.gpus) == ("done", ("0", "1"))
    assert [(tmp_path / f"seen{rank}").read_text() for rank in range(2)] == ["0", "1"]


def test_a_job_without_gpus_sees_none_by_any_name(jobs: Jobs, tmp_path: Path) -> None:
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1", "HIP_VISIBLE_DEVICES": "0"}
    compute = LocalCompute(cpus=1, env=env, ledger=tmp_path / "gpus")
    assert compute.start([]).gpus == 2
    code = "import os, json; json.dump(dict(os.environ), open('seen', 'w'))"
    try:
        asked = {"CUDA_VISIBLE_DEVICES": "0", "PATH": "/usr/bin:/bin"}
        assert compute.submit(jobs.python(code, env=asked)).result(WAIT_S).state == "done"
        seen = json.loads((tmp_path / "seen").read_text())
    finally:
        compute.close()
    assert {name: seen[name] for name in NO_GPU} == NO_GPU
    assert not (tmp_path / "gpus").exists()


def test_a_trusted_step_sees_no_gpu(jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_step(tmp_path / "plugins")
    monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
    compute = LocalCompute(
        cpus=1, env={**os.environ, "CUDA_VISIBLE_DEVICES": "0,1"}, ledger=tmp_path / "gpus"
    )
    compute.start([])
    try:
        result = compute.submit(jobs.trusted("work")).result(WAIT_S)
    finally:
        compute.close()
    assert result.outcome is not None
    assert result.outcome.facts["gpus"] == ""


def test_a_ledger_that_can_not_be_used_is_told_as_the_end_of_the_job(jobs: Jobs, tmp_path: Path) -> None:
    compute = local(tmp_path)
    (tmp_path / "gpus").write_text("")
    try:
        result = compute.submit(jobs.python("", resources=Resources(gpus=1))).result(WAIT_S)
        assert compute.submit(jobs.python("")).result(WAIT_S).state == "done"
    finally:
        compute.close()
    assert result.state == "failed"
    assert str(tmp_path / "gpus") in result.reason
    assert "FIAT_GPU_LEDGER" in result.mend


def test_a_ledger_that_breaks_while_a_job_waits_ends_it(jobs: Jobs, tmp_path: Path) -> None:
    compute = local(tmp_path)
    try:
        hold(compute, jobs, "first", Resources(gpus=2))
        waiting = compute.submit(jobs.python("", resources=Resources(gpus=1)))
        (tmp_path / "gpus").chmod(0o777)
        assert waiting.result(WAIT_S).state == "failed"
    finally:
        compute.close()


def test_a_search_says_that_it_needs_ray(jobs: Jobs, tmp_path: Path) -> None:
    study = Study({}, "m", "max", 1, 1, "none", "tpe", 0, None, tmp_path, tmp_path / "b", tmp_path / "t")
    compute = local(tmp_path)
    try:
        result = compute.submit(replace(jobs.python(""), study=study)).result(WAIT_S)
    finally:
        compute.close()
    assert result.state == "failed"
    assert "Ray" in result.reason
    assert "FIAT_COMPUTE" in result.mend
