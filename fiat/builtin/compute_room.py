"""Who gets which cores and how much memory of a machine, and when, without leaving anything idle.

GPUs are not counted here: other processes use them too, and the ledger that all share decides (`gpu_pool.py`).
"""

from collections.abc import Callable, Sequence

from fiat.ports.compute import Resources

_TINY = 1e-9


def in_order(queue: Sequence[Resources]) -> list[int]:
    """Positions in a queue of arrival, in the order in which they are served: by priority, then age."""
    return sorted(range(len(queue)), key=lambda position: -queue[position].priority)


class Room:
    """CPU cores and memory of one machine. Not thread-safe: its owner holds a lock."""

    def __init__(self, cpus: float, memory_bytes: int) -> None:
        self._cpus = cpus
        self._memory_bytes = memory_bytes

    def take(self, queue: Sequence[Resources], gpus: Callable[[int, bool], bool | None]) -> list[int]:
        """Give to as many waiting jobs as possible; a job takes what all its workers need or nothing.

        A job that does not fit keeps its claim: those behind it may only take what it would leave, so a
        large job is never passed for ever, and a small one need not wait for what it does not use. One that asked for
        GPUs in vain keeps no claim to the rest: these would stand still for as long.

        Args:
            queue: needs in the order of their arrival.
            gpus: for jobs with GPUs: told a position and whether the job there has all else, it takes its GPUs, if so and
                if it can have them now, and says whether it has them; None when it did not ask.

        Returns:
            Positions in the queue that were served, in order.
        """
        given: list[int] = []
        claimed_cpus, claimed_bytes = 0.0, 0
        for position in in_order(queue):
            need = queue[position]
            cpus, memory = _whole(need)
            left_cpus, left_bytes = self._cpus - claimed_cpus, self._memory_bytes - claimed_bytes
            fits = cpus <= max(0.0, left_cpus) + _TINY and memory <= max(0, left_bytes)
            has_gpus = True if need.gpus <= 0 else gpus(position, fits)
            if fits and has_gpus:
                self._change(need, -1)
                given.append(position)
            elif not fits and has_gpus is not False:
                claimed_cpus += cpus
                claimed_bytes += memory
        return given

    def give_back(self, need: Resources) -> None:
        """The job has ended."""
        self._change(need, +1)

    def _change(self, need: Resources, sign: int) -> None:
        cpus, memory = _whole(need)
        self._cpus += sign * cpus
        self._memory_bytes += sign * memory


def _whole(need: Resources) -> tuple[float, int]:
    """Cores and bytes of all workers."""
    return need.cpus * need.workers, (need.memory_bytes or 0) * need.workers
