"""Copies of requests for a version that nobody is answered by yet: run aside, compared, thrown away.

Nothing here can delay or spoil the answer: the copy is made after it was sent, what finds the queue full is dropped and
counted, and the thread gives way to those who answer.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from fiat.errors import FiatError
from fiat.serving.compared import compare
from fiat.serving.loaded import LoadedVersion
from fiat.serving.refusal import BadRequest
from fiat.serving.session import RunFault

AnyArray = npt.NDArray[Any]
MOST_WAITING = 32
MOST_ROWS = 4096
"""Larger requests are not copied: what waits holds their arrays."""
_GIVE_WAY = 10


@dataclass(frozen=True)
class Copied:
    """A request and what the stable version said.

    Attributes:
        read: gives the inputs as the other version takes them.
        outputs: of the stable version, with what was added.
        n_rows: of the request.
    """

    read: Callable[[], Mapping[str, AnyArray]]
    outputs: Mapping[str, AnyArray]
    n_rows: int


class Shadow:
    """Runs copies for one version.

    Args:
        loaded: the version.
    """

    def __init__(self, loaded: LoadedVersion) -> None:
        self._loaded = loaded
        self._waiting: queue.Queue[Copied | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"shadow {loaded.version.name}", daemon=True)
        self._thread.start()

    def offer(self, copied: Copied) -> None:
        """Take a copy, or drop it."""
        try:
            if copied.n_rows > MOST_ROWS:
                raise queue.Full
            self._waiting.put_nowait(copied)
        except queue.Full:
            self._loaded.tally.shadow_dropped += 1

    def close(self) -> None:
        """End the thread; what waits is dropped."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        self._waiting.put(None)

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GIVE_WAY)
        while (copied := self._waiting.get()) is not None:
            self._compare(copied)
            del copied  # its arrays are not held while nothing comes

    def _compare(self, copied: Copied) -> None:
        tally = self._loaded.tally
        try:
            outputs = self._loaded.session.run(copied.read(), copied.n_rows)
            answer = self._loaded.answers.add(outputs)
            found = compare(copied.outputs, answer, copied.n_rows)
        except (RunFault, BadRequest, FiatError, ValueError, KeyError, TypeError, IndexError):
            tally.shadow_failed += 1
            return
        tally.disagreed += found.disagrees
        tally.distance += found.distance
        tally.distance_squares += found.distance**2
        tally.shadowed += 1
