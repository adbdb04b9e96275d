"""A job that is a study, as a Ray Tune run. Loaded in the Ray host only."""

from collections.abc import Sequence
from threading import Event

from fiat.ports.compute import Job, JobResult


def run_study(job: Job, import_path: Sequence[str], *, cancelled: Event) -> JobResult:
    """Run the trials of a job to their end.

    Args:
        job: with a `study`.
        import_path: `sys.path` of whoever submitted it.
        cancelled: set when it shall end.
    """
    return JobResult("failed", "tuning is not built yet")
