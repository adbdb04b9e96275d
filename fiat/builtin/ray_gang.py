"""A job of several workers, as a Ray Train run. Loaded in the Ray host only."""

from collections.abc import Sequence
from threading import Event

from fiat.ports.compute import Job, JobResult


def run_gang(
    job: Job, import_path: Sequence[str], *, gpus: Sequence[Sequence[str]] | None, cancelled: Event
) -> JobResult:
    """Run all workers of a job to their end.

    Args:
        job: with `resources.workers` above 1.
        import_path: `sys.path` of whoever submitted it.
        gpus: for each worker the ids of its GPUs; None lets Ray choose.
        cancelled: set when it shall end.
    """
    return JobResult("failed", "data-parallel workers are not built yet")
