"""GPUs for the trials of a study, by the ledger of the machine: asked for before a trial begins, given back behind it."""

from contextlib import suppress

from fiat.builtin.gpu_place import Grant, Place
from fiat.builtin.gpu_pool import GpuPool, run_of
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Job


class GpuDesk:
    """Waits for the next trial's GPUs without holding up those that run.

    A trial's process joins the claim: what is given back here is free when the last child that uses it has ended.
    """

    def __init__(self, job: Job, pool: GpuPool | None) -> None:
        """Nothing is asked for yet.

        Args:
            job: of the study.
            pool: None where trials need none, or Ray gives them.
        """
        self._job = job
        self._pool = pool
        self._waiting: Place | None = None
        self._grant: Grant | None = None
        self._held: dict[str, Place] = {}
        self._asked = 0

    def ready(self) -> bool:
        """Whether a trial can begin now; its place in the queue is kept when it can't.

        Raises:
            EnvironmentFault: the ledger can't be used.
        """
        if self._pool is None:
            return True
        if self._waiting is None:
            self._asked += 1
            step = f"{self._job.step}.{self._asked}"
            self._waiting = self._pool.enter_as(run_of(self._job), step, self._job.resources)
        self._grant = self._grant or self._waiting.take()
        return self._grant is not None

    def give(self, digest: str) -> Grant | None:
        """What is ready, to a trial; None where Ray gives it."""
        if self._waiting is None:
            return None
        self._held[digest] = self._waiting
        grant, self._waiting, self._grant = self._grant, None, None
        return grant

    def take_back(self, digest: str) -> None:
        """A trial has ended."""
        place = self._held.pop(digest, None)
        if place is not None:
            _leave(place)

    def close(self) -> None:
        """No trial begins any more: the place in the queue is given up. What runs keeps its own."""
        if self._waiting is not None:
            _leave(self._waiting)
        self._waiting = self._grant = None

    def end(self) -> None:
        """The study is over: give back what its trials had too, since of trials that end with it nobody tells."""
        self.close()
        for digest in list(self._held):
            self.take_back(digest)


def _leave(place: Place) -> None:
    with suppress(EnvironmentFault):  # the end of this process gives it back too
        place.leave()
