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
from fiat.engine.pauses import Pauses
from fiat.engine.split import GIVE_UP_S, Splitter
from fiat.engine.ticks import Ticks
from fiat.engine.watched import Watched
from fiat.errors import Fenced, FiatError, Waiting
from fiat.run.delivery import Delivery
from fiat.run.queue import Change
from fiat.store.store import Store

AT_ONCE = 50
# What has waited for a day is given up, but not at the first try after the runner was away for that long.
_PATIENCE_S = 600.0


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

    def __post_init__(self) -> None:
        """Nothing has failed yet."""
        self._pauses = Pauses(self.clock, self.log)

    def tick(self, still_ours: Callable[[], bool] = lambda: True) -> bool:
        """One round.

        Args:
            still_ours: asked between parts; False ends the round (another process has the seat now).

        Returns:
            Whether there is more to do right now.
        """
        self._deliver_received(still_ours)
        self._split_open(still_ours)
        for name, watched in self.repos.items():
            if still_ours() and self._is_time(name):
                self._looked_s[name] = self.clock()
                self._guarded(f"heads {name}", partial(self.heads.look, watched))
                self._guarded(f"triggers {name}", partial(self.ticks.look, watched))
        return bool(self._open_changes())

    def _deliver_received(self, still_ours: Callable[[], bool]) -> None:
        # What rests is fetched beside the rest, so that any number of it keeps nobody else waiting.
        received = self.store.deliveries.received(AT_ONCE + self._pauses.count("delivery"))
        self._pauses.keep_only("delivery", {f"delivery {key}" for key, _ in received})
        ready = [(key, one) for key, one in received if not self._pauses.rests(f"delivery {key}")]
        for key, delivery in ready[:AT_ONCE]:
            if still_ours():
                self._guarded(
                    f"delivery {key}",
                    partial(self._deliver, key, delivery),
                    partial(self._give_up_delivery, key),
                )

    def _split_open(self, still_ours: Callable[[], bool]) -> None:
        """Before heads are looked at: what was told by webhooks should not wait for a slow forge."""
        for change in self._open_changes():
            if still_ours():
                self._guarded(
                    f"change {change.id}", partial(self._split, change), partial(self._give_up_change, change)
                )

    def _open_changes(self) -> list[Change]:
        """Those that don't rest."""
        found = self.store.changes.open(AT_ONCE + self._pauses.count("change"))
        self._pauses.keep_only("change", {f"change {change.id}" for change in found})
        return [change for change in found if not self._pauses.rests(f"change {change.id}")][:AT_ONCE]

    def hint(self, repo: str) -> None:
        """Look at this repository in the next round."""
        self._looked_s.pop(repo, None)

    def _is_time(self, name: str) -> bool:
        last_s = self._looked_s.get(name)
        return last_s is None or self.clock() - last_s >= self.every_s

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

    def _give_up_delivery(self, key: int, reason: str) -> bool:
        if not self._had_time(f"delivery {key}", self.store.deliveries.age_s(key) > GIVE_UP_S):
            return False
        self.store.deliveries.failed(key, f"given up: {reason}")
        return True

    def _split(self, change: Change) -> None:
        self.splitter.split(change)
        self.queued()

    def _give_up_change(self, change: Change, reason: str) -> bool:
        if not self._had_time(f"change {change.id}", self.splitter.is_old(change)):
            return False
        self.splitter.give_up(change, reason)
        self.queued()
        return True

    def _had_time(self, name: str, is_old: bool) -> bool:
        """Whether something has failed for a day, by its own age or by our own clock."""
        return self._pauses.failing_s(name) > (_PATIENCE_S if is_old else GIVE_UP_S)

    def _guarded(
        self, name: str, work: Callable[[], None], give_up: Callable[[str], bool] = lambda _: False
    ) -> None:
        """Do a part unless it rests; what fails rests, longer each time, and stops nothing else.

        Args:
            name: of the part.
            work: does it.
            give_up: ends it with a reason when it has failed for too long, and says whether it did.
        """
        if self._pauses.rests(name):
            return
        try:
            self._try(name, work, give_up)
        except FiatError as error:
            self._pauses.rest(name, str(error), error.retry_after_s if isinstance(error, Waiting) else None)
        except Exception as error:
            self._pauses.rest(name, _bug(error))
            self.log(traceback.format_exc())
        else:
            self._pauses.over(name)

    def _try(self, name: str, work: Callable[[], None], give_up: Callable[[str], bool]) -> None:
        try:
            work()
        except Fenced:
            raise
        except FiatError as error:
            if not give_up(str(error)):
                raise
            self.log(f"{name}: given up: {error}")
        except Exception as error:
            # A bug that one commit brings out must not keep all others waiting, nor its check pending for ever.
            if not give_up(_bug(error)):
                raise
            self.log(f"{name}: given up\n{traceback.format_exc()}")


def _bug(error: Exception) -> str:
    return f"a bug of Fiat; please report it: {type(error).__name__}: {error}"
