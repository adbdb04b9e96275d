"""A job of several workers as one command, and what came of it as one result."""

import json
import sys
from pathlib import Path

import pytest

from fiat.builtin.gang_job import gang_job, gang_result
from fiat.ports.compute import Command, Job, JobResult, Resources
from fiat.run.model import Metric

DONE = JobResult("done", exit_code=0, metrics=(Metric("loss", 1.0, 0),))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "workers").mkdir()
    command = Command(("program", "--", "x"), tmp_path, {}, secrets=("hunter22",))
    need = Resources(cpus=2.5, memory_bytes=100, workers=2)
    return Job("r.train.1", "train", need, tmp_path / "log", tmp_path, command=command)


def summary(job: Job) -> Path:
    return job.work_dir / "workers" / "summary.json"


def test_one_command_starts_all_workers_with_what_they_need_together(job: Job) -> None:
    assert job.command is not None
    whole, command = gang_job(job, job.command)
    assert whole.resources == Resources(cpus=5.0, memory_bytes=200)
    assert command.argv[:4] == (sys.executable, "-P", "-m", "fiat.builtin.gang_launch")
    assert command.argv[5:] == ("--", "program", "--", "x")
    assert json.loads(command.argv[4]) == {
        "workers": 2,
        "threads": 2,
        "work_dir": str(job.work_dir),
        "result": None,
        "store": False,
        "stop_on_nan": False,
    }


def test_the_metrics_of_all_workers_are_one_series_without_secrets(job: Job) -> None:
    others = [[["loss", 3.0, 0], ["of_hunter22", 1.0, None]]]
    summary(job).write_text(json.dumps({"failed": None, "metrics": others}))
    assert gang_result(DONE, job).metrics == (Metric("loss", 2.0, 0), Metric("of_***", 1.0, None))


def test_the_reason_names_the_worker_that_failed(job: Job) -> None:
    result = JobResult("failed", "exited with code 3", exit_code=3)
    summary(job).write_text(json.dumps({"failed": 1, "metrics": []}))
    assert gang_result(result, job).reason == "worker 1 of 2 exited with code 3"
    assert gang_result(DONE, job).reason == ""


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"failed": 99, "metrics": [[["loss", "x", 0]]]}', '{"failed": null, "metrics": 3}'],
)
def test_a_summary_that_user_code_spoilt_changes_nothing(job: Job, text: str) -> None:
    summary(job).write_text(text)
    assert gang_result(DONE, job) == DONE
    summary(job).unlink()
    assert gang_result(DONE, job) == DONE
    summary(job).symlink_to("/etc/passwd")
    assert gang_result(DONE, job) == DONE
