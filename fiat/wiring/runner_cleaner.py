"""Once a day: forget what a runner no longer keeps, and pack its mirrors."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fiat.engine.checkouts import Checkouts
from fiat.engine.seated import Seated
from fiat.engine.watched import Watched
from fiat.run.queue import QueueState
from fiat.store.store import Store

# The first time after an hour, not in the rush of a start.
FIRST_S, EVERY_S = 3600.0, 86400.0
_LOOK_S = 5.0
_CHECKOUTS_KEPT_S = 7 * 86400.0
_OPEN: tuple[QueueState, ...] = ("held", "waiting", "running")
_MOST_OPEN = 100_000
_RECENT = 1000


@dataclass
class Cleaner:
    """One of a store's runners cleans at a time.

    Attributes:
        store: what is cleaned.
        repos: with the mirrors that are packed.
        checkouts: laid out commits.
        seat: of the one that cleans.
        keep_runs: newest runs of each spec that are remembered.
        keep_days: younger runs are remembered too, and so long what people can ask for again.
        clock: monotonic seconds.
    """

    store: Store
    repos: Mapping[str, Watched]
    checkouts: Checkouts
    seat: Seated
    keep_runs: int
    keep_days: float
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """The first time is some way off."""
        self._due_s = self.clock() + FIRST_S

    def work(self) -> float:
        """Clean when it is time; gives seconds until the next look."""
        if self.seat.ours() and self.clock() >= self._due_s:
            self._due_s = self.clock() + EVERY_S
            with self.seat.kept(EVERY_S):
                self.clean()
        return _LOOK_S

    def clean(self) -> None:
        """Do it now.

        Raises:
            FiatError: git, the disk or the store refused.
        """
        self.checkouts.sweep(_CHECKOUTS_KEPT_S, time.time(), keep=self._open_commits())
        self.store.gc(keep_runs=self.keep_runs, keep_days=self.keep_days, queue_days=self.keep_days)
        for name, watched in self.repos.items():
            # Lets go what only old pull requests needed.
            recent = self.store.changes.newest(repo=name, limit=_RECENT)
            watched.mirror.tidy(self._open_commits(name) | {change.commit for change in recent})

    def _open_commits(self, repo: str = "") -> set[str]:
        """Commits of runs that are not over."""
        return {
            run.commit
            for state in _OPEN
            for run in self.store.queue.newest(repo=repo, state=state, limit=_MOST_OPEN)
        }
