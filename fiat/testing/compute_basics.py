"""What every compute and every fake of it must do; the rest is in `compute_suite.py`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.ports.compute import Command, Compute, Job, JobResult, Resources
from fiat.testing.compute_jobs import CANARY, NO_GPU, WAIT_S, Jobs, plant_step


class ComputeBasics:
    """What a compute and a fake of it must do."""

    @pytest.fixture(autouse=True)
    def canary(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Something secret in our environment, and the suite's step on our path, before the compute is made."""
        monkeypatch.setenv(CANARY, "must not be seen")
        plant_step(tmp_path / "plugins")
        monkeypatch.syspath_prepend(str(tmp_path / "plugins"))

    @pytest.fixture
    def compute(self, canary: None) -> Iterator[Compute]:
        """The compute under test: override it."""
        raise NotImplementedError

    @pytest.fixture
    def jobs(self, tmp_path: Path) -> Jobs:
        """Makes jobs."""
        return Jobs(tmp_path)

    def run(self, compute: Compute, job: Job) -> JobResult:
        """Start, submit, wait."""
        compute.start([job.resources])
        return compute.submit(job).result(WAIT_S)

    def test_a_job_that_works_is_done_with_its_metrics_log_and_result(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        code = (
            "import sys; print('FIAT_METRIC loss=0.5 step=1'); print('hällo');"
            "print('FIAT_METRIC loss=nan'); print('to stderr', file=sys.stderr);"
            "open('result.json', 'w').write('{\"answer\": 42}')"
        )
        job = jobs.python(code)
        assert job.command is not None
        command = Command(
            job.command.argv, job.command.cwd, {"LC_ALL": "C.UTF-8"}, jobs.folder / "result.json"
        )
        job = Job(job.id, job.step, job.resources, job.log_path, job.work_dir, command=command)
        result = self.run(compute, job)
        assert (result.state, result.reason, result.exit_code) == ("done", "", 0)
        assert [(metric.name, metric.step) for metric in result.metrics] == [("loss", 1), ("loss", None)]
        assert result.metrics[0].value == 0.5
        assert result.metrics[1].value != result.metrics[1].value
        assert result.result == {"answer": 42}
        assert result.seconds > 0
        assert {"hällo", "to stderr"} <= set(jobs.log(job).splitlines())

    def test_an_exit_code_is_a_failure_that_names_it(self, compute: Compute, jobs: Jobs) -> None:
        result = self.run(compute, jobs.python("raise SystemExit(3)"))
        assert (result.state, result.reason, result.exit_code) == ("failed", "exited with code 3", 3)

    def test_a_program_that_is_not_there_is_a_failure_that_names_it(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.python("")
        job = Job(
            job.id,
            job.step,
            job.resources,
            job.log_path,
            job.work_dir,
            command=Command(("no-such-program",), jobs.folder, {"PATH": "/usr/bin"}),
        )
        result = self.run(compute, job)
        assert result.state == "failed"
        assert "no-such-program" in result.reason

    def test_user_code_sees_its_declared_environment_and_no_gpu(self, compute: Compute, jobs: Jobs) -> None:
        code = "import os, json; open('env.json', 'w').write(json.dumps(dict(os.environ)))"
        job = jobs.python(code, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MINE": "1"})
        assert self.run(compute, job).state == "done"
        seen = (jobs.folder / "env.json").read_text()
        assert json.loads(seen) == {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MINE": "1", **NO_GPU}

    def test_more_than_there_is_is_refused_before_anything_starts(self, compute: Compute, jobs: Jobs) -> None:
        with pytest.raises(EnvironmentFault, match=r"64 GPUs \(there are 2\)") as caught:
            compute.start([Resources(), Resources(gpus=64)])
        assert caught.value.hint
        with pytest.raises(EnvironmentFault, match="9999 CPUs"):
            compute.start([Resources(cpus=9999)])

    def test_a_trusted_step_gives_its_outcome_and_writes_its_outputs(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.trusted("work")
        result = self.run(compute, job)
        assert (result.state, result.reason) == ("done", "")
        assert result.outcome is not None
        assert [(metric.name, metric.value) for metric in result.metrics] == [("rows", 3.0)]
        assert job.task is not None
        assert job.task.outputs["out"].exists()
        assert "step says work" in jobs.log(job)

    def test_a_trusted_step_that_refuses_keeps_its_sentence_and_class(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.trusted("spec")
        result = self.run(compute, job)
        assert (result.state, result.reason) == ("failed", "the label is missing (name one)")
        error = result.result["error"]
        assert isinstance(error, dict)
        assert (error["class"], error["hint"], error["exit_code"]) == ("SpecError", "name one", 2)
        assert "Traceback" not in jobs.log(job)

    def test_a_bug_in_a_trusted_step_is_a_failure_with_the_traceback_in_the_log(
        self, compute: Compute, jobs: Jobs
    ) -> None:
        job = jobs.trusted("bug")
        result = self.run(compute, job)
        assert result.state == "failed"
        assert "ZeroDivisionError" in result.reason
        assert "Traceback" in jobs.log(job)

    def test_closing_twice_and_cancelling_what_is_unknown_is_fine(self, compute: Compute) -> None:
        compute.start([])
        compute.cancel("nobody")
        compute.close()
        compute.close()
