"""A job with GPUs on a Ray of our own: the machine's ledger gives it GPUs, Ray the rest. Loaded in Ray's processes.

GPUs come first, then what Ray has, everywhere: so no two jobs wait for each other.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any

import ray
from ray.exceptions import TaskCancelledError

from fiat.builtin.gpu_pool import GpuPool
from fiat.builtin.ray_gang import run_gang
from fiat.builtin.ray_task import run_in_worker
from fiat.builtin.ray_travel import cancel_path, started_path
from fiat.ports.compute import Job, JobResult

FORCE_AFTER_S = 4.0
_LOOK_S = 0.1


def run_claimed(job: Job, import_path: Sequence[str], pool: GpuPool, *, cancelled: Event) -> JobResult:
    """Wait for the GPUs of a job, run it as one task of Ray, and give them back.

    Args:
        job: with `resources.gpus` above 0; several workers run on this machine, started by one command.
        import_path: `sys.path` of whoever submitted it.
        pool: the GPUs of this Ray.
        cancelled: set when it shall end.

    Raises:
        EnvironmentFault: the ledger can't be used.
        RayError: the worker that ran it died.
    """
    with pool.claimed(job, cancelled, partial(_has_rest, job)) as grant:
        if grant is None:
            return JobResult("cancelled", "cancelled before it started")
        task: Any = ray.remote(max_retries=0)(run_in_worker)
        ref = task.options(**rest_of(job)).remote(job, tuple(import_path), gpus=grant)
        return _followed(job, ref, cancelled)


def run_gang_claimed(job: Job, import_path: Sequence[str], pool: GpuPool, *, cancelled: Event) -> JobResult:
    """The same for workers that Ray places, each as a process of its own.

    Raises:
        EnvironmentFault: the ledger can't be used.
    """
    with pool.claimed(job, cancelled, partial(_has_rest, job)) as grant:
        if grant is None:
            return JobResult("cancelled", "cancelled before it started")
        return run_gang(job, import_path, gpus=grant, cancelled=cancelled)


def rest_of(job: Job) -> dict[str, Any]:
    """Options of a task for what a job needs of Ray beside GPUs, with all its workers."""
    need = job.resources
    options: dict[str, Any] = {"num_cpus": need.cpus * need.workers, "name": job.step}
    if need.memory_bytes is not None:
        options["memory"] = need.memory_bytes * need.workers
    return options


def _has_rest(job: Job) -> bool:
    """Whether Ray has free what the job needs of it, as far as is known at this moment."""
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]  # Ray's own gap
    need = job.resources
    memory = (need.memory_bytes or 0) * need.workers
    return free.get("CPU", 0.0) >= need.cpus * need.workers and free.get("memory", 0.0) >= memory


def _followed(job: Job, ref: Any, cancelled: Event) -> JobResult:
    """Wait for a task; when the job shall end, its runner is asked, and Ray if that does not help."""
    force_at: float | None = None
    while not ray.wait([ref], timeout=_LOOK_S)[0]:
        if force_at is None and cancelled.is_set():
            with suppress(OSError):
                cancel_path(job).touch()
            force_at = time.monotonic() + (FORCE_AFTER_S if started_path(job).exists() else 0.0)
        if force_at is not None and time.monotonic() >= force_at:
            ray.cancel(ref, force=True)
            force_at = time.monotonic() + FORCE_AFTER_S
    try:
        result: JobResult = ray.get(ref)
    except TaskCancelledError:
        return JobResult("cancelled", "cancelled")
    return result
