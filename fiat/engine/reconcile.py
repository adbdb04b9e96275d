"""The loop that makes what git says and what runs the same. Webhooks only make it look sooner.

In order: what people asked for, every new commit is split into runs, then heads, schedules and data. Each part is
idempotent: a kill anywhere, and the next round does the rest.
"""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from fiat.engine.commands import Commands
from fiat.engine.heads import Heads
from fiat.engine.split import Splitter
from fiat.engine.ticks import Ticks
from fiat.engine.watched import Watched
from fiat.errors import Fenced, FiatError, Waiting
from fiat.run.delivery import Delivery
from fiat.run.queue import Change
from fiat.store.store import Store

AT_ONCE = 50
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0


@dataclass
class _Pause:
    """When something that failed is tried again, by the monotonic clock."""

    until_s: float = 0.0
    failures: int = 0
    reason: str = ""


@dataclass
class Reconciler:
    """One of a store's runners reconciles at a time.

    Attributes:
        store: with everything.
        repos: what is watched, by name.
        heads: looks at git.
        commands: does what people ask for.
        ticks: schedules and new data.
        splitter: makes runs of commits.
        every_s: between two looks at a repository.
        clock: monotonic seconds.
        log: hears one sentence about each thing that failed.
        queued: called as soon as a commit was split: its runs can be claimed, its reports sent.
    """

    store: Store
    repos: Mapping[str, Watched]
    heads: Heads
    commands: Commands
    ticks: Ticks
    splitter: Splitter
    every_s: float
    clock: Callable[[], float]
    log: Callable[[str], None]
    queued: Callable[[], None]
    _looked_s: dict[str, float] = field(default_factory=dict)
    _pauses: dict[str, _Pause] = field(default_factory=dict)

    def tick(self, still_ours: Callable[[], bool] = lambda: True) -> bool:
        """One round.

        Args:
            still_ours: asked between parts; False ends the round (another process has the seat now).

        Returns:
            Whether there is more to do right now.
        """
        for key, delivery in self.store.deliveries.received(AT_ONCE):
            if still_ours():
                self._guarded(f"delivery {key}", partial(self._deliver, key, delivery))
        self._split_open(still_ours)
        for name, watched in self.repos.items():
            if still_ours() and self._is_time(name):
                self._guarded(f"look {name}", partial(self._look, watched))
        return any(f"change {change.id}" not in self._pauses for change in self.store.changes.open(1))

    def _split_open(self, still_ours: Callable[[], bool]) -> None:
        """Before heads are looked at: what was told by webhooks should not wait for a slow forge."""
        for change in self.store.changes.open(AT_ONCE):
            if still_ours():
                self._guarded(f"change {change.id}", partial(self._split, change))

    def hint(self, repo: str) -> None:
        """Look at this repository in the next round."""
        self._looked_s.pop(repo, None)

    def _is_time(self, name: str) -> bool:
        last_s = self._looked_s.get(name)
        return last_s is None or self.clock() - last_s >= self.every_s

    def _look(self, watched: Watched) -> None:
        self._looked_s[watched.policy.name] = self.clock()
        self.heads.look(watched)
        self.ticks.look(watched)

    def _deliver(self, key: int, delivery: Delivery) -> None:
        try:
            said = self.commands.do(delivery)
        except Waiting:
            raise
        except FiatError as error:
            # Sent again by somebody, it is taken again.
            self.store.deliveries.failed(key, str(error))
            raise
        self.store.deliveries.done(key, said)

    def _split(self, change: Change) -> None:
        try:
            self.splitter.split(change)
        except Fenced:
            raise
        except FiatError as error:
            if self.splitter.is_old(change):
                self.splitter.give_up(change, str(error))
            raise
        self.queued()

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """Do a part unless it rests; what fails rests, longer each time, and stops nothing else."""
        pause = self._pauses.get(name)
        if pause is not None and self.clock() < pause.until_s:
            return
        try:
            work()
        except FiatError as error:
            self._rest(name, str(error), error.retry_after_s if isinstance(error, Waiting) else None)
        except Exception as error:
            # A bug that one commit brings out must not keep all others waiting.
            self._rest(name, f"a bug of Fiat; please report it: {type(error).__name__}: {error}", None)
            self.log(traceback.format_exc())
        else:
            self._pauses.pop(name, None)

    def _rest(self, name: str, reason: str, asked_s: float | None) -> None:
        pause = self._pauses.setdefault(name, _Pause())
        pause.failures += 1
        wait_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(pause.failures - 1, 9))
        pause.until_s = self.clock() + max(asked_s or 0.0, wait_s)
        if pause.reason != reason:
            pause.reason = reason
            self.log(f"{name}: {reason}")
