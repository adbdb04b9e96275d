"""What a commit is compared with, to tell which specs it touches."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fiat.engine.watched import Watched
from fiat.git.patterns import any_of
from fiat.run.queue import Change
from fiat.store.store import Store

_JUDGED = frozenset({"pass", "warn"})
_RECENT = 20


@dataclass
class Compared:
    """Looks up what earlier runs of a repository's specs were of, and what they read.

    Attributes:
        store: with the queue and the record of runs.
    """

    store: Store
    _seen_reads: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def befores(self, watched: Watched, change: Change, base: str, paths: Sequence[str]) -> dict[str, str]:
        """The commit that each spec is compared with; a spec without one runs.

        Args:
            watched: the repository.
            change: the commit.
            base: head of the branch that a pull request wants to go to.
            paths: of the specs.
        """
        if change.purpose == "pull_request":
            common = watched.mirror.merge_base(change.commit, base) if base else ""
            return dict.fromkeys(paths, common) if common else {}
        # Only a good end counts. Of a run that goes on, or broke, nobody knows what it does or did to a target: going
        # back to the commit before it must run, though nothing differs from what was judged last.
        last = self.store.queue.last_runs(change.repo, change.purpose, change.ref)
        again = self._ran_before(change)
        return {
            path: run.commit
            for path in paths
            if path not in again and (run := last.get(path)) and run.verdict in _JUDGED
        }

    def edits_spec(self, watched: Watched, change: Change, base: str) -> bool:
        """Whether a pull request changes a file that is, or would be, a spec."""
        common = watched.mirror.merge_base(change.commit, base) if base else ""
        edits = watched.mirror.changed_since([common], change.commit).get(common, {}) if common else {}
        is_spec = any_of(watched.policy.specs)
        return any(is_spec(path) for path in edits)

    def _ran_before(self, change: Change) -> set[str]:
        """Specs that the same commit was run for already: whoever asks for it again means these."""
        if not change.serial:
            return set()
        line = (change.purpose, change.ref, change.pull)
        others = self.store.changes.of_commit(change.repo, change.commit)
        same = [one for one in others if (one.purpose, one.ref, one.pull) == line and one.id != change.id]
        return {run.spec_path for one in same for run in self.store.queue.of_change(one.id)}

    def observed(self, repo: str, spec: str) -> tuple[str, ...]:
        """Files that the last run of a spec was seen to read beyond what reading its code tells."""
        # Names are unique in a repository only; and what strangers' code was seen to do says nothing about ours.
        recent = self.store.runs.newest(spec=spec, limit=_RECENT)
        queued = ((one, self.store.queue.find(one.id)) for one in recent)
        last = next((one for one, run in queued if run and run.repo == repo and not run.fork), None)
        if last is None:
            return ()
        if last.id in self._seen_reads:
            return self._seen_reads[last.id]
        found: set[str] = set()
        for step in self.store.runs.find(last.id).steps:
            result = self.store.results.find(step.fingerprint) if step.fingerprint else None
            found.update(result.observed if result is not None else ())
        if last.state == "done":
            self._seen_reads[last.id] = tuple(sorted(found))
        return tuple(sorted(found))
