"""A commit that wants attention becomes runs: one for each spec that it touches, and a word about the others."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fiat.engine.compared import Compared
from fiat.engine.footprint import Narrowing, affected
from fiat.engine.head_marks import HeadMarks
from fiat.engine.policy import short_ref, stricter
from fiat.engine.pull_marks import PullMarks
from fiat.engine.specs_at import Read, SpecsAt, named_apart
from fiat.engine.telling import Telling
from fiat.engine.wanted import fork_word, group_of, ref_word, wanted
from fiat.engine.watched import Watched
from fiat.errors import SpecError, Waiting
from fiat.run.model import Verdict
from fiat.run.queue import Change, QueuedRun
from fiat.run.report import Addressed
from fiat.spec.model import Spec
from fiat.store.store import Store

_NARROWING: Mapping[str, Narrowing] = {"push": "push", "pull_request": "pull_request"}
MISSING_S = 600.0
GIVE_UP_S = 24 * 3600.0
SHORT = 10
_SUBJECT_CHARACTERS = 100
NO_CHANGE = "no change"
LATER = "nothing runs: specs that a fork changes count only after the merge"
# A forge takes some hundred statuses an hour: of very many untouched specs only the check of the whole commit tells.
QUIET_ABOVE = 30


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Splitter:
    """Splits changes.

    Attributes:
        store: with the queue.
        repos: what is watched.
        specs: reads specs at commits.
        telling: words for forges.
        footprints: folder of the cache of footprints.
        new_id: gives the id of a run.
        now: gives times that only grow, aware UTC: what is newer is told by them.
        clock: monotonic seconds.
        wall: the plain clock, aware UTC: how long something waits is told by it.
    """

    store: Store
    repos: Mapping[str, Watched]
    specs: SpecsAt
    telling: Telling
    footprints: Path
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] = _utc_now
    _tried_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Remember what was looked up for the commits before."""
        self._compared = Compared(self.store)

    def split(self, change: Change) -> None:
        """Fetch the commit, see what it is and touches, and queue its runs, in one transaction.

        Raises:
            Waiting: git or the forge has not got it yet.
            EnvironmentFault: git, the disk or the store refused.
        """
        self._tried_s.setdefault(change.id, self.clock())
        self._split(change)
        del self._tried_s[change.id]

    def _split(self, change: Change) -> None:
        watched = self.repos.get(change.repo)
        if watched is None:
            self._end(change, "error", "the repository is no longer watched")
            return
        if reason := self._fetch(watched, change):
            self._end(change, "error", reason)
            return
        if change.purpose == "push":
            HeadMarks(self.store).note(change.repo, {change.ref: change.commit})
        elif change.purpose == "pull_request" and change.pull:
            PullMarks(self.store).note(change.repo, {change.pull: (change.commit, change.ref)})
        change = replace(
            change, cause=_with_subject(change.cause, watched.mirror.about(change.commit).message)
        )
        runs: list[tuple[QueuedRun, tuple[SpecError, ...]]] = []
        try:
            reads = self._specs(watched, change)
        except SpecError as error:
            self._end(change, "fail", str(error).partition("\n")[0])
            return
        for read in named_apart(reads):
            runs.extend(self._runs_of(watched, change, read))
        self._queue(change, runs)

    def is_old(self, change: Change) -> bool:
        """Whether a change has been tried for so long that its commit should no longer be left pending."""
        return self._waits_s(change) > GIVE_UP_S

    def _waits_s(self, change: Change) -> float:
        """For how long a change has been tried: by the plain clock, and by our own should that have been set back."""
        now_s = self.clock()
        tried_s = now_s - self._tried_s.get(change.id, now_s)
        return max(tried_s, (self.wall() - change.made_at).total_seconds() if change.made_at else 0.0)

    def give_up(self, change: Change, reason: str) -> None:
        """End a change that could not be split for too long."""
        self._end(change, "error", f"given up: {reason}")
        self._tried_s.pop(change.id, None)

    def _fetch(self, watched: Watched, change: Change) -> str:
        """Get the commit into the mirror; gives a reason when it is not, or no longer, what it was told to be."""
        mirror, pull_ref = watched.mirror, watched.policy.pull_ref(change.pull)
        refs = [change.ref, pull_ref] if change.pull else [change.ref]
        gone = mirror.fetch(refs, [change.commit])
        if change.pull:
            head = mirror.commit_of(pull_ref) if pull_ref not in gone else ""
            if head and head != change.commit:
                return f"superseded by {head[:SHORT]}"
        if not mirror.has(change.commit):
            if self._waits_s(change) > MISSING_S:
                return "the commit is not in the repository"
            raise Waiting(f"commit {change.commit[:SHORT]} is not in {change.repo} yet")
        if change.purpose == "pull_request":
            return ""
        if change.ref in gone or not mirror.on_branch(change.commit, change.ref):
            return f"the commit is not on {short_ref(change.ref)}"
        head = mirror.commit_of(change.ref)
        if change.purpose == "push" and head != change.commit:
            # Whether its webhook came late or the branch moved on meanwhile: the head has a change of its own, or gets one.
            return f"superseded by {head[:SHORT]}"
        return ""

    def _specs(self, watched: Watched, change: Change) -> list[Read]:
        """Specs of the change; those that it does not touch are not loaded."""
        mirror = watched.mirror
        at = self._spec_commit(watched, change)
        paths = mirror.spec_files(at, watched.policy.specs)
        if change.specs:
            wanted_paths = self._asked_for(watched, change, at, paths)
            return list(self._read(watched, change, at, wanted_paths))
        judged = affected(
            mirror,
            change.commit,
            self._compared.befores(watched, change, self._base(watched, change), paths),
            paths,
            observed=partial(self._compared.observed, change.repo),
            cache=self.footprints,
            specs_at=at if change.fork else "",
            narrowed_by=_NARROWING.get(change.purpose, ""),
            triggers_at=self._base(watched, change),
        )
        reads = self._read(watched, change, at, [item.path for item in judged if item.touched])
        quiet = [Read(item.path, known_name=item.name) for item in judged if not item.touched]
        return [*reads, *quiet]

    def _spec_commit(self, watched: Watched, change: Change) -> str:
        """Where specs are read from: strangers don't say what is run on their code."""
        if not change.fork:
            return change.commit
        base = watched.mirror.commit_of(change.ref)
        if not base:
            raise SpecError(f"the branch {short_ref(change.ref)} is not there")
        return base

    def _base(self, watched: Watched, change: Change) -> str:
        """Head of the branch that a pull request wants to go to: its specs say what pull requests start."""
        return watched.mirror.commit_of(change.ref) if change.purpose == "pull_request" else ""

    def _trigger_spec(self, watched: Watched, change: Change, read: Read) -> Spec | None:
        """The base branch's spec of a pull request, also one that it moves; None where there is none.

        It says what starts it, and what its runs exclude.
        """
        base = self._base(watched, change)
        if not base or change.fork:
            return None
        if read.path in watched.mirror.files(base):
            (theirs,) = self._read(watched, change, base, [read.path])
            return theirs.loaded.spec if theirs.loaded is not None else None
        cards = self.specs.cards(watched, base, watched.mirror.spec_files(base, watched.policy.specs))
        same = (card.loaded.spec for card in cards if card.loaded is not None and card.name == read.name)
        return next(same, None)

    def _read(self, watched: Watched, change: Change, at: str, paths: Sequence[str]) -> tuple[Read, ...]:
        return self.specs.read(watched, at, paths, ref=ref_word(change), overrides=change.overrides)

    def _asked_for(self, watched: Watched, change: Change, at: str, paths: Sequence[str]) -> list[str]:
        """Spec files that are meant by the names or paths that somebody asked for."""
        by_name = {path: path for path in paths}
        unknown = [name for name in change.specs if name not in by_name]
        if unknown:
            cards = self.specs.cards(watched, at, paths)
            by_name |= {card.name: card.path for card in cards}
        missing = [name for name in change.specs if name not in by_name]
        if missing:
            raise SpecError(f"there is no spec {', '.join(missing)} at {at[:10]}")
        return list(dict.fromkeys(by_name[name] for name in change.specs))

    def _runs_of(
        self, watched: Watched, change: Change, read: Read
    ) -> list[tuple[QueuedRun, tuple[SpecError, ...]]]:
        run = self._row(change, read, watched.policy.priority)
        over = replace(run, state="done", ended_at=self.now())
        if read.errors:
            first = read.errors[0]
            return [(replace(over, verdict="fail", reason=str(first)), read.errors)]
        if read.loaded is None:
            return [(replace(over, verdict="pass", reason=NO_CHANGE), ())]
        spec = read.loaded.spec
        in_force = self._trigger_spec(watched, change, read) or spec
        if not wanted(in_force, change):
            return []
        group, supersede = group_of(in_force, change)
        run = replace(run, group=group, supersede=supersede)
        if not change.fork:
            return [(run, ())]
        forks = stricter(watched.policy.forks, fork_word(spec))
        if forks == "never":
            return [(replace(over, verdict="error", reason="code from forks does not run here"), ())]
        approved = forks == "always" or bool(
            self.store.queue.approved_by(change.repo, change.pull, change.commit)
        )
        return [(run if approved else replace(run, state="held"), ())]

    def _row(self, change: Change, read: Read, priority: int) -> QueuedRun:
        return QueuedRun(
            id=self.new_id(),
            change=change.id,
            repo=change.repo,
            commit=change.commit,
            purpose=change.purpose,
            ref=change.ref,
            spec=read.name,
            spec_path=read.path,
            pull=change.pull,
            fork=change.fork,
            head_repo_id=change.head_repo_id,
            priority=priority,
            overrides=change.overrides,
            cause=change.cause,
            queued_at=self.now(),
        )

    def _queue(self, change: Change, found: Sequence[tuple[QueuedRun, tuple[SpecError, ...]]]) -> None:
        """What does not run is reported and, unless nothing concerns it, remembered; what runs is queued."""
        kept = [run for run, _ in found if run.reason != NO_CHANGE]
        if len(found) - len(kept) > QUIET_ABOVE:
            found = [(run, errors) for run, errors in found if run.reason != NO_CHANGE]
        reports = [item for run, errors in found for item in self.telling.waits(run, errors)]
        if not kept:
            self._end(change, "pass", self._nothing(change), reports)
            return
        if any(run.state != "waiting" for run in kept):
            # Else the commit stands as it was said to stand already: pending.
            reports += self.telling.change(replace(change, state="split"), kept)
        self.store.changes.split(change.id, kept, reports, self.telling)

    def _nothing(self, change: Change) -> str:
        """What is said where nothing runs: however strangers change a spec, theirs does not count yet."""
        watched = self.repos[change.repo]
        if change.fork and self._compared.edits_spec(watched, change, self._base(watched, change)):
            return LATER
        return NO_CHANGE

    def _end(self, change: Change, verdict: Verdict, reason: str, reports: Sequence[Addressed] = ()) -> None:
        self.store.changes.split(change.id, (), reports, self.telling, verdict=verdict, reason=reason)


def _with_subject(cause: str, message: str) -> str:
    """Who or what started it, with the first line of the commit's message: display text of strangers."""
    subject = message.strip().partition("\n")[0].strip()
    return f"{cause}: {subject[:_SUBJECT_CHARACTERS]}" if subject else cause
