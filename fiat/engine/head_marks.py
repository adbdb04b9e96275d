"""Which head of each branch was dealt with last: tells a branch that was set back from a webhook that came late."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fiat.run.queue import Change
from fiat.store.changes import serial_after
from fiat.store.store import Store

GONE_KEPT = 500


@dataclass(frozen=True)
class HeadMarks:
    """Remembers heads of branches by ref.

    A commit has one change for all its webhooks. When a branch is set back to a commit that has one already, it needs
    another; when the webhook of an older commit comes after the one of the head, it needs none. Only what the head was
    before tells the two apart.

    Attributes:
        store: with changes and marks.
    """

    store: Store

    def of(self, repo: str) -> Mapping[str, str]:
        """The heads that were dealt with last, ref to commit."""
        found: dict[str, str] = json.loads(self.store.marks.get(_key(repo)) or "{}")
        return found

    def note(self, repo: str, heads: Mapping[str, str], *, all_of_them: bool = False) -> None:
        """These heads have their changes.

        Args:
            repo: name in the settings.
            heads: ref to commit.
            all_of_them: there are no others; of branches that are gone the newest are remembered, should they come back.
        """
        others = {ref: commit for ref, commit in self.of(repo).items() if ref not in heads}
        if all_of_them:
            others = dict(list(others.items())[-GONE_KEPT:])
        self.store.marks.set(_key(repo), json.dumps({**others, **heads}))

    def missing(self, repo: str, ref: str, commit: str, before: str) -> int | None:
        """The serial of the change that a head needs; None when it was told of since the branch was at another one.

        Whoever adds that serial adds nothing when a webhook was quicker.

        Args:
            repo: name in the settings.
            ref: full name.
            commit: what git says now.
            before: the head that was dealt with last; empty when there was none.
        """
        if commit == before:
            return None
        known = self._of(repo, ref, commit)
        if not known:
            return 0
        if not before:
            return None
        last = self._of(repo, ref, before)
        told_since = last and newest_id(known) > newest_id(last)
        return None if told_since else serial_after(known)

    def _of(self, repo: str, ref: str, commit: str) -> list[Change]:
        return [
            change
            for change in self.store.changes.of_commit(repo, commit)
            if (change.purpose, change.ref) == ("push", ref)
        ]


def newest_id(changes: Sequence[Change]) -> str:
    """Of one or more changes."""
    return max(change.id for change in changes)


def _key(repo: str) -> str:
    return f"heads {repo}"
