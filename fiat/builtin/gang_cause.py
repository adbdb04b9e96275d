"""Which of several workers' ends is the cause of the others', and what is said about it."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from fiat.builtin.gang_log import last_lines, log_path
from fiat.ports.compute import Job, JobResult

_ECHO = re.compile(
    r"Connection (closed|reset) by (remote )?peer|Connection was likely closed|Broken pipe"
    r"|remote process exited|ncclRemoteError"
)
_WAITED = re.compile(r"Timed out waiting \d+ms|collective operation timeout")


def lost_others(job: Job, rank: int, result: JobResult) -> bool:
    """Whether a worker failed because it lost another one.

    Source: gloo, transport/tcp/pair.cc; PyTorch, NCCLUtils.cpp and TCPStore.cpp.
    """
    return _ECHO.search(_said(job, rank, result)) is not None


def ended_early(job: Job, rank: int, result: JobResult, ended: Collection[int]) -> str:
    """What is to be said of a worker that failed when it waited for others that had ended well; empty when it did not.

    Args:
        job: of several workers.
        rank: which one failed.
        result: how.
        ended: those that had ended well by then.
    """
    said = _said(job, rank, result)
    if not ended or not (_ECHO.search(said) or _WAITED.search(said)):
        return ""
    names = " and ".join(map(str, sorted(ended)))
    return (
        f": worker{'s' * (len(ended) > 1)} {names} had ended before it;"
        " all workers have to take as many steps as each other"
    )


def _said(job: Job, rank: int, result: JobResult) -> str:
    """The error that a worker ended with; its last lines where it is no function of Python."""
    error = result.result.get("error")
    if isinstance(error, Mapping):
        return str(error.get("message", ""))
    path: Path = log_path(job.work_dir, rank) if rank else job.log_path
    return "\n".join(last_lines(path))
