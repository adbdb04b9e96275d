"""What a Ray worker does: one job at a time, by the same `run_job` as everywhere. Loaded in Ray workers only."""

import functools
import os
from pathlib import Path

import ray

from fiat.builtin.compute_job import Workbench
from fiat.builtin.compute_machine import scrubbed
from fiat.ports.compute import Job, JobResult


def cancel_path(job: Job) -> Path:
    """File whose existence cancels the job, also on another host that shares the disk."""
    return job.work_dir / f".{job.id}.cancel"


def started_path(job: Job) -> Path:
    """File that a job makes when it has its resources and begins."""
    return job.work_dir / f".{job.id}.started"


@functools.cache
def _workbench() -> Workbench:
    """The warm processes of this Ray worker: Ray gives a task nothing else to keep things in."""
    return Workbench(scrubbed(os.environ))


def run_in_worker(job: Job, import_path: tuple[str, ...]) -> JobResult:
    """Run one job in this Ray worker; GPUs are those that Ray gave to the task."""
    started_path(job).touch()
    gpus = tuple(str(gpu) for gpu in ray.get_gpu_ids())
    return _workbench().run_job(job, gpus=gpus, cancel_path=cancel_path(job), import_path=import_path)
