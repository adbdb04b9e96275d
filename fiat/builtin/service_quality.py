"""How good versions are on requests whose labels have come, asked beside the keeper's work: reading a log takes a while."""

import threading
import time
from collections.abc import Callable

from fiat.errors import FiatError
from fiat.monitor.ask import ask_quality
from fiat.monitor.tally import Labelled
from fiat.serving.place import Place
from fiat.serving.rollout_checks import Quality

ASK_EVERY_S = 5.0


class QualityWatch:
    """What is known of versions' quality; asked again every few seconds while somebody wants to know.

    Args:
        place: of the service.
        every_s: between two questions.
        ask: gives what is known of requests since a moment.
    """

    def __init__(
        self,
        place: Place,
        every_s: float = ASK_EVERY_S,
        ask: Callable[..., Labelled] = ask_quality,
    ) -> None:
        self._place, self._every_s, self._ask = place, every_s, ask
        self._asked_s = -every_s
        self._since_s = 0.0
        self._known = Labelled({})
        self._thread: threading.Thread | None = None

    def since(self, since_s: float, *digests: str) -> tuple[Quality, ...]:
        """What is known by now of each of these versions, on requests since a moment (seconds since 1970)."""
        if since_s != self._since_s:
            self._since_s, self._known, self._asked_s = since_s, Labelled({}), -self._every_s
        idle = self._thread is None or not self._thread.is_alive()
        if idle and time.monotonic() - self._asked_s >= self._every_s:
            self._asked_s = time.monotonic()
            self._thread = threading.Thread(target=self._look, args=(since_s,), name="quality", daemon=True)
            self._thread.start()
        return tuple(self._of(digest) for digest in digests)

    def _of(self, digest: str) -> Quality:
        found = self._known.versions.get(digest)
        return Quality(found.n, found.n_right) if found else Quality()

    def _look(self, since_s: float) -> None:
        try:
            known = self._ask(self._place.predictions, self._place.labels, since_s)
        except FiatError as error:
            print(f"quality is not known: {error}", flush=True)
            return
        if since_s == self._since_s:
            self._known = known
