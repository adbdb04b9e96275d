"""Ray Train as a gang needs it: it places all workers or none, runs a function in each, and ends all when one fails.

Nothing of it watches, measures, retries or stores: the engine, the runner of each command and the store do. These are
subclasses of what Ray Train is made of, because its settings are environment variables, and a worker with variables of
its own is a process that has to be started first.
"""

import os
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.backend import Backend, BackendConfig
from ray.train.v2._internal.callbacks import BackendSetupCallback
from ray.train.v2._internal.execution.context import get_train_context
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import WorkerGroup
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fiat.builtin.gang_door import find_port
from fiat.builtin.ray_ends import End
from fiat.ports.compute import JobResult, Resources

_LOOK_S = 0.2
_FOR_EVER_S = 1e9
_LEAST_CPUS = 0.001  # a bundle of a placement group can't be empty


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


class _Group(WorkerGroup):
    """Workers that wait for their turn as any job does, in processes that Ray has ready."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._worker_group_start_timeout_s = _FOR_EVER_S

    @staticmethod
    def _get_worker_runtime_env(custom_runtime_env: Any) -> dict[str, Any]:
        return {}


class _Policy(FixedScalingPolicy):
    """As many workers as were asked for; the placement group alone tells an autoscaler of them."""

    def after_controller_start(self, train_run_context: Any) -> None:
        """Ray would start an actor here that asks for nodes."""

    def _maybe_send_resource_request(self) -> None:
        """Ask for nothing."""

    def _cancel_resource_request(self) -> None:
        """Nothing was asked for. Some versions would start the actor to tell it so."""


class _Controller(TrainController):
    """One attempt, looked at often, and how each worker ended.

    Nobody watches for nodes that are about to go: a lost one is tried again.
    """

    worker_group_cls = _Group

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._ends: list[End] = []
        self._health_check_interval_s = _LOOK_S
        kept = [part for part in self._worker_group_callbacks_to_propagate if not _watches(part)]
        self._worker_group_callbacks_to_propagate = kept

    async def leave(self, rank: int, result: JobResult) -> None:
        """How a worker ended."""
        self._ends.append((rank, result))

    async def ends(self) -> list[End]:
        """What the workers left, in the order in which it came."""
        return self._ends


class Trainer(DataParallelTrainer):
    """One run of one function in several workers.

    Args:
        work: what each worker runs.
        need: of each worker, and how many there are.
        name: of the run.
        folder: where Ray Train may write.
        with_gpus: whether Ray gives out the GPUs.

    Attributes:
        controller: the actor that leads the run; None before it is there. Its end is the end of all workers.
    """

    def __init__(
        self, work: Callable[[], None], need: Resources, *, name: str, folder: str, with_gpus: bool
    ) -> None:
        self.controller: Any = None
        super().__init__(
            work,
            backend_config=Meeting(),
            scaling_config=_scaling(need, with_gpus=with_gpus),
            run_config=RunConfig(name=name, storage_path=folder, failure_config=_no_retries()),
        )

    def ends(self) -> list[End]:
        """How the workers ended, in that order.

        Raises:
            RayError: their controller has died.
        """
        ends: list[End] = ray.get(self.controller.ends.remote()) if self.controller is not None else []
        return ends

    def _create_default_callbacks(self) -> list[Any]:
        return [BackendSetupCallback(self.backend_config)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        config: Any = self.scaling_config
        remote = ray.remote(_Controller).options(num_cpus=0, scheduling_strategy=_here())
        self.controller = remote.remote(**{**arguments, "scaling_policy": _Policy(config)})
        ray.get(self.controller.run.remote())
        return ray.get(self.controller.get_result.remote())


def unknown_names() -> list[str]:
    """What a version of Ray Train lacks of what is put in its place here, such as `WorkerGroup._get_worker_runtime_env`."""
    made = {
        WorkerGroup: ("_get_worker_runtime_env",),
        TrainController: ("run", "get_result", "worker_group_cls"),
        DataParallelTrainer: ("_create_default_callbacks", "_initialize_and_run_controller"),
    }
    set_at_start = {
        WorkerGroup: ("_worker_group_start_timeout_s",),
        TrainController: ("_worker_group_callbacks_to_propagate", "_health_check_interval_s"),
    }
    lacking = [
        f"{kind.__name__}.{name}" for kind, names in made.items() for name in names if not hasattr(kind, name)
    ]
    for kind, names in set_at_start.items():
        known = vars(kind)["__init__"].__code__.co_names
        lacking += [f"{kind.__name__}.{name}" for name in names if name not in known]
    return lacking


def leave(rank: int, result: JobResult) -> None:
    """In a worker: tell how it ended.

    Raises:
        RayError: there is nobody to be told any more.
    """
    ray.get(get_train_context().controller_actor.leave.remote(rank, result))


def _here() -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def own_address() -> str:
    """The address of this node."""
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]  # Ray's own gap


def _scaling(need: Resources, *, with_gpus: bool) -> ScalingConfig:
    each: dict[str, float] = {"CPU": need.cpus or _LEAST_CPUS}
    if with_gpus and need.gpus:
        each["GPU"] = need.gpus
    if need.memory_bytes is not None:
        each["memory"] = need.memory_bytes
    return ScalingConfig(num_workers=need.workers, use_gpu="GPU" in each, resources_per_worker=each)


def _no_retries() -> FailureConfig:
    """The engine tries again, with what it knows of the step. Which kinds of retries there are depends on the version."""
    kinds = ("max_failures", "controller_failure_limit", "max_preemption_failures")
    known = {field.name for field in fields(FailureConfig)}
    none: dict[str, Any] = {kind: 0 for kind in kinds if kind in known}
    return FailureConfig(**none)


def _watches(part: object) -> bool:
    return type(part).__name__ == "PreemptionCallback"


def _find_place() -> tuple[str, int]:
    """In the first worker: its address, and a port that is free there."""
    address = own_address()
    return address, find_port(address)


def _set_place(address: str, port: int) -> None:
    os.environ.update(MASTER_ADDR=address, MASTER_PORT=str(port))
