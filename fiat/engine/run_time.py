"""How long each run has run, all its claims together: counted by our own clock, remembered over restarts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from fiat.store.store import Store

_KEY = "seconds of runs"
# A run that is given back and claimed again more often than this would never come to its limit.
SAVE_EVERY_S = 10.0


@dataclass
class RunTime:
    """Seconds by run. No wall clock counts: one that jumps can't end a run.

    Several runners of a store count the same runs; the highest count stands.

    Attributes:
        store: with marks and the queue.
    """

    store: Store
    _seconds: dict[str, float] = field(default_factory=dict)
    _saved_s: float | None = None

    def add(self, run: str, seconds: float) -> float:
        """A run went on for so long; gives how long it has run."""
        if run not in self._seconds:
            self._seconds[run] = self._read().get(run, 0.0)
        self._seconds[run] += seconds
        return self._seconds[run]

    def save(self, now_s: float) -> None:
        """Write it down, now and then.

        Args:
            now_s: monotonic seconds.
        """
        if not self._seconds or (self._saved_s is not None and now_s - self._saved_s < SAVE_EVERY_S):
            return
        self._saved_s = now_s
        known = dict(self._read())
        for run, seconds in self._seconds.items():
            known[run] = max(seconds, known.get(run, 0.0))
        for run in list(known):
            found = self.store.queue.find(run)
            if found is None or found.state == "done":
                del known[run]
                self._seconds.pop(run, None)
        self.store.marks.set(_KEY, json.dumps({run: round(seconds, 1) for run, seconds in known.items()}))

    def _read(self) -> Mapping[str, float]:
        found: dict[str, float] = json.loads(self.store.marks.get(_KEY) or "{}")
        return found
