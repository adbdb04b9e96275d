"""Taking turns at a SQLite file: who waits is seen, and who has just had his turn lets him through.

SQLite itself only polls, further and further apart, so that a process which writes again and again starves the others for
seconds, readers as well: with a rollback journal nobody reads during a commit.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.004
# Longer than any pause between two tries, so that whoever waits gets one in.
_GIVE_WAY_S = 0.006
# Who comes back later than this after his last turn does not have to give way.
_RECENT_S = 0.02

_T = TypeVar("_T")


class Turnstile:
    """The queue before a database. Used by one thread at a time.

    Args:
        path: a file beside the database; made by the first one who has to wait.
        timeout_s: how long to wait for a turn.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._descriptor: int | None = None
        self._left_s = 0.0

    def give_way(self) -> None:
        """Let those who wait have their turn, when our last one was just before."""
        if time.monotonic() - self._left_s < _RECENT_S and self._somebody_waits():
            time.sleep(_GIVE_WAY_S)

    def leave(self) -> None:
        """Our turn is over."""
        self._left_s = time.monotonic()

    def insist(self, attempt: Callable[[], _T], is_busy: Callable[[Exception], bool]) -> _T:
        """Try until it goes through or the time is up.

        Args:
            attempt: what to try; when it is refused, nothing of it was done.
            is_busy: whether an exception of it only says that somebody else has the turn.
        """
        try:
            return attempt()
        except Exception as error:
            if not is_busy(error):
                raise
        deadline = time.monotonic() + self._timeout_s
        pause_s = _FIRST_PAUSE_S
        with self._waiting():
            while True:
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
                try:
                    return attempt()
                except Exception as error:
                    if not is_busy(error) or time.monotonic() > deadline:
                        raise

    def close(self) -> None:
        """Give the file back; calling it twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        held = self._open(os.O_CREAT)
        if held is not None:
            fcntl.flock(held, fcntl.LOCK_SH)
        try:
            yield
        finally:
            if held is not None:
                fcntl.flock(held, fcntl.LOCK_UN)

    def _somebody_waits(self) -> bool:
        held = self._open(0)
        if held is None:
            return False
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(held, fcntl.LOCK_UN)
        return False

    def _open(self, flags: int) -> int | None:
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | flags, 0o666)
            except OSError:
                return None  # nobody has waited yet, or the disk lets nobody write: then there are no turns to take
        return self._descriptor
