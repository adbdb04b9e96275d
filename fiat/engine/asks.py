"""What may be asked of the queue beyond new commits: run again, approve, cancel, go back."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from fiat.engine.policy import HEADS
from fiat.engine.specs_at import SpecsAt
from fiat.engine.telling import Telling
from fiat.engine.watched import Watched
from fiat.engine.went_before import left_behind, released, went_before
from fiat.errors import SpecError
from fiat.ports.forge import Pull
from fiat.run.queue import Change, check_word
from fiat.store.store import Store

SHORT = 10
_BY_ITSELF = ("push", "pr")
_OPEN_LOOKED_AT = 1000
_AGAIN = ("push", "pull_request", "schedule", "data")


@dataclass
class Asks:
    """Does what somebody asks for who may; who may is decided elsewhere.

    Attributes:
        store: with the queue.
        telling: words for forges.
        new_id: gives the id of a change.
        now: the clock, aware UTC.
        specs: for what a spec calls its model.
    """

    store: Store
    telling: Telling
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    specs: SpecsAt = field(default_factory=SpecsAt)

    def add(self, change: Change, serial: int | None = None) -> Change:
        """Queue a change as a further one of its commit, or under a serial of its own that is taken once.

        Returns:
            The change as it was written, or as it was written before under that serial.
        """
        number = self.store.changes.next_serial(change) if serial is None else serial
        change = replace(change, serial=number)
        if self.store.changes.add(change, self.telling.change(change)):
            return change
        known = self.store.changes.of_commit(change.repo, change.commit)
        same = [one for one in known if (one.purpose, one.ref, one.pull, one.serial) == _key(change)]
        return same[0] if same else change

    def let_go(self, repo: str, pull: int, commit: str, who: str) -> int:
        """Let the held runs of that very commit go, and say that they wait for a worker now.

        Returns:
            How many there were; 0 when the commit has not become runs yet.

        Raises:
            Stalled: nothing of that commit waits for approval.
        """
        released = self.store.queue.approve(repo, pull, commit, who)
        self.store.outbox.add([item for run in released for item in self.telling.waits(run)])
        return len(released)

    def agree(self, repo: str, commit: str, who: str) -> None:
        """Remember that somebody agreed to deploy what a commit says."""
        self.store.marks.set(agreed_key(repo, commit), who)

    def rollback(self, watched: Watched, spec: str, who: str, serial: int | None = None) -> Change:
        """A run of the commit that a spec's model before this one was released from: it is reused, not trained.

        Raises:
            SpecError: there is no earlier release.
        """
        left = left_behind(self.store, watched.policy.name)
        releases = released(self.store, self.specs, watched, spec)
        earlier = went_before([one for one in releases if one.digest not in left])
        if earlier is None:
            raise SpecError(f"{spec} has no earlier release to go back to")
        return self.add(
            Change(
                id=self.new_id(),
                repo=watched.policy.name,
                commit=earlier.commit,
                purpose="rollback",
                ref=f"{HEADS}{earlier.branch}",
                specs=(spec,),
                cause=f"rollback by {who}",
                made_at=self.now(),
            ),
            serial,
        )

    def cancel_pull(self, watched: Watched, number: int, reason: str) -> str:
        """End every run of a pull request that is not over, and what has not become runs yet."""
        ended = 0
        for change in self.store.changes.open(_OPEN_LOOKED_AT):
            if (change.repo, change.pull) == (watched.policy.name, number):
                ended += self._end(change, reason)
        for run in self.store.queue.of_pull(watched.policy.name, number):
            if run.state != "done":
                ended += self.store.queue.cancel(run.id, reason, self.telling)
        return f"{reason}: {ended} runs" if ended else ""

    def _end(self, change: Change, reason: str) -> int:
        """End a change before it becomes runs."""
        self.store.changes.split(change.id, (), [], self.telling, verdict="error", reason=reason)
        return 1

    def cancel_commit(self, watched: Watched, commit: str, reason: str) -> str:
        """End every run of a commit that is not over."""
        ended = 0
        for change in self.store.changes.of_commit(watched.policy.name, commit):
            if change.state == "new":
                ended += self._end(change, reason)
            for run in self.store.queue.of_change(change.id):
                if run.state != "done":
                    ended += self.store.queue.cancel(run.id, reason, self.telling)
        return f"{reason}: {ended} runs"

    def open_pull(self, watched: Watched, number: int) -> Pull:
        """An open pull request as the forge has it now.

        Raises:
            SpecError: it is not open, or the forge can't be asked.
        """
        if watched.forge is None:
            raise SpecError("the runner has no credential to ask for pull requests")
        for pull in watched.forge.pulls():
            if pull.number == number:
                return pull
        raise SpecError(f"pull request {number} is not open")

    def pull_change(self, watched: Watched, pull: Pull, cause: str) -> Change:
        """A change of a pull request's head."""
        return Change(
            id=self.new_id(),
            repo=watched.policy.name,
            commit=pull.commit,
            purpose="pull_request",
            ref=pull.base_ref,
            pull=pull.number,
            fork=pull.fork,
            head_repo_id=pull.head_repo_id,
            cause=cause,
            made_at=self.now(),
        )

    def last_change(self, repo: str, commit: str, word: str = "") -> Change | None:
        """The last change of a commit that came by itself, by a push or a pull request; None when it had none.

        One that a person brought is no example: a rollback deploys though the branch has moved on.

        Args:
            repo: the repository's name.
            commit: full hash.
            word: only one that speaks in this check, see `check_word`; a schedule's and new data's count then too.
        """
        known = self.store.changes.of_commit(repo, commit)
        words = (word,) if word else _BY_ITSELF
        own = [one for one in known if one.purpose in _AGAIN and check_word(one) in words]
        return own[-1] if own else None

    def commit_change(self, watched: Watched, commit: str, cause: str, word: str = "") -> Change:
        """A change like the last one of a commit, see `last_change`.

        Raises:
            SpecError: the commit had no run yet.
        """
        last = self.last_change(watched.policy.name, commit, word)
        if last is None:
            raise SpecError(f"commit {commit[:10]} had no run yet")
        return self.once_more(last, cause)

    def once_more(self, change: Change, cause: str) -> Change:
        """A change like another one, for all that it touches."""
        return replace(
            change,
            id=self.new_id(),
            state="new",
            verdict=None,
            reason="",
            cause=cause,
            made_at=self.now(),
            overrides=(),
            specs=(),
        )


def agreed_key(repo: str, commit: str) -> str:
    """The mark that says who agreed to deploy a commit."""
    return f"agreed {repo} {commit}"


def own_serial(*parts: str) -> int:
    """A serial for one wish, told by these parts, far above those that are counted: asking twice is once."""
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:6], "big") | 1 << 48


def _key(change: Change) -> tuple[str, str, int, int]:
    return change.purpose, change.ref, change.pull, change.serial
