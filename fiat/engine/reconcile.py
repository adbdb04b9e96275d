"""The loop that makes what git says and what runs the same. Webhooks only make it look sooner.

Repositories go side by side, so that one whose git or forge hangs keeps no other waiting. In each one in order: what people
asked for, every new commit is split into runs, then heads, schedules, data, and what stands on targets. Each part is
idempotent: a kill anywhere, and the next round does the rest.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from fiat.engine.commands import Commands
from fiat.engine.heads import Heads
from fiat.engine.intake import find_repo
from fiat.engine.lanes import Lanes
from fiat.engine.pauses import Pauses
from fiat.engine.split import GIVE_UP_S, Splitter
from fiat.engine.targets import Targets
from fiat.engine.ticks import Ticks
from fiat.engine.watched import Watched
from fiat.errors import Fenced, FiatError, Waiting
from fiat.run.delivery import Delivery
from fiat.run.queue import Change
from fiat.store.store import Store

AT_ONCE = 50
# What has waited for a day is given up, but not at the first try after the runner was away for that long.
_PATIENCE_S = 600.0
_SIDE_BY_SIDE = 8

Part = Callable[[], None]


@dataclass
class Reconciler:
    """One of a store's runners reconciles at a time.

    Attributes:
        store: with everything.
        repos: what is watched, by name.
        heads: looks at git.
        commands: does what people ask for.
        ticks: schedules and new data.
        targets: what stands where models were put.
        splitter: makes runs of commits.
        every_s: between two looks at a repository.
        clock: monotonic seconds.
        log: hears one sentence about each thing that failed.
        queued: called as soon as a commit was split: its runs can be claimed, its reports sent.
        patience_s: longest time that a round waits for its repositories; what takes longer goes on behind it.
    """

    store: Store
    repos: Mapping[str, Watched]
    heads: Heads
    commands: Commands
    ticks: Ticks
    targets: Targets
    splitter: Splitter
    every_s: float
    clock: Callable[[], float]
    log: Callable[[str], None]
    queued: Callable[[], None]
    patience_s: float = 3600.0
    _looked_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing has failed yet."""
        self._pauses = Pauses(self.clock, self.log)
        self.lanes = Lanes("reconciler", _SIDE_BY_SIDE)

    def tick(self, still_ours: Callable[[], bool] = lambda: True) -> bool:
        """One round.

        Args:
            still_ours: asked between parts; False ends the round (another process has the seat now).

        Returns:
            Whether there is more to do right now.
        """
        rounds = self._deliveries()
        changes = self._open_changes()
        for repo in {**changes, **self.repos}:
            parts = rounds.setdefault(repo, [])
            # Before heads are looked at: what was told by webhooks should not wait for a slow forge.
            parts += [partial(self._split_guarded, change) for change in changes.get(repo, ())]
            if repo in self.repos and self._is_time(repo):
                parts.append(partial(self._look, repo))
        begun = [
            repo
            for repo, parts in rounds.items()
            if parts and still_ours() and self.lanes.offer(repo, partial(_one_by_one, parts, still_ours))
        ]
        self.lanes.wait(begun, self.patience_s)
        busy = self.lanes.busy()
        return not self.lanes.full() and any(repo not in busy for repo in self._open_changes())

    def _deliveries(self) -> dict[str, list[Part]]:
        """What deliveries ask for, by the repository that they are about."""
        # What rests is fetched beside the rest, so that any number of it keeps nobody else waiting.
        received = self.store.deliveries.received(AT_ONCE + self._pauses.count("delivery"))
        self._pauses.keep_only("delivery", {f"delivery {key}" for key, _ in received})
        policies = [watched.policy for watched in self.repos.values()]
        ready = [(key, one) for key, one in received if not self._pauses.rests(f"delivery {key}")]
        found: dict[str, list[Part]] = {}
        for key, delivery in ready[:AT_ONCE]:
            policy = find_repo(delivery, policies)
            part = partial(
                self._guarded,
                f"delivery {key}",
                partial(self._deliver, key, delivery),
                partial(self._give_up_delivery, key),
            )
            found.setdefault(policy.name if policy else "", []).append(part)
        return found

    def _split_guarded(self, change: Change) -> None:
        self._guarded(
            f"change {change.id}", partial(self._split, change), partial(self._give_up_change, change)
        )

    def _open_changes(self) -> dict[str, list[Change]]:
        """Those that don't rest, by repository: any number of one's keeps no other's waiting."""
        limit = AT_ONCE + self._pauses.count("change")
        found = {repo: self.store.changes.open(limit, repo=repo) for repo in self.store.changes.open_repos()}
        self._pauses.keep_only(
            "change", {f"change {change.id}" for changes in found.values() for change in changes}
        )
        ready = {
            repo: [change for change in changes if not self._pauses.rests(f"change {change.id}")][:AT_ONCE]
            for repo, changes in found.items()
        }
        return {repo: changes for repo, changes in ready.items() if changes}

    def _look(self, repo: str) -> None:
        self._looked_s[repo] = self.clock()
        watched = self.repos[repo]
        self._guarded(f"heads {repo}", partial(self.heads.look, watched))
        self._guarded(f"triggers {repo}", partial(self.ticks.look, watched))
        self._guarded(f"targets {repo}", partial(self.targets.look, watched))

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


def _one_by_one(parts: Sequence[Part], still_ours: Callable[[], bool]) -> None:
    """Do a repository's parts in order."""
    for part in parts:
        if not still_ours():
            return
        part()
