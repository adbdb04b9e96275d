"""The loop that makes what git says and what runs the same. Webhooks only make it look sooner.

In order: what people asked for, heads, schedules and data, and then every new commit is split into runs. Each part is
idempotent: a kill anywhere, and the next round does the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fiat.engine.commands import Commands
from fiat.engine.heads import Heads
from fiat.engine.split import Splitter
from fiat.engine.ticks import Ticks
from fiat.engine.watched import Watched
from fiat.errors import FiatError, SpecError, Stalled, Waiting
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
                self._guarded(f"delivery {key}", lambda key=key, told=delivery: self._deliver(key, told))  # type: ignore[misc]
        for name, watched in self.repos.items():
            if still_ours() and self._is_time(name):
                self._guarded(f"look {name}", lambda watched=watched: self._look(watched))  # type: ignore[misc]
        opened = self.store.changes.open(AT_ONCE)
        for change in opened:
            if still_ours():
                self._guarded(f"change {change.id}", lambda change=change: self._split(change))  # type: ignore[misc]
        return any(f"change {change.id}" not in self._pauses for change in self.store.changes.open(1))

    def paused(self) -> Mapping[str, str]:
        """What is tried again later, with the reason: for people and `/readyz`."""
        return {name: pause.reason for name, pause in self._pauses.items()}

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

    def _deliver(self, key: str, delivery: object) -> None:
        self.store.deliveries.done(key, self.commands.do(delivery))  # type: ignore[arg-type]

    def _split(self, change: Change) -> None:
        self.splitter.split(change)

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """Do a part unless it rests; what fails rests, longer each time, and stops nothing else."""
        pause = self._pauses.get(name)
        if pause is not None and self.clock() < pause.until_s:
            return
        try:
            work()
        except (Waiting, Stalled, SpecError, FiatError) as error:
            pause = self._pauses.setdefault(name, _Pause())
            pause.failures += 1
            asked_s = error.retry_after_s if isinstance(error, Waiting) else None
            wait_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(pause.failures - 1, 9))
            pause.until_s = self.clock() + max(asked_s or 0.0, wait_s)
            if pause.reason != str(error):
                pause.reason = str(error)
                self.log(f"{name}: {error}")
        else:
            self._pauses.pop(name, None)
