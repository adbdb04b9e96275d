"""Asks a server again and again whether it is ready, in a thread: a hung one must not hang who looks after it."""

import http.client
import threading
import time

_TIMEOUT_S = 2.0
_READY = "/v2/health/ready"


def asks_ready(host: str, port: int, timeout_s: float = _TIMEOUT_S) -> tuple[bool, bool]:
    """Whether a server answers at all, and whether it says that it is ready."""
    link = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        link.request("GET", _READY)
        answer = link.getresponse()
        answer.read()
        return True, answer.status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False, False
    finally:
        link.close()


class HealthWatch:
    """What a server said lately.

    Args:
        host: of it.
        port: of it.
        every_s: between two questions, once it is ready.
    """

    def __init__(self, host: str, port: int, every_s: float = 1.0) -> None:
        self._host, self._port, self._every_s = host, port, every_s
        self._last = time.monotonic()
        self._stopped = threading.Event()
        self.ever = False
        self.ready = False

    @property
    def silent_s(self) -> float:
        """Seconds since it answered last, or since the watch began."""
        return time.monotonic() - self._last

    def start(self) -> None:
        """Begin to ask."""
        threading.Thread(target=self._ask, name="health", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()

    def _ask(self) -> None:
        while not self._stopped.is_set():
            answers, ready = asks_ready(self._host, self._port)
            if answers:
                self._last = time.monotonic()
                self.ever = True
            self.ready = ready
            self._stopped.wait(self._every_s if ready else 0.1)
