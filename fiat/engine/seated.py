"""Hold a role that one process of a store has at a time, and take it over from one that has gone silent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fiat.errors import Fenced, FiatError
from fiat.store.seats import Seat, Seats

_BEATS_A_LEASE = 4
# Who has not come back after this is taken for one that hangs: another process may have a try.
LONGEST_WORK_S = 3600.0


@dataclass
class Seated:
    """One role as this process sees it.

    Attributes:
        seats: where roles are.
        name: of the role.
        holder: this process, `host:pid:start`.
        lease_s: how long a holder may be silent, by our own monotonic clock.
        clock: monotonic seconds.
        alive: whether another holder lives; None when it is on another host.
    """

    seats: Seats
    name: str
    holder: str
    lease_s: float
    clock: Callable[[], float]
    alive: Callable[[str], bool | None]
    _seat: Seat | None = None
    _beat_s: float = 0.0
    _seen: Seat | None = None
    _seen_s: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def ours(self) -> bool:
        """Whether this process has the role now; asks the store a few times a lease.

        Raises:
            EnvironmentFault: the store does not answer.
        """
        with self._lock:
            return self._ours()

    @contextmanager
    def kept(self, longest_s: float = LONGEST_WORK_S) -> Iterator[None]:
        """Beat from a thread of its own while something slow is done: a fetch must not cost the role.

        Args:
            longest_s: after this it beats no more, by the real monotonic clock.
        """
        over = threading.Event()
        beats = threading.Thread(
            target=self._keep, args=(over, longest_s), name=f"seat-{self.name}", daemon=True
        )
        beats.start()
        try:
            yield
        finally:
            over.set()
            beats.join()

    def _keep(self, over: threading.Event, longest_s: float) -> None:
        pause_s = self.lease_s / _BEATS_A_LEASE
        left = int(longest_s / pause_s)
        while left > 0 and not over.wait(pause_s):
            left -= 1
            with self._lock:
                if self._seat is None:
                    return
                try:
                    self._ours()
                except FiatError:
                    # Whoever asks next hears of it.
                    continue

    def _ours(self) -> bool:
        now_s = self.clock()
        if self._seat is not None:
            if now_s - self._beat_s < self.lease_s / _BEATS_A_LEASE:
                return True
            try:
                self.seats.beat(self._seat)
            except Fenced:
                self._seat = None
            else:
                self._beat_s = now_s
                return True
        return self._take(now_s)

    def give(self) -> None:
        """Leave the role to whoever comes."""
        with self._lock:
            if self._seat is not None:
                self.seats.give(self._seat)
                self._seat = None

    def _take(self, now_s: float) -> bool:
        if self._seen is not None and now_s - self._seen_s < self.lease_s / _BEATS_A_LEASE:
            return False
        seen = self.seats.look(self.name)
        if not seen.holder or seen.holder == self.holder:
            return self._got(self.seats.take(self.name, self.holder), now_s)
        if self.alive(seen.holder) is False:
            return self._got(self.seats.seize(seen, self.holder), now_s)
        if self._seen is None or (self._seen.fence, self._seen.beat) != (seen.fence, seen.beat):
            self._seen, self._seen_s = seen, now_s
            return False
        if now_s - self._seen_s >= self.lease_s:
            return self._got(self.seats.seize(seen, self.holder), now_s)
        return False

    def _got(self, seat: Seat | None, now_s: float) -> bool:
        self._seat, self._beat_s = seat, now_s
        self._seen = None
        return seat is not None
