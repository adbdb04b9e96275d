"""A job of several workers as one command on one machine, and what came of it as one result."""

import json
import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

from fiat.builtin.gang_launch import SUMMARY
from fiat.builtin.gang_metrics import mean_metrics
from fiat.builtin.gang_seat import FOLDER, threads_of, whole_need
from fiat.ports.compute import Command, Job, JobResult
from fiat.redaction import Redactor
from fiat.run.model import Metric

CHILD = "fiat.builtin.child"
_PROGRAM = "fiat.builtin.gang_launch"
_SUMMARY_BYTES = 64 * 1024 * 1024


def gang_job(job: Job, command: Command) -> tuple[Job, Command]:
    """The job with what all workers need together, and the command that starts them.

    Args:
        job: of several workers.
        command: what each of them runs.
    """
    need = job.resources
    options = {
        "workers": need.workers,
        "threads": threads_of(need),
        "work_dir": str(job.work_dir),
        "result": None if command.result_path is None else str(command.result_path),
        "store": is_call(command),
        "stop_on_nan": job.stop_on_nan,
    }
    # Without -P the checkout's own modules would come before the standard library's.
    argv = (sys.executable, "-P", "-m", _PROGRAM, json.dumps(options), "--", *command.argv)
    return replace(job, resources=whole_need(need)), replace(command, argv=argv)


def is_call(command: Command) -> bool:
    """Whether it is a function that we call, and not a program of the user's."""
    return command.argv[1:3] == ("-m", CHILD)


def gang_result(result: JobResult, job: Job) -> JobResult:
    """The result of the command with the metrics of all workers in it.

    Args:
        result: of the command; its metrics are the first worker's.
        job: of several workers.
    """
    redactor = Redactor(job.command.secrets if job.command else ())
    try:
        failed, others = _read_summary(job.work_dir / FOLDER / SUMMARY, redactor)
    except (OSError, ValueError, KeyError, TypeError):
        return result  # the workers were killed with the program that starts them
    reason = result.reason
    if result.state == "failed" and failed in range(job.resources.workers):
        reason = f"worker {failed} of {job.resources.workers} {reason}"
    return replace(result, reason=reason, metrics=mean_metrics((result.metrics, *others)))


def _read_summary(path: Path, redactor: Redactor) -> tuple[int | None, list[tuple[Metric, ...]]]:
    """What the program that started the workers wrote; it lies where user code can write too.

    Raises:
        OSError: it is not there, a link, or can't be read.
        ValueError: it is too large, no plain file, or not what we write.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _SUMMARY_BYTES:
            raise ValueError("no plain file of at most 64 MiB")
        summary = json.loads(file.read())
    failed = summary["failed"]
    series = [
        tuple(
            Metric(redactor.text(str(name)), float(value), None if step is None else int(step))
            for name, value, step in metrics
        )
        for metrics in summary["metrics"]
    ]
    return None if failed is None else int(failed), series
