"""GPUs for scoring, by the ledger of the machine: as many as are free now, and enough for one actor at least."""

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from fiat.builtin.batch_job import BatchTask
from fiat.builtin.compute_machine import count_cpus, visible_gpus
from fiat.builtin.gpu_device import Driver, NvmlDriver
from fiat.builtin.gpu_ledger import ledger_folder
from fiat.builtin.gpu_place import Place
from fiat.builtin.gpu_pool import GpuPool, make_pool
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Resources

_OTHERS = "HIP_VISIBLE_DEVICES"


@dataclass(frozen=True)
class BatchGrant:
    """GPUs that a scoring has.

    Attributes:
        ids: of them, as CUDA_VISIBLE_DEVICES takes them.
        actors: how many actors they are enough for.
        fd: descriptor that keeps them.
    """

    ids: tuple[str, ...]
    actors: int
    fd: int

    def shown(self, env: Mapping[str, str]) -> dict[str, str]:
        """Variables that show a program these GPUs alone; a Ray looks for GPUs of each kind that is named to it.

        Args:
            env: the whole environment.
        """
        return {
            name: value for name, value in visible_gpus(self.ids).items() if name != _OTHERS or name in env
        }


@contextmanager
def granted(
    task: BatchTask, env: Mapping[str, str], driver: Driver | None = None
) -> Iterator[BatchGrant | None]:
    """Have GPUs within: all whole ones that are free, or else wait until one actor can have what it needs.

    Args:
        task: says what each actor needs.
        env: the whole environment, to find GPUs and the ledger.
        driver: of the GPUs; None is NVIDIA's.

    Yields:
        What it got; None when it needs none, or Ray may know of GPUs that we don't find.

    Raises:
        EnvironmentFault: there are not enough, or the ledger can't be used.
    """
    if task.gpus <= 0:
        yield None
        return
    pool = make_pool(None, env, ledger_folder(env), driver or NvmlDriver())
    if not pool.ids:
        yield None
        return
    if task.gpus > len(pool.ids):
        raise EnvironmentFault(
            f"an actor asks for {task.gpus:g} GPUs, and there are {len(pool.ids)}",
            hint="lower `gpus` of the target",
        )
    *rest, least = _tries(len(pool.ids), task)
    for need, actors in rest:
        with _placed(pool, need, task) as place:
            if (grant := place.take()) is not None:
                yield BatchGrant(grant.ids, actors, place.fd)
                return
    need, actors = least
    with _placed(pool, need, task) as place:
        if (grant := place.wait(threading.Event())) is not None:
            yield BatchGrant(grant.ids, actors, place.fd)


def _tries(n_gpus: int, task: BatchTask) -> list[tuple[Resources, int]]:
    """What to ask for, most first, and for how many actors that is enough."""
    whole, each = (1.0, math.floor(1 / task.gpus)) if task.gpus < 1 else (task.gpus, 1)
    fit = max(1, int(count_cpus() // task.cpus)) if task.cpus else n_gpus * each
    most = min(int(n_gpus // whole), math.ceil(fit / each))
    tries = [(Resources(gpus=whole, workers=n), n * each) for n in range(most, 0, -1)]
    return tries if task.gpus >= 1 else [*tries, (Resources(gpus=task.gpus), 1)]


@contextmanager
def _placed(pool: GpuPool, need: Resources, task: BatchTask) -> Iterator[Place]:
    place = pool.enter_as("deploy", str(task.about.get("model", "batch")), need)
    try:
        yield place
    finally:
        with suppress(EnvironmentFault):  # the end of this process gives it back too
            place.leave()
