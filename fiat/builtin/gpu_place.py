"""A job's place in the queue for GPUs, and what it is given there."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fiat.builtin.gpu_claim import Claim, joined
from fiat.builtin.gpu_ledger import GpuLedger, boot_clock
from fiat.builtin.gpu_queue import PATIENCE_S
from fiat.builtin.job_death import seconds_text
from fiat.builtin.job_log import JobLog

_LOOK_S = 0.2
_CALM, _LONGEST_S = 10.0, 5.0
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
        """See `gpu_claim.joined`."""
        with joined(self.claim) as fd:
            yield fd


class Place:
    """A place in the queue, then GPUs. Its process's end gives it back, like `leave`.

    Attributes:
        fd: descriptor that keeps it; whoever gets a copy keeps it too.
    """

    def __init__(
        self,
        ledger: GpuLedger,
        claim: Claim,
        fd: int,
        *,
        names: Mapping[str, str],
        workers: int,
        log_path: Path | None,
    ) -> None:
        """It was entered already; see `GpuPool.enter`.

        Args:
            ledger: that it is in.
            claim: what it says there.
            fd: descriptor with its lock.
            names: key of each GPU to what CUDA_VISIBLE_DEVICES takes for it.
            workers: among which they are shared out.
            log_path: log that is told when it has to wait; None tells nobody.
        """
        self._names = names
        self._log_path = log_path
        self._told = False
        self._ledger = ledger
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
        ids = [self._names[key] for key in taken.keys]
        each = len(ids) // self._workers
        workers = tuple(tuple(ids[at : at + each]) for at in range(0, len(ids), each))
        return Grant(workers, self._ledger.folder / self._claim.id)

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
            began_s = time.monotonic()
            if could_begin is not None and not self.has_waited_long and not could_begin():
                self.rest()
            elif (grant := self.take()) is not None:
                return grant
            cancelled.wait(pause_s(time.monotonic() - began_s))
        return None

    @property
    def has_waited_long(self) -> bool:
        """Whether it is time to ask for GPUs first, and for the rest with these in hand."""
        return boot_clock() - self._claim.since >= PATIENCE_S

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


def pause_s(look_s: float) -> float:
    """How long to wait behind a look that took so long: the more there are who wait, the less often each looks."""
    return min(max(_LOOK_S, _CALM * look_s), _LONGEST_S)


def _asked(claim: Claim) -> str:
    number = f"{claim.count} GPU{'s' * (claim.count > 1)}"
    return number if claim.share >= 1 else f"{claim.share:.3g} of {number}"
