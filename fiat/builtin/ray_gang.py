"""A job of several workers on Ray. Light: Ray Train is loaded when the first such job comes."""

import importlib
from collections.abc import Sequence
from threading import Event

from fiat.builtin.gpu_place import Grant
from fiat.ports.compute import Job, JobResult


def run_gang(job: Job, import_path: Sequence[str], *, gpus: Grant | None, cancelled: Event) -> JobResult:
    """Run all workers of a job to their end.

    Args:
        job: with a command and `resources.workers` above 1.
        import_path: `sys.path` of whoever submitted it.
        gpus: what all workers were given of this machine's GPUs; None lets Ray choose.
        cancelled: set when it shall end.
    """
    train = importlib.import_module("fiat.builtin.ray_train")
    result: JobResult = train.run_train(job, import_path, gpus=gpus, cancelled=cancelled)
    return result
