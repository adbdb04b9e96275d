"""Who gets which part of a machine, and when: first come, first served, without leaving anything idle."""

from collections.abc import Sequence
from dataclasses import dataclass

from fiat.ports.compute import Resources

_TINY = 1e-9


@dataclass(frozen=True)
class Share:
    """What one job was given; the ids of its GPUs are in `gpus`."""

    need: Resources
    gpus: tuple[str, ...]


class Room:
    """CPU cores, GPUs and memory of one machine. Not thread-safe: its owner holds a lock."""

    def __init__(self, cpus: float, gpus: Sequence[str], memory_bytes: int) -> None:
        self._cpus = cpus
        self._memory_bytes = memory_bytes
        self._gpus = dict.fromkeys(gpus, 1.0)

    def take(self, queue: Sequence[Resources]) -> list[tuple[int, Share]]:
        """Give to as many waiting jobs as possible.

        A job that does not fit keeps its claim: those behind it may only take what it would leave, so a
        large job is never passed for ever, and a small one need not wait for what it does not use.

        Args:
            queue: needs in the order of their arrival.

        Returns:
            (position in the queue, what it got), in order.
        """
        given: list[tuple[int, Share]] = []
        claimed_cpus, claimed_bytes, claimed_gpus = 0.0, 0, 0.0
        for position, need in enumerate(queue):
            memory = need.memory_bytes or 0
            gpus = self._pick(need.gpus, claimed_gpus)
            fits = (
                need.cpus <= self._cpus - claimed_cpus + _TINY
                and memory <= self._memory_bytes - claimed_bytes
                and gpus is not None
            )
            if not fits or gpus is None:
                claimed_cpus += need.cpus
                claimed_bytes += memory
                claimed_gpus += need.gpus
                continue
            self._change(need, gpus, -1)
            given.append((position, Share(need, gpus)))
        return given

    def give_back(self, share: Share) -> None:
        """The job has ended."""
        self._change(share.need, share.gpus, +1)

    def _pick(self, wanted: float, claimed: float) -> tuple[str, ...] | None:
        """Ids for a wish: whole GPUs, or the fullest one that still has the fraction; None when there is none."""
        if wanted <= 0:
            return ()
        if sum(self._gpus.values()) - claimed < wanted - _TINY:
            return None
        if wanted < 1:
            fitting = [gpu for gpu, free in self._gpus.items() if free >= wanted - _TINY]
            return (min(fitting, key=lambda gpu: self._gpus[gpu]),) if fitting else None
        whole = [gpu for gpu, free in self._gpus.items() if free >= 1 - _TINY]
        return tuple(whole[: round(wanted)]) if len(whole) >= wanted else None

    def _change(self, need: Resources, gpus: tuple[str, ...], sign: int) -> None:
        self._cpus += sign * need.cpus
        self._memory_bytes += sign * (need.memory_bytes or 0)
        for gpu in gpus:
            self._gpus[gpu] += sign * min(need.gpus, 1.0)
