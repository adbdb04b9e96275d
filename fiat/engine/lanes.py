"""Work of several parties side by side, of each one thing after another: who hangs keeps nobody else waiting."""

import threading
import time
from collections.abc import Callable, Collection


class Lanes:
    """A thread for each party that has something to do now, and no more of them than so many.

    Threads are daemons: a conversation that hangs does not keep the process from ending.

    Args:
        name: of the threads.
        most: lanes at a time.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._busy: set[str] = set()
        self._failed: list[Exception] = []
        self._changed = threading.Condition()

    def busy(self) -> frozenset[str]:
        """Whose work goes on."""
        with self._changed:
            return frozenset(self._busy)

    def full(self) -> bool:
        """Whether nobody's work is taken now."""
        with self._changed:
            return len(self._busy) >= self._most

    def offer(self, key: str, work: Callable[[], None]) -> bool:
        """Begin somebody's work.

        Returns:
            False when it was not taken, because the one before goes on or every lane is busy.
        """
        with self._changed:
            if key in self._busy or len(self._busy) >= self._most:
                return False
            self._busy.add(key)
        threading.Thread(
            target=self._run, args=(key, work), name=f"{self._name}-{key}"[:60], daemon=True
        ).start()
        return True

    def idle(self, longest_s: float) -> bool:
        """Whether nobody's work goes on, or none does within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, longest_s)

    def wait(self, keys: Collection[str], longest_s: float) -> bool:
        """Wait for somebody's work, but not for ever.

        Returns:
            Whether all of it is over.

        Raises:
            Exception: what any work raised since this was asked last; the first of several.
        """
        give_up_s = time.monotonic() + longest_s
        with self._changed:
            while left := self._busy.intersection(keys):
                patience_s = give_up_s - time.monotonic()
                if patience_s <= 0 or not self._changed.wait(patience_s):
                    break
            failed, self._failed = self._failed, []
        if failed:
            raise failed[0]
        return not left

    def _run(self, key: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            with self._changed:
                self._failed.append(error)
        finally:
            with self._changed:
                self._busy.discard(key)
                self._changed.notify_all()
