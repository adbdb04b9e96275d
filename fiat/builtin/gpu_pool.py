"""The GPUs that one compute may use, and how a job gets some of them: by the ledger that the whole machine shares."""

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fiat.builtin.compute_machine import limit_of_gpus, list_gpus
from fiat.builtin.gpu_claim import Claim
from fiat.builtin.gpu_device import Driver, keys_of
from fiat.builtin.gpu_ledger import GpuLedger, boot_clock
from fiat.builtin.gpu_place import Grant, Place
from fiat.builtin.gpu_queue import shape
from fiat.builtin.job_tree import start_ticks
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Job, Resources


@dataclass(frozen=True)
class GpuPool:
    """What a compute may give out on this machine. Travels to other processes of it.

    Attributes:
        folder: of the ledger.
        ids: as CUDA_VISIBLE_DEVICES takes them.
        keys: what the ledger calls each.
    """

    folder: Path
    ids: tuple[str, ...]
    keys: tuple[str, ...]

    def enter(self, job: Job) -> Place:
        """Take a place in the queue for what the job asks, with all its workers.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        return self.enter_as(run_of(job), job.step, job.resources, log_path=job.log_path)

    def enter_as(self, run: str, step: str, need: Resources, *, log_path: Path | None = None) -> Place:
        """The same for what has no job of its own, such as one trial of a study.

        Args:
            run: id of the run, shown to people.
            step: name of the step or trial.
            need: `gpus` above 0.
            log_path: log that is told when it has to wait; None tells nobody.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        share, count = shape(need)
        pid, now = os.getpid(), boot_clock()
        claim = Claim(
            id=re.sub(r"[^\w.-]", "_", f"{run}.{step}", flags=re.ASCII),
            run=run,
            step=step,
            pid=pid,
            ticks=start_ticks(pid),
            share=share,
            count=count,
            among=self.keys,
            priority=need.priority,
            since=now,
            seen=now,
        )
        ledger = GpuLedger(self.folder)
        entered, fd = ledger.enter(claim)
        names = dict(zip(self.keys, self.ids, strict=True))
        return Place(ledger, entered, fd, names=names, workers=need.workers, log_path=log_path)

    @contextmanager
    def claimed(
        self, job: Job, cancelled: threading.Event, could_begin: Callable[[], bool] | None = None
    ) -> Iterator[Grant | None]:
        """Wait for the job's GPUs, have them within, and give them back; for the arguments see `Place.wait`.

        Yields:
            What it got; None when it was cancelled before.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        place = self.enter(job)
        try:
            yield place.wait(cancelled, could_begin)
        finally:
            with suppress(
                EnvironmentFault
            ):  # its lock is gone, which is what counts, and so is the job's result kept
                place.leave()


def make_pool(
    asked: int | Sequence[str] | None, env: Mapping[str, str], folder: Path, driver: Driver
) -> GpuPool:
    """The GPUs that a compute gives out.

    Args:
        asked: ids; or how many, of those that there are (when there are fewer, numbers stand for them); None is all.
        env: the whole environment, to find GPUs.
        folder: of the ledger.
        driver: names them for good.

    Raises:
        EnvironmentFault: more are asked for than the environment allows.
    """
    ids = _chosen(asked, env)
    by_key: dict[str, str] = {}
    for name, key in zip(ids, keys_of(ids, driver), strict=True):
        by_key.setdefault(key, name)  # of two names of one GPU the first counts
    return GpuPool(folder, tuple(by_key.values()), tuple(by_key))


def _chosen(asked: int | Sequence[str] | None, env: Mapping[str, str]) -> tuple[str, ...]:
    if asked is not None and not isinstance(asked, int):
        return tuple(asked)
    there = list_gpus(env)
    if asked is None or asked <= len(there):
        return there[:asked]
    if limit_of_gpus(env):
        raise EnvironmentFault(
            f"{asked} GPUs are asked for, and the environment allows {len(there)}: {','.join(there)}",
            hint="ask for fewer, or let CUDA_VISIBLE_DEVICES name more",
        )
    return tuple(str(index) for index in range(asked))


def run_of(job: Job) -> str:
    """Id of the run that a job is of: the engine calls it `RUN.STEP.ATTEMPT`."""
    return job.id.split(f".{job.step}.")[0]
