"""A job of several workers as a Ray Train run: one placement group, one Train worker for each. Loaded in the Ray host.

Each Train worker runs the command as any job's, with the variables of torch's launcher around it. Ray Train only brings
them together: it places all or none, and ends all when one fails or dies.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, get_context
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.callbacks import BackendSetupCallback, DatasetsCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fiat.builtin.gang_launch import log_path
from fiat.builtin.gang_seat import Seat, home_of, interface_of, make_home, seated_argv, seated_env, threads_of
from fiat.builtin.gpu_pool import Grant
from fiat.builtin.ray_ends import Ends, joint_result
from fiat.builtin.ray_task import cancel_path, run_in_worker, started_path
from fiat.ports.compute import Job, JobResult, Resources

_FORCE_AFTER_S = 4.0
_LAST_WORDS_S = 1.0
_LEAST_CPUS = 0.001  # a bundle of a placement group can't be empty
_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "100000000",  # it waits for its turn as any job does
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
}


class WorkerEnded(Exception):
    """A worker ended and was not done; its result lies with the others'."""


class Meeting(BackendConfig):
    """Tells all workers where the first one is; torch itself is joined in their children."""

    @property
    def backend_cls(self) -> type[Backend]:
        """What Ray Train calls when the workers are there."""
        return _MeetingBackend


class _MeetingBackend(Backend):
    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        place = worker_group.execute_single(0, _find_place)
        worker_group.execute(_set_place, *place)


class _Trainer(DataParallelTrainer):
    """Ray Train's own trainer with its controller at hand, so that it can be ended from outside."""

    controller: Any = None

    def _create_default_callbacks(self) -> list[Any]:
        """What a run of ours needs of Ray Train: no metrics server, no state actor, no cleaner (the group dies with us)."""
        needed = (BackendSetupCallback, DatasetsCallback)
        return [callback for callback in super()._create_default_callbacks() if isinstance(callback, needed)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        remote = ray.remote(TrainController).options(
            num_cpus=0, scheduling_strategy=_here(), runtime_env={"env_vars": _SETTINGS}
        )
        self.controller = remote.remote(**arguments)
        ray.get(self.controller.run.remote())
        return ray.get(self.controller.get_result.remote())


def run_train(
    job: Job, import_path: Sequence[str], *, gpus: Grant | None, cancelled: threading.Event
) -> JobResult:
    """Run all workers of a job to their end; see `ray_gang.run_gang`."""
    for rank in range(1, job.resources.workers):
        make_home(job.work_dir, rank)
    ends: Any = ray.remote(Ends).options(num_cpus=0, scheduling_strategy=_here()).remote()
    trainer = _Trainer(
        lambda: _work(job, tuple(import_path), gpus, ends),
        backend_config=Meeting(),
        scaling_config=_scaling(job.resources, gpus),
        run_config=RunConfig(
            name=job.id,
            storage_path=str(job.work_dir / ".train"),
            failure_config=_no_retries(),
        ),
    )
    fault: Exception | None = None
    with _ending(job, trainer, cancelled):
        try:
            trainer.fit()
        except (TrainingFailedError, RayError) as error:
            fault = error
    if cancelled.is_set():
        return JobResult("cancelled", "cancelled")
    died = _who_died(fault)
    if died is not None:
        return died
    result = joint_result(job, ray.get(ends.all.remote()))
    return result or JobResult("lost", f"Ray Train did not run it to its end: {_line(fault)}")


def _work(job: Job, import_path: tuple[str, ...], gpus: Grant | None, ends: Any) -> None:
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
        interface_of(_own_address()),
    )
    result = run_in_worker(_seated(job, seat), import_path, gpus=gpus.of(rank) if gpus else None)
    ray.get(ends.leave.remote(rank, result))
    if result.state != "done":
        time.sleep(_LAST_WORDS_S)  # it may be another's death that ended it: Ray is to see that one first
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
def _ending(job: Job, trainer: _Trainer, cancelled: threading.Event) -> Iterator[None]:
    """Within, a cancelled job is asked to end, and ended when it does not."""
    over = threading.Event()

    def watch() -> None:
        while not cancelled.wait(0.05):
            if over.is_set():
                return
        with contextlib.suppress(OSError):
            cancel_path(job).touch()
            if started_path(job).exists() and over.wait(_FORCE_AFTER_S):
                return
        while not over.wait(0.05):
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


def _scaling(need: Resources, gpus: Grant | None) -> ScalingConfig:
    each: dict[str, float] = {"CPU": need.cpus or _LEAST_CPUS}
    by_ray = need.gpus > 0 and gpus is None
    if by_ray:
        each["GPU"] = need.gpus
    if need.memory_bytes is not None:
        each["memory"] = need.memory_bytes
    return ScalingConfig(num_workers=need.workers, use_gpu=by_ray, resources_per_worker=each)


def _no_retries() -> FailureConfig:
    """The engine tries again, with what it knows of the step; which kinds of retries there are depends on Ray's version."""
    kinds = ("max_failures", "controller_failure_limit", "max_preemption_failures")
    known = {field.name for field in fields(FailureConfig)}
    none: dict[str, Any] = {kind: 0 for kind in kinds if kind in known}
    return FailureConfig(**none)


def _own_address() -> str:
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]  # Ray's own gap


def _who_died(fault: Exception | None) -> JobResult | None:
    """What a death among the Train workers means for the job; None when none died."""
    if not isinstance(fault, WorkerGroupError):
        return None
    for rank, failure in sorted(fault.worker_failures.items()):
        if isinstance(failure, WorkerEnded):
            continue
        cause = getattr(failure, "health_check_failure", failure)
        if isinstance(cause, OutOfMemoryError):
            return JobResult(
                "failed", f"Ray ended worker {rank} because its machine was running out of memory"
            )
        return JobResult("lost", f"the Ray worker that ran worker {rank} died ({type(cause).__name__})")
    return None


def _here() -> Any:
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _find_place() -> tuple[str, int]:
    """In the first Train worker: its address, and a port that is free there."""
    address = _own_address()
    with socket.socket() as door:
        door.bind((address, 0))
        return address, door.getsockname()[1]


def _set_place(address: str, port: int) -> None:
    os.environ.update(MASTER_ADDR=address, MASTER_PORT=str(port))


def _line(fault: Exception | None) -> str:
    return f"{type(fault).__name__}: {str(fault).strip().splitlines()[0]}" if fault else "it left no result"
