"""What every compute must do: derive a test class from `ComputeSuite` and give it a `compute` fixture.

    class TestMine(ComputeSuite):
        @pytest.fixture
        def compute(self, canary):
            compute = MyCompute(cpus=4, gpus=2)
            yield compute
            compute.close()

The compute must have at least four CPUs and exactly two GPUs (logical ones do). `ComputeBasics` is the part
that an in-process fake can pass too.
"""

from concurrent.futures import Future
from pathlib import Path

from fiat.ports.compute import Compute, Job, JobResult, Resources
from fiat.testing.compute_basics import ComputeBasics
from fiat.testing.compute_jobs import (
    DAEMON,
    FAMILY,
    MEET,
    NOISE,
    SPAN,
    WAIT_S,
    Jobs,
    is_alive,
    read_pids,
    wait_for,
)


class ComputeSuite(ComputeBasics):
    """What a real compute must do besides."""

    def test_a_signal_is_named(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.python("import os; os.kill(os.getpid(), 11)"))
        assert (result.state, result.exit_code) == ("failed", None)
        assert result.reason.startswith("killed by signal 11 (SIGSEGV)")

    def test_a_job_over_its_time_is_ended_and_says_so(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.python("import time; print('on', flush=True); time.sleep(60)", timeout_s=1.0)
        result = self.run(compute, job)
        assert (result.state, result.reason) == ("failed", "ran longer than its limit of 1 s")
        assert 0.9 < result.seconds < 20
        assert jobs.log(job).startswith("on\n")

    def test_a_job_over_its_memory_is_ended_and_says_so(self, compute: Compute, jobs: Jobs) -> None:
        code = "import time; held = bytearray(b'x' * 300_000_000); time.sleep(60)"
        job = jobs.python(code, resources=Resources(memory_bytes=100 << 20))
        result = self.run(compute, job)
        assert result.state == "failed"
        assert result.reason.endswith("of memory, more than its limit of 100 MiB")
        assert result.peak_memory_bytes > 100 << 20

    def test_a_cancelled_job_is_gone_with_all_below_it(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.python(FAMILY)
        future = self._running(compute, job, jobs.folder / "pids")
        pids = read_pids(jobs.folder / "pids")
        compute.cancel(job.id)
        assert future.result(WAIT_S).state == "cancelled"
        assert [pid for pid in pids if is_alive(pid)] == []

    def test_a_job_that_waits_for_resources_can_be_cancelled(self, compute: Compute, jobs: Jobs) -> None:
        first = jobs.python(FAMILY, resources=Resources(cpus=0, gpus=2))
        second = jobs.python("open('ran', 'w')", resources=Resources(cpus=0, gpus=1))
        running = self._running(compute, first, jobs.folder / "pids")
        waiting = compute.submit(second)
        compute.cancel(second.id)
        assert waiting.result(WAIT_S).state == "cancelled"
        assert not running.done()
        compute.cancel(first.id)
        assert running.result(WAIT_S).state == "cancelled"
        assert not (jobs.folder / "ran").exists()

    def test_closing_ends_everything(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.python(FAMILY)
        future = self._running(compute, job, jobs.folder / "pids")
        pids = read_pids(jobs.folder / "pids")
        compute.close()
        assert future.result(WAIT_S).state in ("cancelled", "lost")
        wait_for(lambda: not any(is_alive(pid) for pid in pids), "the family is gone", 5)

    def test_a_daemon_that_a_job_leaves_behind_is_killed(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.python(DAEMON))
        assert result.state == "done"
        (pid,) = read_pids(jobs.folder / "pids")
        assert not is_alive(pid)

    def test_independent_jobs_run_side_by_side(self, compute: Compute, jobs: Jobs) -> None:
        compute.start([Resources()])
        futures = [compute.submit(jobs.python(MEET, mine, other)) for mine, other in ("ab", "ba")]
        assert [future.result(WAIT_S).state for future in futures] == ["done", "done"]

    def test_gpus_are_never_shared_and_never_more_than_there_are(self, compute: Compute, jobs: Jobs) -> None:
        compute.start([Resources(gpus=2)])
        one = Resources(cpus=0, gpus=1)
        futures = [compute.submit(jobs.python(SPAN, f"span{n}", resources=one)) for n in range(4)]
        both = compute.submit(jobs.python(SPAN, "span4", resources=Resources(cpus=0, gpus=2)))
        results = [future.result(WAIT_S) for future in (*futures, both)]
        assert {result.state for result in results} == {"done"}
        spans: list[tuple[int, int, set[str]]] = []
        for n in range(5):
            words = (jobs.folder / f"span{n}").read_text().split()
            spans.append((int(words[0]), int(words[1]), set(words[2].split(","))))
            assert set(results[n].gpus) == spans[n][2]
        assert [len(gpus) for _, _, gpus in spans] == [1, 1, 1, 1, 2]
        for n, (start, end, gpus) in enumerate(spans):
            for later_start, later_end, others in spans[n + 1 :]:
                if start < later_end and later_start < end:
                    assert not gpus & others

    def test_endless_lines_control_bytes_and_bad_utf8_end_in_a_readable_log(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.python(NOISE)
        result = self.run(compute, job)
        assert result.state == "done"
        log = jobs.log(job)
        assert len(log) < 200_000
        assert "line cut after 65536 bytes" in log
        assert "\x1b" not in log
        assert "\x07" not in log
        assert log.splitlines()[-1] == "the end"
        assert [metric.value for metric in result.metrics] == [7.0]

    def test_a_trusted_step_runs_warm_and_a_crash_ends_only_itself(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        crash = jobs.trusted("crash")
        result = self.run(compute, crash)
        assert result.state == "failed"
        assert "SIGSEGV" in result.reason
        done = [self.run(compute, jobs.trusted("work")) for _ in range(2)]
        assert [result.state for result in done] == ["done", "done"]

    def test_a_trusted_step_sees_nothing_of_our_environment(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.trusted("work")
        assert self.run(compute, job).state == "done"
        assert job.task is not None
        assert job.task.outputs["out"].read_text() == "clean"

    def test_a_trusted_step_keeps_to_its_time(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.trusted("sleep", timeout_s=1.0))
        assert (result.state, result.reason) == ("failed", "ran longer than its limit of 1 s")

    def test_a_trusted_step_can_be_cancelled(self, compute: Compute, jobs: Jobs) -> None:
        job = jobs.trusted("sleep")
        compute.start([job.resources])
        future = compute.submit(job)
        wait_for(lambda: job.log_path.exists() and "says" in jobs.log(job), "the step runs")
        compute.cancel(job.id)
        assert future.result(WAIT_S).state == "cancelled"

    def _running(self, compute: Compute, job: Job, sign: Path) -> Future[JobResult]:
        compute.start([job.resources])
        future = compute.submit(job)
        wait_for(lambda: sign.exists() and sign.read_text().endswith("end"), f"{job.id} runs")
        return future
