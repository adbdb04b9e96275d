from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.ports.compute import Compute, Job, JobResult
from fiat.testing.compute_basics import ComputeBasics
from fiat.testing.compute_jobs import Jobs
from fiat.testing.fake_compute import FakeCompute


class TestFakeCompute(ComputeBasics):
    @pytest.fixture
    def compute(self, canary: None) -> Iterator[Compute]:
        compute = FakeCompute()
        yield compute
        compute.close()


def test_a_told_step_ends_as_told_and_then_runs(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    job = jobs.python("raise SystemExit(7)")
    compute = FakeCompute(told={job.step: [JobResult("lost", "the worker died"), JobResult("done")]})
    compute.start([])
    assert [compute.submit(job).result().state for _ in range(3)] == ["lost", "done", "failed"]
    assert compute.ran == [job.id] * 3


def test_a_held_step_waits_for_its_release_or_its_end(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    held: list[Job] = [jobs.python("pass") for _ in range(3)]
    compute = FakeCompute(held=[job.step for job in held])
    futures = [compute.submit(job) for job in held]
    assert not any(future.done() for future in futures)
    compute.release(held[0].step)
    compute.cancel(held[1].id)
    compute.close()
    assert [future.result(0).state for future in futures] == ["done", "cancelled", "cancelled"]
