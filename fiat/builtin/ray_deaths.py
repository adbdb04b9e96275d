"""What a death among the workers of Ray Train means for their job."""

from collections.abc import Mapping

from ray.exceptions import OutOfMemoryError, RayError

from fiat.ports.compute import JobResult


class WorkerEnded(Exception):
    """A worker ended and was not done; its result lies with the others'."""


def death_among(failures: Mapping[int, Exception]) -> JobResult | None:
    """The result of a job that a death ended; None when all that failed have said how.

    Args:
        failures: by the number of the worker, as Ray Train knows them.
    """
    for rank, known in sorted(failures.items()):
        # Older versions put what was raised into an error of their own.
        failure = getattr(known, "_base_exc", known)
        if isinstance(failure, WorkerEnded):
            continue
        cause = getattr(failure, "health_check_failure", failure)
        if isinstance(cause, OutOfMemoryError):
            reason = f"Ray ended worker {rank} because its machine was running out of memory"
            return JobResult("failed", reason)
        kind = type(cause).__name__
        if isinstance(cause, RayError) or type(failure).__name__ == "WorkerHealthCheckTimeoutError":
            return JobResult("lost", f"the Ray worker that ran worker {rank} died ({kind})")
        # Nothing of the user's runs in that process.
        return JobResult(
            "lost", f"a bug in Fiat, or another Fiat on the node of worker {rank}: {kind}: {cause}"
        )
    return None
