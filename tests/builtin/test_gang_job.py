"""A job of several workers as one command, and what came of it as one result."""

import json
import sys
from dataclasses import replace
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


def path(job: Job) -> Path:
    return job.work_dir / "workers" / "summary.json"


def summarize(job: Job, failed: int | None, **more: object) -> None:
    path(job).write_text(json.dumps({"failed": failed, "ended": [], "metrics": [], "seen": [], **more}))


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
    summarize(job, None, metrics=[[["loss", 3.0, 0], ["of_hunter22", 1.0, None]]])
    assert gang_result(DONE, job).metrics == (Metric("loss", 2.0, 0), Metric("of_***", 1.0, None))


def test_what_any_worker_was_seen_to_read_counts_without_secrets(job: Job) -> None:
    summarize(job, None, seen=[{"observed": {"read": ["1.csv", "of_hunter22"]}}, 3])
    result = replace(DONE, result={"observed": {"read": ["0.csv"]}})
    assert gang_result(result, job).result == {"observed": {"read": ["0.csv", "1.csv", "of_***"]}}


def test_the_reason_names_the_worker_that_failed(job: Job) -> None:
    result = JobResult("failed", "exited with code 3", exit_code=3)
    summarize(job, 1)
    assert gang_result(result, job).reason == "worker 1 of 2 exited with code 3"
    assert gang_result(DONE, job).reason == ""


def test_a_worker_that_waited_for_one_that_had_ended_is_told_so(job: Job) -> None:
    result = JobResult("failed", "exited with code 1", exit_code=1)
    job.log_path.write_text("RuntimeError: Connection closed by peer [127.0.0.1]:1234\n")
    summarize(job, 0, ended=[1, 7])
    assert gang_result(result, job).reason == (
        "worker 0 of 2 exited with code 1: worker 1 had ended before it; "
        "all workers have to take as many steps as each other"
    )


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"failed": 99, "metrics": [[["loss", "x", 0]]]}', '{"failed": null, "metrics": 3}'],
)
def test_a_summary_that_user_code_spoilt_changes_nothing_and_is_told(job: Job, text: str) -> None:
    path(job).write_text(text)
    assert gang_result(DONE, job) == DONE
    path(job).unlink()
    assert gang_result(DONE, job) == DONE
    path(job).symlink_to("/etc/passwd")
    assert gang_result(DONE, job) == DONE
    told = job.log_path.read_text()
    assert (
        told.count("[fiat] metrics are those of worker 0 alone: what the others logged can't be read (") == 3
    )


def test_workers_that_were_ended_with_who_started_them_leave_no_summary(job: Job) -> None:
    ended = JobResult("failed", "ran longer than its limit of 1 s")
    assert gang_result(ended, job) == ended
    assert not job.log_path.exists()
