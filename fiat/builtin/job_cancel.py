"""Cancel a job from another thread, whatever it is doing at that moment."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cancellation:
    """A wish to end one job. It may come before, while and after the job runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._act: Callable[[], None] | None = None

    @property
    def asked(self) -> bool:
        """Whether it was wished."""
        with self._lock:
            return self._asked

    def ask(self) -> None:
        """Wish it; from any thread."""
        with self._lock:
            self._asked = True
            if self._act is not None:
                self._act()

    @contextmanager
    def bound(self, act: Callable[[], None]) -> Iterator[None]:
        """Within, a wish calls `act`, at once when it came before."""
        with self._lock:
            self._act = act
            if self._asked:
                act()
        try:
            yield
        finally:
            with self._lock:
                self._act = None
