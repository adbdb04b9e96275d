"""Which head of each branch was dealt with last: tells a branch that was set back from a webhook that came late."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from fiat.run.queue import Change
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

    def has_change(self, repo: str, ref: str, commit: str, before: str) -> bool:
        """Whether a head was told of already since the branch was at another one.

        Args:
            repo: name in the settings.
            ref: full name.
            commit: what git says now.
            before: the head that was dealt with last; empty when there was none.
        """
        if commit == before:
            return True
        newest = self._newest(repo, ref, commit)
        if newest is None or not before:
            return newest is not None
        last = self._newest(repo, ref, before)
        return last is not None and newest.id > last.id

    def _newest(self, repo: str, ref: str, commit: str) -> Change | None:
        found = [
            change
            for change in self.store.changes.of_commit(repo, commit)
            if (change.purpose, change.ref) == ("push", ref)
        ]
        return max(found, key=lambda change: change.id, default=None)


def _key(repo: str) -> str:
    return f"heads {repo}"
