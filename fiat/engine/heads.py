"""Look at git: every watched head and every open pull request whose head has no change yet gets one."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fiat.engine.asks import Asks
from fiat.engine.head_marks import HeadMarks
from fiat.engine.policy import TAGS
from fiat.engine.pull_marks import PullMarks
from fiat.engine.watched import Watched
from fiat.ports.forge import Pull
from fiat.run.queue import CLOSED, Change
from fiat.store.store import Store

_PULL = re.compile(r"refs/(?:pull|merge-requests)/([0-9]{1,9})/head")
_HELD_LOOKED_AT = 500
_ASKED_EVERY = 10


@dataclass
class Heads:
    """Compares what git says with what the store knows.

    Attributes:
        store: with the changes.
        asks: adds what is missing.
    """

    store: Store
    asks: Asks
    _left: dict[str, int] = field(default_factory=dict)

    def look(self, watched: Watched) -> None:
        """Ask git for its heads (no API call) and add what is missing.

        Raises:
            Waiting: the server can't be reached.
            Stalled: it refuses us.
        """
        heads = watched.mirror.heads(pulls=watched.forge is not None)
        self._branches(watched, heads)
        pulls = {int(found[1]): commit for ref, commit in heads.items() if (found := _PULL.fullmatch(ref))}
        self._pulls(watched, pulls)

    def _branches(self, watched: Watched, heads: Mapping[str, str]) -> None:
        """Changes of watched branches and tags."""
        repo, marks = watched.policy.name, HeadMarks(self.store)
        old_tags, before = self._old_tags(watched, heads), marks.of(repo)
        wanted = {
            ref: commit
            for ref, commit in heads.items()
            if watched.policy.watches(ref) and old_tags.get(ref) != commit
        }
        for ref, commit in wanted.items():
            serial = marks.missing(repo, ref, commit, before.get(ref, ""))
            if serial is not None:
                watched.assure_identity()
                self._pushed(repo, ref, commit, serial)
        # Marked last: after a kill in between we look again.
        marks.note(repo, wanted, all_of_them=True)

    def _old_tags(self, watched: Watched, heads: Mapping[str, str]) -> Mapping[str, str]:
        """Watched tags that were there when the repository was first looked at: years of releases need no run."""
        key = f"tags {watched.policy.name}"
        known = self.store.marks.get(key)
        if known is None:
            tags = {
                ref: commit
                for ref, commit in heads.items()
                if ref.startswith(TAGS) and watched.policy.watches(ref)
            }
            self.store.marks.set(key, json.dumps(tags))
            return tags
        found: dict[str, str] = json.loads(known)
        return found

    def _pushed(self, repo: str, ref: str, commit: str, serial: int) -> None:
        self.asks.add(
            Change(
                id=self.asks.new_id(),
                repo=repo,
                commit=commit,
                purpose="push",
                ref=ref,
                cause="found in git",
                made_at=self.asks.now(),
            ),
            serial,
        )

    def _pulls(self, watched: Watched, heads: Mapping[int, str]) -> None:
        """Changes of open pull requests; the forge is asked when a head is another than last time, and now and then.

        Git does not tell that one was closed, opened again, or wants to go to another branch now.
        """
        if watched.forge is None:
            return
        repo = watched.policy.name
        key = f"pulls {repo}"
        now = json.dumps({str(number): commit for number, commit in sorted(heads.items())})
        left = self._left.get(repo, 0)
        self._left[repo] = left - 1 if left else _ASKED_EVERY - 1
        if left and (self.store.marks.get(key) or "{}") == now:
            return
        pulls = watched.forge.pulls()
        marks = PullMarks(self.store)
        before = marks.of(repo)
        wanted = [pull for pull in pulls if watched.policy.watches(pull.base_ref)]
        for pull in wanted:
            place = pull.commit, pull.base_ref
            serial = marks.missing(repo, pull.number, place, before.get(pull.number))
            if serial is not None:
                watched.assure_identity()
                self.asks.add(self.asks.pull_change(watched, pull, f"pull request {pull.number}"), serial)
        self._close(watched, pulls)
        marks.note(repo, {pull.number: (pull.commit, pull.base_ref) for pull in wanted}, all_of_them=True)
        self.store.marks.set(key, now)

    def _close(self, watched: Watched, still_open: Sequence[Pull]) -> None:
        """What waits for approval in a pull request that was closed waits no longer."""
        numbers = {pull.number for pull in still_open}
        held = self.store.queue.newest(repo=watched.policy.name, state="held", limit=_HELD_LOOKED_AT)
        for run in held:
            if run.pull and run.pull not in numbers:
                self.store.queue.cancel(run.id, CLOSED, self.asks.telling)
