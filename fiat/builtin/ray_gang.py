"""A job of several workers on Ray. Light: Ray Train is loaded when the first such job comes."""

import importlib
from collections.abc import Sequence
from threading import Event
from types import ModuleType

import ray

from fiat.builtin.gpu_place import Grant
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Job, JobResult

TRIED = ("2.52.0", "2.60.0")
"""The oldest and the newest version of Ray with which several workers were tried."""


def run_gang(job: Job, import_path: Sequence[str], *, gpus: Grant | None, cancelled: Event) -> JobResult:
    """Run all workers of a job to their end.

    Args:
        job: with a command and `resources.workers` above 1.
        import_path: `sys.path` of whoever submitted it.
        gpus: what all workers were given of this machine's GPUs; None lets Ray choose.
        cancelled: set when it shall end.

    Raises:
        EnvironmentFault: this version of Ray is too old or too new for that.
    """
    result: JobResult = _ray_train().run_train(job, import_path, gpus=gpus, cancelled=cancelled)
    return result


def _ray_train() -> ModuleType:
    """Ray Train as we know it: we put parts of our own in place of its own, which have no public names."""
    try:
        train = importlib.import_module("fiat.builtin.ray_train")
        lacking = ", ".join(importlib.import_module("fiat.builtin.ray_trainer").unknown_names())
    except (ImportError, AttributeError) as error:
        lacking = str(error)
    if lacking:
        oldest, newest = TRIED
        raise EnvironmentFault(
            f"Ray {ray.__version__} starts several workers in a way that Fiat does not know: it lacks {lacking}",
            hint=f"pip install 'ray>={oldest},<={newest}'; `compute: local` starts the workers without Ray",
        )
    return train
