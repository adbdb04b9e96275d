"""Where each open pull request was dealt with last, its head and the branch that it wants to go to: as HeadMarks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from fiat.engine.head_marks import newest_id
from fiat.run.queue import CLOSED, Change
from fiat.store.changes import serial_after
from fiat.store.store import Store

Place = tuple[str, str]
"""Commit of the head, and full name of the branch that it wants to go to."""


@dataclass(frozen=True)
class PullMarks:
    """Remembers pull requests by number.

    Attributes:
        store: with changes and marks.
    """

    store: Store

    def of(self, repo: str) -> Mapping[int, Place]:
        """Where those that are open were dealt with last."""
        found: dict[str, list[str]] = json.loads(self.store.marks.get(_key(repo)) or "{}")
        return {int(number): (commit, ref) for number, (commit, ref) in found.items()}

    def note(self, repo: str, places: Mapping[int, Place], *, all_of_them: bool = False) -> None:
        """These pull requests have their changes.

        Args:
            repo: name in the settings.
            places: by number.
            all_of_them: no others are open.
        """
        known = {} if all_of_them else dict(self.of(repo))
        wanted = {**known, **places}
        if wanted != self.of(repo):
            self.store.marks.set(_key(repo), json.dumps(wanted))

    def missing(self, repo: str, number: int, place: Place, before: Place | None) -> int | None:
        """The serial of the change that a pull request needs; None when it has it, see `HeadMarks.missing`.

        Args:
            repo: name in the settings.
            number: of the pull request.
            place: where it is now.
            before: where it was dealt with last; None when it was not.
        """
        known = self.of_place(repo, number, place)
        if known and self.closed(max(known, key=lambda change: change.id)):
            return serial_after(known)
        if place == before:
            return None
        if not known:
            return 0
        if before is None:
            return None
        last = self.of_place(repo, number, before)
        told_since = last and newest_id(known) > newest_id(last)
        return None if told_since else serial_after(known)

    def closed(self, change: Change) -> bool:
        """Whether a change ended, or is about to end, because its pull request was closed."""
        if change.reason == CLOSED:
            return True
        runs = self.store.queue.of_change(change.id)
        return any(CLOSED in (run.reason, run.cancel) for run in runs)

    def of_place(self, repo: str, number: int, place: Place) -> list[Change]:
        """Its changes there, the oldest first."""
        commit, ref = place
        return [
            change
            for change in self.store.changes.of_commit(repo, commit)
            if (change.purpose, change.ref, change.pull) == ("pull_request", ref, number)
        ]


def _key(repo: str) -> str:
    return f"open pulls {repo}"
