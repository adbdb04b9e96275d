"""What starts runs without a commit: schedules, and data that has changed."""

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fiat.engine.asks import Asks
from fiat.engine.policy import short_ref
from fiat.engine.schedule import due
from fiat.engine.specs_at import Read, SpecsAt
from fiat.engine.watched import Watched
from fiat.errors import FiatError, SpecError, Waiting
from fiat.run.queue import Change, Purpose
from fiat.spec.section import duration_s
from fiat.store.store import Store

_SAID_KEPT = 500
Probe = Callable[[Watched, str, Read], str]


@dataclass
class Ticks:
    """Looks at the triggers of the specs at the heads of protected branches.

    Attributes:
        store: with marks and the queue.
        specs: reads specs at commits.
        asks: writes changes.
        probe: digest of what the sources of a spec are now; empty when none of them can change without a commit.
        new_id: gives the id of a change.
        now: the clock, aware UTC.
        log: hears once what is wrong with a trigger.
    """

    store: Store
    specs: SpecsAt
    asks: Asks
    probe: Probe
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    log: Callable[[str], None] = lambda _: None
    _said: dict[str, str] = field(default_factory=dict)

    def look(self, watched: Watched) -> None:
        """Start what is due in a repository.

        Raises:
            Waiting: git does not answer.
            EnvironmentFault: git, the disk or the store refused.
        """
        for ref, commit in self._heads(watched):
            reads = self._with_triggers(watched, commit)
            self._schedules(watched, ref, commit, reads)
            for read in reads:
                self._data(watched, ref, commit, read)

    def _heads(self, watched: Watched) -> Iterator[tuple[str, str]]:
        """Heads of protected branches that were split already, so that what they say is known.

        The head is what git says, not the newest change: a webhook of an older commit may have come late.
        """
        repo = watched.policy.name
        refs = {
            change.ref for change in self.store.changes.heads(repo) if watched.policy.protects(change.ref)
        }
        for ref in sorted(refs):
            commit = watched.mirror.commit_of(ref)
            if commit and self._is_split(repo, ref, commit):
                yield ref, commit

    def _is_split(self, repo: str, ref: str, commit: str) -> bool:
        return any(
            (change.purpose, change.ref) == ("push", ref) and change.state != "new"
            for change in self.store.changes.of_commit(repo, commit)
        )

    def _head_now(self, watched: Watched, ref: str) -> str:
        """What a branch says right now, empty when it is gone; while git does not answer, what it said last."""
        try:
            if ref in watched.mirror.fetch([ref]):
                return ""
        except Waiting as error:
            self.log(f"{watched.policy.name}: {short_ref(ref)} as it was fetched last: {error}")
        return watched.mirror.commit_of(ref)

    def _with_triggers(self, watched: Watched, commit: str) -> list[Read]:
        paths = watched.mirror.spec_files(commit, watched.policy.specs)
        cards = self.specs.cards(watched, commit, paths)
        return [
            card
            for card in cards
            if card.loaded is not None
            and (triggers := card.loaded.spec.triggers) is not None
            and (triggers.schedule is not None or triggers.data is not None)
        ]

    def _schedules(self, watched: Watched, ref: str, commit: str, reads: Sequence[Read]) -> None:
        """Start the specs whose time has come; those of one minute together, so that a kill in between repeats none."""
        by_tick: dict[datetime, list[Read]] = {}
        for read in reads:
            tick = self._guarded_tick(watched, ref, read)
            if tick is not None:
                by_tick.setdefault(tick, []).append(read)
        head = self._head_now(watched, ref) if by_tick else commit
        if head not in (commit, ""):
            # What is due is due at the new head, as soon as that was split.
            return
        for tick, together in sorted(by_tick.items()):
            cause = f"scheduled for {tick:%Y-%m-%d %H:%M %Z}"
            minutes = int(tick.timestamp()) // 60
            if head:
                self._start(watched, ref, commit, together, "schedule", cause, serial=minutes)
            for read in together:
                self.store.marks.set(_mark("schedule", watched, ref, read), tick.isoformat())

    def _guarded_tick(self, watched: Watched, ref: str, read: Read) -> datetime | None:
        """A trigger that is wrong must not keep the others from starting theirs."""
        name = f"{watched.policy.name}, {read.path} at {short_ref(ref)}"
        try:
            tick = self._tick(watched, ref, read)
        except SpecError as error:
            self._say(name, str(error))
        except FiatError:
            raise
        except Exception as error:
            if self._say(name, f"a bug of Fiat; please report it: {type(error).__name__}: {error}"):
                self.log(traceback.format_exc())
        else:
            self._said.pop(name, None)
            return tick
        return None

    def _say(self, name: str, text: str) -> bool:
        """Log what is wrong, once; gives whether it was new."""
        if self._said.get(name) == text:
            return False
        self._said[name] = text
        self._said = dict(list(self._said.items())[-_SAID_KEPT:])
        self.log(f"{name}: {text}")
        return True

    def _tick(self, watched: Watched, ref: str, read: Read) -> datetime | None:
        triggers = read.loaded.spec.triggers if read.loaded is not None else None
        if triggers is None or triggers.schedule is None:
            return None
        key, now = _mark("schedule", watched, ref, read), self.now()
        last = self.store.marks.get(key)
        if last is None:
            # Seen for the first time: what was before does not count as missed.
            self.store.marks.set(key, now.isoformat())
            return None
        return due(triggers.schedule, datetime.fromisoformat(last), now)

    def _data(self, watched: Watched, ref: str, commit: str, read: Read) -> None:
        triggers = read.loaded.spec.triggers if read.loaded is not None else None
        if triggers is None or triggers.data is None:
            return
        key, now = _mark("data", watched, ref, read), self.now()
        mark = json.loads(self.store.marks.get(key) or "{}")
        looked = datetime.fromisoformat(mark["at"]) if "at" in mark else None
        if looked is not None and 0 <= (now - looked).total_seconds() < duration_s(triggers.data.every):
            return
        try:
            digest = self.probe(watched, commit, read)
        except Exception as error:
            # A source that does not answer must not keep the others from being looked at, nor one with a bug.
            self.store.marks.set(key, json.dumps({**mark, "at": now.isoformat(), "fault": str(error)[:500]}))
            return
        if digest and mark.get("digest") not in (None, digest):
            head = self._head_now(watched, ref)
            if head not in (commit, ""):
                return
            if head:
                self._start(watched, ref, commit, [read], "data", "its data changed")
        self.store.marks.set(key, json.dumps({"at": now.isoformat(), "digest": digest or mark.get("digest")}))

    def _start(
        self,
        watched: Watched,
        ref: str,
        commit: str,
        reads: Sequence[Read],
        purpose: Purpose,
        cause: str,
        serial: int | None = None,
    ) -> None:
        change = Change(
            id=self.new_id(),
            repo=watched.policy.name,
            commit=commit,
            purpose=purpose,
            ref=ref,
            specs=tuple(read.path for read in reads),
            cause=cause,
            made_at=self.now(),
        )
        self.asks.add(change, serial)


def _mark(kind: str, watched: Watched, ref: str, read: Read) -> str:
    return f"{kind} {watched.policy.name} {ref} {read.path}"
