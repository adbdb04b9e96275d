"""A job of several workers as one command on one machine, and what came of it as one result."""

import json
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fiat.builtin.gang_cause import ended_early
from fiat.builtin.gang_launch import SUMMARY
from fiat.builtin.gang_metrics import mean_metrics
from fiat.builtin.gang_seat import FOLDER, threads_of, whole_need
from fiat.builtin.gang_seen import joint_seen
from fiat.builtin.job_log import JobLog
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


@dataclass(frozen=True)
class _Summary:
    """What the program that started the workers says of them.

    Attributes:
        failed: number of the one that failed, None when none did.
        ended: numbers of those that had ended well by then.
        metrics: of those behind the first one.
        seen: what the results of these say of files.
    """

    failed: int | None
    ended: tuple[int, ...]
    metrics: tuple[tuple[Metric, ...], ...]
    seen: tuple[Mapping[str, object], ...]


def gang_result(result: JobResult, job: Job) -> JobResult:
    """The result of the command with what all workers logged and read in it.

    Args:
        result: of the command; its metrics are the first worker's.
        job: of several workers.
    """
    redactor = Redactor(job.command.secrets if job.command else ())
    try:
        summary = _read_summary(job.work_dir / FOLDER / SUMMARY, redactor)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if result.state == "done":  # else the workers were killed with the program that starts them
            log = JobLog(str(job.log_path))
            log.note(f"metrics are those of worker 0 alone: what the others logged can't be read ({error})")
            log.close()
        return result
    reason, size = result.reason, job.resources.workers
    failed = summary.failed
    if result.state == "failed" and failed is not None and 0 <= failed < size:
        ended = set(summary.ended) & set(range(size))
        reason = f"worker {failed} of {size} {reason}{ended_early(job, failed, result, ended)}"
    return replace(
        result,
        reason=reason,
        metrics=mean_metrics((result.metrics, *summary.metrics)),
        result=joint_seen((result.result, *summary.seen)),
    )


def _read_summary(path: Path, redactor: Redactor) -> _Summary:
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
    series = tuple(
        tuple(
            Metric(redactor.text(str(name)), float(value), None if step is None else int(step))
            for name, value, step in metrics
        )
        for metrics in summary["metrics"]
    )
    masked = [redactor.values(result) for result in summary["seen"]]
    seen = tuple(result for result in masked if isinstance(result, Mapping))
    ended = tuple(int(rank) for rank in summary["ended"])
    return _Summary(None if failed is None else int(failed), ended, series, seen)
