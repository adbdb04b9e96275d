"""What a death among the workers of Ray Train means for their job."""

from ray.exceptions import ActorDiedError, OutOfMemoryError
from ray.train.v2._internal.exceptions import (
    UserExceptionWithTraceback,
    WorkerHealthCheckFailedError,
    WorkerHealthCheckTimeoutError,
)

from fiat.builtin.ray_deaths import WorkerEnded, death_among
from fiat.ports.compute import JobResult


def test_workers_that_said_how_they_ended_are_no_death() -> None:
    assert death_among({0: WorkerEnded("worker 0"), 1: WorkerEnded("worker 1")}) is None
    assert death_among({}) is None
    wrapped = UserExceptionWithTraceback(WorkerEnded("worker 0"), "Traceback ...")
    assert death_among({0: wrapped}) is None


def test_a_death_is_worth_another_try_whoever_else_failed_because_of_it() -> None:
    for failure, kind in (
        (WorkerHealthCheckFailedError("failed", failure=ActorDiedError()), "ActorDiedError"),
        (WorkerHealthCheckTimeoutError("hangs"), "WorkerHealthCheckTimeoutError"),
        (ActorDiedError(), "ActorDiedError"),
    ):
        died = death_among({0: WorkerEnded("lost a peer"), 1: failure})
        assert died == JobResult("lost", f"the Ray worker that ran worker 1 died ({kind})")


def test_a_machine_without_memory_fails_the_job() -> None:
    failure = WorkerHealthCheckFailedError("failed", failure=OutOfMemoryError("killed"))
    died = death_among({1: failure})
    reason = "Ray ended worker 1 because its machine was running out of memory"
    assert died == JobResult("failed", reason)


def test_what_is_no_death_is_told_as_it_is() -> None:
    died = death_among({2: TypeError("takes 2 arguments but 3 were given")})
    assert died is not None
    assert died.reason == (
        "a bug in Fiat, or another Fiat on the node of worker 2: TypeError: takes 2 arguments but 3 were given"
    )
