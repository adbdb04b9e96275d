"""Hold a role that one process of a store has at a time, and take it over from one that has gone silent."""

from collections.abc import Callable
from dataclasses import dataclass

from fiat.errors import Fenced
from fiat.store.seats import Seat, Seats

_BEATS_A_LEASE = 4


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

    def ours(self) -> bool:
        """Whether this process has the role now; asks the store a few times a lease.

        Raises:
            EnvironmentFault: the store does not answer.
        """
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
