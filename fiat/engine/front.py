"""What doors ask of a runner: take deliveries, show runs, do what people want. Thread-safe."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from fiat.engine.asks import Asks, own_serial
from fiat.engine.group_commit import GroupCommit
from fiat.engine.intake import Asked, asked
from fiat.engine.policy import HEADS, TAGS, RepoPolicy
from fiat.engine.telling import Telling
from fiat.engine.watched import Watched
from fiat.errors import SpecError
from fiat.run.delivery import Delivery
from fiat.run.queue import Change, QueuedRun
from fiat.run.view import CancelState, TakenState
from fiat.store.deliveries import Taking, Wanted
from fiat.store.store import Store

_HEX = frozenset("0123456789abcdef")


@dataclass
class Front:
    """Verbs of the doors; what only shows is in `shown.py`.

    Attributes:
        store: of the front alone.
        policies: what is watched.
        telling: words for forges.
        new_id: gives the id of a change.
        now: the clock, aware UTC.
        wake: called when there is something new to do: with a repository's name, or empty.
        repos: what is watched, with mirrors; for asking git what a name means.
        asks: does what people ask for.
    """

    store: Store
    policies: Sequence[RepoPolicy]
    telling: Telling
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    wake: Callable[[str], None]
    repos: Mapping[str, Watched]
    asks: Asks

    def __post_init__(self) -> None:
        """Start the writer."""
        self._writer: GroupCommit[Taking, str] = GroupCommit(self._write)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def take(self, items: Sequence[Delivery]) -> list[TakenState]:
        """Write deliveries, the changes that they ask for and the first reports, durably.

        Raises:
            EnvironmentFault: the store did not take them; nothing of them is kept.
        """
        known = [self._asked(delivery) for delivery in items]
        takings = [self._taking(delivery, one) for delivery, one in zip(items, known, strict=True)]
        states = self._writer.put(takings)
        for one, state in zip(known, states, strict=True):
            if state == "new" and one.repo is not None and (one.changes or one.later):
                self.wake(one.repo.name)
        return [
            "ignored" if one.repo is None and state == "new" else state  # type: ignore[misc]
            for one, state in zip(known, states, strict=True)
        ]

    def _asked(self, delivery: Delivery) -> Asked:
        return asked(delivery, self.policies, new_id=self.new_id, now=self.now())

    def _taking(self, delivery: Delivery, found: Asked) -> Taking:
        wanted = tuple(Wanted(change, tuple(self.telling.change(change))) for change in found.changes)
        return Taking(delivery, wanted, later=found.later)

    def _write(self, items: Sequence[Taking]) -> list[str]:
        return list(self.store.deliveries.take(items))

    def cancel(self, run_id: str, who: str) -> CancelState:
        """End a run.

        Raises:
            SpecError: there is no such run.
        """
        run = self._run(run_id)
        if run.state == "done" or not self.store.queue.cancel(run_id, f"cancelled by {who}", self.telling):
            return "over"
        self.wake("")
        return "cancelling" if run.state == "running" else "cancelled"

    def submit(
        self, repo: str, ref: str, specs: Sequence[str], overrides: Sequence[str], who: str, key: str = ""
    ) -> Change:
        """Ask for runs of a branch, tag or commit; the same key of the same person is done once.

        Raises:
            SpecError: no such repository, branch or commit.
            Waiting: git does not answer.
        """
        watched = self._watched(repo)
        if _is_commit(ref) and self.asks.last_change(repo, ref) is not None:
            # Again, for the purpose that it had: a pull request's commit is on no watched branch.
            known = self.asks.commit_change(watched, ref, f"asked for by {who}")
            # With overrides it deploys nothing, so that the commit need not be the head of its branch.
            purpose = "manual" if overrides and known.purpose == "push" else known.purpose
            again = replace(known, purpose=purpose, specs=tuple(specs), overrides=tuple(overrides))
            change = self.asks.add(again, _serial(who, key))
            self.wake(repo)
            return change
        full, commit = self._resolve(watched, ref)
        change = Change(
            id=self.new_id(),
            repo=repo,
            commit=commit,
            purpose="manual",
            ref=full,
            specs=tuple(specs),
            overrides=tuple(overrides),
            cause=f"asked for by {who}",
            made_at=self.now(),
        )
        change = self.asks.add(change, _serial(who, key))
        self.wake(repo)
        return change

    def approve(self, repo: str, pull: int, commit: str, who: str) -> int:
        """Let the held runs of that very commit go.

        Raises:
            SpecError: the commit is not written out, or the repository is not watched.
            Stalled: nothing of that commit waits for approval.
        """
        self._watched(repo)
        if not _is_commit(commit):
            raise SpecError("an approval names the whole commit", hint="40 hex digits")
        released = self.asks.let_go(repo, pull, commit, who)
        self.wake("")
        return released

    def rollback(self, repo: str, spec: str, who: str) -> Change:
        """Bring back the model that was released before the one that is released now.

        Raises:
            SpecError: there is no earlier release.
        """
        watched = self._watched(repo)
        change = self.asks.rollback(watched, spec, who)
        self.wake(repo)
        return change

    def _watched(self, repo: str) -> Watched:
        if repo not in self.repos:
            raise SpecError(f"{repo} is not watched", hint="see `repositories` in the runner's settings")
        return self.repos[repo]

    def _run(self, run_id: str) -> QueuedRun:
        run = self.store.queue.find(run_id)
        if run is None:
            raise SpecError(f"there is no run {run_id[:80]}")
        return run

    def _resolve(self, watched: Watched, ref: str) -> tuple[str, str]:
        """Full ref name and commit of what somebody wrote: a branch, a tag, or a commit of a watched branch."""
        heads = watched.mirror.heads(pulls=False)
        for full in (ref, f"{HEADS}{ref}", f"{TAGS}{ref}"):
            if full in heads:
                return full, heads[full]
        if _is_commit(ref):
            branches = [name for name in heads if name.startswith(HEADS) and watched.policy.watches(name)]
            watched.mirror.fetch(branches)
            for name in sorted(branches, key=lambda name: not watched.policy.protects(name)):
                if watched.mirror.has(ref) and watched.mirror.on_branch(ref, name):
                    return name, ref
            raise SpecError(f"commit {ref[:10]} is on no watched branch of {watched.policy.name}")
        raise SpecError(
            f"{watched.policy.name} has no branch, tag or commit {ref[:100]}", hint="is it pushed?"
        )


def _serial(who: str, key: str) -> int | None:
    """A serial for one wish of one person; None without a key."""
    return own_serial(who, key) if key else None


def _is_commit(text: str) -> bool:
    return len(text) in (40, 64) and set(text) <= _HEX
