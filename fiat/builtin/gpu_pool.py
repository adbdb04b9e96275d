"""The GPUs that one compute may use, and how a job gets some of them: by the ledger that the whole machine shares."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fiat.builtin.compute_machine import list_gpus
from fiat.builtin.gpu_device import Driver, keys_of
from fiat.builtin.gpu_ledger import Claim, GpuLedger, boot_clock, joined
from fiat.builtin.gpu_queue import PATIENCE_S, shape
from fiat.builtin.job_death import seconds_text
from fiat.builtin.job_log import JobLog
from fiat.builtin.job_tree import start_ticks
from fiat.ports.compute import Job, Resources

_LOOK_S = 0.2
_SILENCE_S = 1.0


@dataclass(frozen=True)
class Grant:
    """GPUs that a job has.

    Attributes:
        workers: for each worker the ids of its GPUs, as CUDA_VISIBLE_DEVICES takes them; no two workers share one.
        claim: file of the ledger that says so. A process that uses them on the job's behalf joins it first (`joined`),
            so that they are free when the last of these processes has ended, and not before.
    """

    workers: tuple[tuple[str, ...], ...]
    claim: Path

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all workers."""
        return tuple(name for ids in self.workers for name in ids)

    def of(self, worker: int) -> "Grant":
        """The part of one worker, from 0; the claim is that of all."""
        return Grant((self.workers[worker],), self.claim)

    @contextmanager
    def joined(self) -> Iterator[int | None]:
        """See `gpu_ledger.joined`."""
        with joined(self.claim) as fd:
            yield fd


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

    def enter(self, job: Job) -> "Place":
        """Take a place in the queue for what the job asks, with all its workers.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        return self.enter_as(run_of(job), job.step, job.resources, log_path=job.log_path)

    def enter_as(self, run: str, step: str, need: Resources, *, log_path: Path | None = None) -> "Place":
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
        pid = os.getpid()
        claim = Claim(
            id=f"{run}.{step}".replace("/", "_"),
            run=run,
            step=step,
            pid=pid,
            ticks=start_ticks(pid),
            share=share,
            count=count,
            among=self.keys,
            priority=need.priority,
            since=boot_clock(),
        )
        entered, fd = GpuLedger(self.folder).enter(claim)
        return Place(self, entered, fd, need.workers, log_path)

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
            place.leave()


class Place:
    """A place in the queue, then GPUs. Its process's end gives it back, like `leave`.

    Attributes:
        fd: descriptor that keeps it; whoever gets a copy keeps it too.
    """

    def __init__(self, pool: GpuPool, claim: Claim, fd: int, workers: int, log_path: Path | None) -> None:
        self._pool = pool
        self._log_path = log_path
        self._told = False
        self._ledger = GpuLedger(pool.folder)
        self._claim = claim
        self.fd = fd
        self._workers = workers

    def take(self) -> Grant | None:
        """The GPUs, if it is its turn now.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        self._say(ready=True)
        now = boot_clock()
        taken = self._ledger.take(self._claim, self.fd, now)
        self._tell(now - self._claim.since, taken is None)
        if taken is None:
            return None
        names = dict(zip(self._pool.keys, self._pool.ids, strict=True))
        ids = [names[key] for key in taken.keys]
        each = len(ids) // self._workers
        workers = tuple(tuple(ids[at : at + each]) for at in range(0, len(ids), each))
        return Grant(workers, self._pool.folder / self._claim.id)

    def rest(self) -> None:
        """Let others pass, since it could not begin now; `take` ends that.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        self._say(ready=False)

    def wait(self, cancelled: threading.Event, could_begin: Callable[[], bool] | None = None) -> Grant | None:
        """Wait for its turn; None when it is cancelled before.

        Args:
            cancelled: ends the wait.
            could_begin: whether all else that it needs is there. It is asked for a while only: where others always come
                before, it has to ask for the rest with GPUs in its hands.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        while not cancelled.is_set():
            patient = boot_clock() - self._claim.since < PATIENCE_S
            if patient and could_begin is not None and not could_begin():
                self.rest()
            elif (grant := self.take()) is not None:
                return grant
            cancelled.wait(_LOOK_S)
        return None

    def leave(self) -> None:
        """Give it back.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        self._ledger.leave(self._claim, self.fd)

    def _say(self, *, ready: bool) -> None:
        if self._claim.ready != ready:
            self._claim = self._ledger.say(self._claim, self.fd, ready=ready)

    def _tell(self, waited_s: float, waits: bool) -> None:
        """Say in the job's log that it waits, when that takes longer, and how long it did."""
        if self._log_path is None or (self._told if waits else not self._told) or waited_s < _SILENCE_S:
            return
        self._told = True
        log = JobLog(str(self._log_path))
        if waits:
            log.note(f"waits for {_asked(self._claim)}; `fiat gpus` shows who has them")
        else:
            log.note(f"has its GPUs after {seconds_text(round(waited_s))}")
        log.close()


def _asked(claim: Claim) -> str:
    number = f"{claim.count} GPU{'s' * (claim.count > 1)}"
    return number if claim.share >= 1 else f"{claim.share:.3g} of {number}"


def make_pool(
    asked: int | Sequence[str] | None, env: Mapping[str, str], folder: Path, driver: Driver
) -> GpuPool:
    """The GPUs that a compute gives out.

    Args:
        asked: ids; or how many, of those that there are (when there are fewer, numbers stand for them); None is all.
        env: the whole environment, to find GPUs.
        folder: of the ledger.
        driver: names them for good.
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
    return tuple(str(index) for index in range(asked))


def run_of(job: Job) -> str:
    """Id of the run that a job is of: the engine calls it `RUN.STEP.ATTEMPT`."""
    return job.id.split(f".{job.step}.")[0]
