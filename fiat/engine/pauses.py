"""What failed and rests before it is tried again, longer each time; told once a reason."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0


@dataclass
class _Pause:
    """One thing that failed, by the monotonic clock."""

    since_s: float
    until_s: float = 0.0
    failures: int = 0
    reason: str = ""


@dataclass
class Pauses:
    """Pauses by the name of what failed. Safe to use from several threads.

    Attributes:
        clock: monotonic seconds.
        log: hears one sentence about each thing that failed.
    """

    clock: Callable[[], float]
    log: Callable[[str], None]
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def rests(self, name: str) -> bool:
        """Whether it is not its time yet."""
        pause = self._pauses.get(name)
        return pause is not None and self.clock() < pause.until_s

    def rest(self, name: str, reason: str, asked_s: float | None = None) -> None:
        """It failed.

        Args:
            name: of what failed.
            reason: one sentence; said when it is another one than before.
            asked_s: how long the other side asks us to wait, seconds.
        """
        with self._lock:
            pause = self._pauses.setdefault(name, _Pause(self.clock()))
            pause.failures += 1
            wait_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(pause.failures - 1, 9))
            pause.until_s = self.clock() + max(asked_s or 0.0, wait_s)
            said, pause.reason = pause.reason, reason
        if said != reason:
            self.log(f"{name}: {reason}")

    def failing_s(self, name: str) -> float:
        """For how long it has failed each time, seconds; 0 when it has not."""
        pause = self._pauses.get(name)
        return 0.0 if pause is None else self.clock() - pause.since_s

    def over(self, name: str) -> None:
        """It went well, or is tried no more."""
        with self._lock:
            self._pauses.pop(name, None)

    def count(self, kind: str) -> int:
        """How many names that begin with this word have failed."""
        with self._lock:
            return sum(name.startswith(f"{kind} ") for name in self._pauses)

    def keep_only(self, kind: str, names: Collection[str]) -> None:
        """Forget those that begin with this word but for these: somebody else was done with them."""
        with self._lock:
            for name in [name for name in self._pauses if name.startswith(f"{kind} ") and name not in names]:
                del self._pauses[name]
