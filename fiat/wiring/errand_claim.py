"""A worker's hold on one run: its beats, and the last word that lets it go."""

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from fiat.errors import Fenced, FiatError
from fiat.run.queue import QueuedRun
from fiat.store.store import Store
from fiat.wiring.desk import utc_now

_BEATS_A_LEASE = 6
_LOOK_S = 0.2
_INSIST_S = 600.0
# What only needs patience gets a day of it, counted anew when a claim went well for an hour.
WAITING_S, _WENT_WELL_S = 86400.0, 3600.0


@dataclass
class Claim:
    """One claim on one run.

    Attributes:
        queued: the run as it was claimed.
        store: the worker's own, not bound to the claim.
        lease_s: how long it may be silent.
        leaving: whether the runner stops.
        log: hears one sentence at a time.
        die: ends this process at once.
        gpu_seconds: GPU time of this claim so far.
        cancel: why the run shall end, empty to go on.
    """

    queued: QueuedRun
    store: Store
    lease_s: float
    leaving: Callable[[], bool]
    log: Callable[[str], None]
    die: Callable[[], None]
    gpu_seconds: Callable[[], float] = lambda: 0.0
    cancel: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    # No beat goes out while the end is written: it would find the claim gone and take that for a loss.
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _began_s: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Show that we live; when that can't be said for a whole lease, somebody else has the run: end at once."""
        last_s, used_s = time.monotonic(), 0.0
        while not self._over.wait(self.lease_s / _BEATS_A_LEASE):
            try:
                with self._writing:
                    if self._over.is_set():
                        return
                    self.cancel = self.store.queue.beat(self.queued.id, self.queued.fence) or self.cancel
                last_s = time.monotonic()
                if (now_used_s := self.gpu_seconds()) > used_s:
                    used_s = now_used_s
                    total_s = self.queued.gpu_seconds + used_s
                    self.store.queue.used(self.queued.id, self.queued.fence, total_s)
            except Fenced as error:
                if not self._over.is_set():
                    self._say(str(error))
                    self.die()
            except FiatError as error:
                self._say(str(error))
                if time.monotonic() - last_s > self.lease_s:
                    self.die()
            except Exception:
                # Without beats the run would be taken for silent in the middle of its work.
                self._say(f"a bug of Fiat; please report it\n{traceback.format_exc()}")
                self.die()

    def over(self) -> None:
        """No more beats."""
        self._over.set()

    def insist(self, write: Callable[[], None]) -> None:
        """Write the last word of this claim, as long as it takes while its beats go on; they end with it.

        Raises:
            Fenced: the claim is lost.
            FiatError: the store did not take it for long, or the runner stops.
        """
        give_up_s, said = time.monotonic() + _INSIST_S, ""
        while True:
            try:
                with self._writing:
                    write()
                    self._over.set()
                return
            except Fenced:
                raise
            except FiatError as error:
                if self.leaving() or time.monotonic() > give_up_s:
                    raise
                if str(error) != said:
                    said = str(error)
                    self._say(f"its end can't be written yet: {error}")
            time.sleep(_LOOK_S)

    def waited_s(self) -> float:
        """For how long the claims of this run have come to nothing but waiting; remembered over all of them."""
        marks, now = self.store.marks, utc_now()
        try:
            since = marks.get(self._key)
            if since is None or time.monotonic() - self._began_s > _WENT_WELL_S:
                marks.set(self._key, now.isoformat())
                return 0.0
        except FiatError as error:
            self._say(str(error))
            return 0.0
        return (now - datetime.fromisoformat(since)).total_seconds()

    def waits_no_more(self) -> None:
        """Forget how long it waited: the run ends."""
        if self.store.marks.get(self._key) is not None:
            self.store.marks.drop(self._key)

    @property
    def _key(self) -> str:
        return f"waits {self.queued.id}"

    def _say(self, text: str) -> None:
        self.log(f"run {self.queued.id}: {text}")
