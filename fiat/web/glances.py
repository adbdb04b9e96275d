"""Lets many followers of one run share one look at the store."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from fiat.run.view import LogChunk, RunView

MOST_RUNS = 64


class Followed(Protocol):
    """What a follower needs; `RunDoor` has it."""

    def run(self, run_id: str) -> RunView | None:
        """One run with its steps; None when there is none."""
        ...

    def log(self, run_id: str, step: str, offset: int, limit: int) -> LogChunk | None:
        """A piece of a step's log."""
        ...


class Glances:
    """Gives what was seen of a run a moment ago.

    Args:
        door: where runs are read.
        keep_s: how long a look counts, in seconds.
        clock: monotonic seconds.
    """

    def __init__(self, door: Followed, keep_s: float, clock: Callable[[], float]) -> None:
        self._door = door
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[float, RunView | None]] = OrderedDict()

    def run(self, run_id: str) -> RunView | None:
        """The run as it was at most `keep_s` ago."""
        with self._lock:
            seen = self._seen.get(run_id)
        if seen is not None and self._clock() - seen[0] < self._keep_s:
            return seen[1]
        view = self._door.run(run_id)
        with self._lock:
            self._seen[run_id] = (self._clock(), view)
            self._seen.move_to_end(run_id)
            while len(self._seen) > MOST_RUNS:
                self._seen.popitem(last=False)
        return view

    def log(self, run_id: str, step: str, offset: int, limit: int) -> LogChunk | None:
        """Not shared: each follower is at another place."""
        return self._door.log(run_id, step, offset, limit)
