"""What goes home while a job runs on another node: lines of its logs, its checkpoints; and the wish to end it comes back."""

import threading
import time
from collections.abc import Callable
from functools import partial

from fiat.builtin.ray_travel_mirror import Mirror
from fiat.builtin.ray_travel_send import Home, Tail, send_checkpoints

_TICK_S = 0.2
_CHECKPOINTS_S = 1.0
_LINES_BYTES = 4 << 20


class Follower:
    """A thread that does it until it is told that the job has ended.

    Args:
        home: where things go.
        cancel: called when the job shall end.
    """

    def __init__(self, home: Home, cancel: Callable[[], None]) -> None:
        self._home = home
        self._cancel = cancel
        self._ended = threading.Event()
        self.fault: Exception | None = None
        self._mirror = _mirror(home)
        self._thread = threading.Thread(target=self._run, name="fiat-follower", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Leave off; what was not sent yet stays here."""
        self._ended.set()
        self._thread.join()

    def finish(self) -> None:
        """Send what is left.

        Raises:
            Exception: what cut the way home.
        """
        self.stop()
        if self.fault is not None:
            raise self.fault

    def _run(self) -> None:
        looked_at = time.monotonic()
        try:
            while True:
                ended = self._ended.wait(_TICK_S)
                self._hear(all_of_it=ended)
                if ended or time.monotonic() - looked_at >= _CHECKPOINTS_S:
                    if self._mirror is not None:
                        self._mirror.send(all_of_it=ended)
                    looked_at = time.monotonic()
                if ended:
                    return
        except Exception as error:
            self.fault = error
            self._cancel()

    def _hear(self, *, all_of_it: bool) -> None:
        home = self._home
        if home.ledger is not None:
            here, there = home.ledger
            known = {tail.here for tail in home.tails}
            home.tails += [
                Tail(path, f"{there}/{path.name}") for path in here.glob("*.log") if path not in known
            ]
        while True:
            said = [
                (tail.home, self._told(lines))
                for tail in home.tails
                if (lines := tail.read(_LINES_BYTES, all_of_it=all_of_it))
            ]
            if home.say(said):
                self._cancel()
            if not (said and all_of_it):
                return

    def _told(self, lines: bytes) -> bytes:
        return self._home.back.text(lines.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )


def _mirror(home: Home) -> Mirror | None:
    if home.checkpoints is None:
        return None
    here, there = home.checkpoints
    return Mirror(here, partial(send_checkpoints, home, there), home.note, home.most_bytes)
