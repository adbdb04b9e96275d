"""A mirror for whoever serves many repositories: one that is slow is not waited for long, at first."""

import time
from collections.abc import Iterable

from fiat.errors import Waiting
from fiat.git.mirror import Mirror
from fiat.git.mirror_write import FETCH_TIMEOUT_S, HEADS, TAGS

FIRST_TIMEOUT_S = 240.0


class ShortMirror(Mirror):
    """Fetches for some minutes; after each fetch that took longer for twice as long, so that a large one gets through."""

    _limit_s = FIRST_TIMEOUT_S

    def fetch(
        self,
        refs: Iterable[str] = (HEADS, TAGS),
        commits: Iterable[str] = (),
        *,
        timeout_s: float = FETCH_TIMEOUT_S,
    ) -> frozenset[str]:
        """As `Mirror.fetch`, with a limit of its own below the given one."""
        limit_s = min(self._limit_s, timeout_s)
        began_s = time.monotonic()
        try:
            missing = super().fetch(refs, commits, timeout_s=limit_s)
        except Waiting:
            if time.monotonic() - began_s >= limit_s:
                self._limit_s = min(2 * limit_s, FETCH_TIMEOUT_S)
            raise
        self._limit_s = FIRST_TIMEOUT_S
        return missing
