"""Times and ids that only grow, whatever the clock does: what is newer is told by them."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

_TICK = timedelta(microseconds=1)


class Order:
    """One for all threads of a process.

    A clock that is set back, or that of another runner of the same store that is ahead, must not make a new commit look
    older than one that was there before: it would be superseded by it. So time stands still here until the clock has
    caught up. Waits and limits don't go by it.

    Args:
        now: the clock, aware UTC.
        token: a short random text, so that ids of two processes differ.
    """

    def __init__(self, now: Callable[[], datetime], token: Callable[[], str]) -> None:
        self._clock = now
        self._token = token
        self._last: datetime | None = None
        self._lock = threading.Lock()

    def after(self, moment: datetime | None) -> None:
        """Whatever comes is later than this; for what the store holds already."""
        if moment is not None:
            with self._lock:
                self._last = moment if self._last is None else max(self._last, moment)

    def now(self) -> datetime:
        """A time later than every one before."""
        moment = self._clock()
        with self._lock:
            if self._last is not None and moment <= self._last:
                moment = self._last + _TICK
            self._last = moment
        return moment

    def new_id(self) -> str:
        """An id that sorts after every one before; it names a change or a run."""
        return f"{self.now():%Y%m%d-%H%M%S%f}-{self._token()}"
