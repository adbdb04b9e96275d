"""A job of several workers as a Ray Train run. Loaded in the Ray host when the first one comes, and in Ray workers.

Each Train worker runs the command as any job's, with the variables of torch's launcher around it.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import ray
from ray.exceptions import RayError
from ray.train import get_context
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from fiat.builtin.gang_cause import lost_others
from fiat.builtin.gang_door import hold_port
from fiat.builtin.gang_log import log_path
from fiat.builtin.gang_seat import Seat, home_of, interface_of, make_home, seated_argv, seated_env, threads_of
from fiat.builtin.gpu_place import Grant
from fiat.builtin.ray_deaths import WorkerEnded, death_among
from fiat.builtin.ray_ends import joint_result
from fiat.builtin.ray_task import cancel_path, run_in_worker, started_path
from fiat.builtin.ray_trainer import Trainer, leave, own_address
from fiat.ports.compute import Job, JobResult

_FORCE_AFTER_S = 4.0
_LAST_WORDS_S = 1.0
_LOST_WORDS_S = 5.0
_LOOK_S = 0.05


def run_train(
    job: Job, import_path: Sequence[str], *, gpus: Grant | None, cancelled: threading.Event
) -> JobResult:
    """Run all workers of a job to their end; see `ray_gang.run_gang`."""
    for rank in range(1, job.resources.workers):
        make_home(job.work_dir, rank)
    trainer = Trainer(
        lambda: _work(job, tuple(import_path), gpus),
        job.resources,
        name=job.id,
        folder=str(job.work_dir / ".train"),
        with_gpus=gpus is None,
    )
    fault: Exception | None = None
    with _ending(job, trainer, cancelled):
        try:
            trainer.fit()
        except (TrainingFailedError, RayError) as error:
            fault = error
    if cancelled.is_set():
        return JobResult("cancelled", "cancelled")
    died = death_among(fault.worker_failures) if isinstance(fault, WorkerGroupError) else None
    if died is not None:
        return died
    try:
        result = joint_result(job, trainer.ends())
    except RayError:  # its controller died; then `fault` says so
        result = None
    return result or JobResult("lost", f"Ray Train did not run it to its end: {_line(fault)}")


def _work(job: Job, import_path: tuple[str, ...], gpus: Grant | None) -> None:
    """In a Train worker: run the command as this worker has to.

    Raises:
        WorkerEnded: it was not done, so that the others are ended too.
    """
    context, alone = get_context(), job.resources.gpus > 0
    rank = context.get_world_rank()
    seat = Seat(
        rank,
        context.get_world_size(),
        0 if alone else context.get_local_rank(),
        1 if alone else context.get_local_world_size(),
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        threads_of(job.resources),
        interface_of(own_address()),
    )
    with contextlib.nullcontext() if rank else hold_port(seat.address, seat.port):
        result = run_in_worker(_seated(job, seat), import_path, gpus=gpus.of(rank) if gpus else None)
    leave(rank, result)
    if result.state != "done":
        # It may be another's end that ended it: that one's word, or Ray's of its death, is to come first.
        time.sleep(_LOST_WORDS_S if lost_others(job, rank, result) else _LAST_WORDS_S)
        raise WorkerEnded(f"worker {rank}: {result.reason}")


def _seated(job: Job, seat: Seat) -> Job:
    """The job of one worker."""
    command = job.command
    assert command is not None  # noqa: S101 - only commands have several workers
    home = home_of(job.work_dir, seat.rank)
    result_path = command.result_path
    return replace(
        job,
        resources=replace(job.resources, workers=1),
        log_path=log_path(job.work_dir, seat.rank) if seat.rank else job.log_path,
        command=replace(
            command,
            argv=seated_argv(command.argv, seat.rank, job.work_dir),
            env=seated_env(command.env, seat, job.work_dir),
            result_path=home / result_path.name if seat.rank and result_path else result_path,
        ),
    )


@contextlib.contextmanager
def _ending(job: Job, trainer: Trainer, cancelled: threading.Event) -> Iterator[None]:
    """Within, a cancelled job is asked to end, and ended when it does not."""
    over = threading.Event()

    def watch() -> None:
        while not cancelled.wait(_LOOK_S):
            if over.is_set():
                return
        with contextlib.suppress(OSError):
            cancel_path(job).touch()
            if started_path(job).exists() and over.wait(_FORCE_AFTER_S):
                return
        while not over.wait(_LOOK_S):
            if trainer.controller is not None:
                ray.kill(trainer.controller)
                return

    thread = threading.Thread(target=watch, name=f"{job.id} ending", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _line(fault: Exception | None) -> str:
    if fault is None:
        return "it left no result"
    cause = getattr(fault, "controller_failure", fault)
    return f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
