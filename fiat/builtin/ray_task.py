"""What a Ray worker does: one job at a time, by the same `run_job` as everywhere. Loaded in Ray workers only."""

import errno
import functools
import os
from collections.abc import Sequence

import ray
from ray.exceptions import RayError

from fiat.builtin.compute_job import Workbench
from fiat.builtin.compute_machine import scrubbed
from fiat.builtin.gpu_place import Grant
from fiat.builtin.ray_node import FOLDER_VARIABLE
from fiat.builtin.ray_travel import cancel_path, settled, started_path
from fiat.builtin.ray_travel_parcel import Torn
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Job, JobResult

_REFUSALS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_MAKE_ROOM = "make room on the machine of the store and run again: what has a checkpoint goes on from there"


@functools.cache
def _workbench() -> Workbench:
    """The warm processes of this Ray worker: Ray gives a task nothing else to keep things in."""
    return Workbench(scrubbed(os.environ))


def run_in_worker(job: Job, import_path: Sequence[str], *, gpus: Grant | None = None) -> JobResult:
    """Run one job in this Ray worker, also on a node that does not see the store.

    Args:
        job: as whoever submitted it sees it.
        import_path: `sys.path` of whoever submitted it.
        gpus: what it was given of this machine's GPUs; None takes those that Ray gave to this worker.
    """
    if gpus is None:
        return _run(job, import_path, tuple(str(gpu) for gpu in ray.get_gpu_ids()), ())
    with gpus.joined() as claim:
        if claim is None:
            return JobResult("lost", "whoever had its GPUs for it has ended")
        return _run(job, import_path, gpus.ids, (claim,))


def _run(job: Job, import_path: Sequence[str], gpus: Sequence[str], held: Sequence[int]) -> JobResult:
    here = os.uname().nodename
    try:
        with settled(job, import_path) as place:
            result = _workbench().run_job(
                place.job,
                gpus=gpus,
                held=held,
                cancel_path=cancel_path(place.job),
                import_path=place.import_path,
            )
            return place.deliver(result)
    except EnvironmentFault as fault:
        return JobResult("failed", fault.message, mend=fault.hint)
    except (RayError, Torn) as error:
        if refusal := disk_refusal(error):
            return JobResult(
                "failed", f"the store's disk could not take what it made: {refusal}", mend=_MAKE_ROOM
            )
        return JobResult("lost", f"node {here} lost its way to the store: {_last_line(error)}")
    except OSError as error:
        mend = f"make room there, or start that node with {FOLDER_VARIABLE} on a larger disk"
        return JobResult("failed", f"node {here} could not carry the job's files: {error}", mend=mend)


def disk_refusal(error: Exception) -> str:
    """What the disk beside the store said when that is why a call to the desk failed: trying again would not help."""
    cause = getattr(error, "cause", None)
    return str(cause.strerror) if isinstance(cause, OSError) and cause.errno in _REFUSALS else ""


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__


__all__ = ["cancel_path", "run_in_worker", "started_path"]
