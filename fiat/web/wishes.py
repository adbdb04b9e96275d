"""Remembers what was asked for under which key, so that a client which lost our answer may ask again.

Source: draft-ietf-httpapi-idempotency-key-header. In memory: after a restart the same key is a new wish.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from fiat.run.queue import Change

MOST_KEYS = 1000


class Wishes:
    """The changes that keys stand for; the oldest are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Future[Change]] = OrderedDict()

    def once(self, name: str, key: str, make: Callable[[], Change]) -> Change:
        """Do it, or give what came of it when it was done before or is being done right now.

        Args:
            name: who asks; keys of others are others.
            key: empty for a wish of its own each time.
            make: does it; when it raises, the next try does it again.
        """
        if not key:
            return make()
        own: Future[Change] = Future()
        with self._lock:
            found = self._known.setdefault((name, key), own)
            while len(self._known) > MOST_KEYS:
                self._known.popitem(last=False)
        if found is not own:
            return found.result()
        try:
            own.set_result(make())
        except BaseException as error:
            with self._lock:
                self._known.pop((name, key), None)
            own.set_exception(error)
        return own.result()
