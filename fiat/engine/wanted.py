"""Whether a spec wants a run for a change, and which runs exclude each other. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fiat.engine.policy import HEADS, TAGS, matches, short_ref
from fiat.run.queue import Change
from fiat.spec.model import Spec

_WITHOUT_TRIGGER = frozenset({"schedule", "data", "manual", "rollback"})


@dataclass(frozen=True)
class Wanted:
    """What a spec's triggers say to a change.

    Attributes:
        runs: it wants a run, if it is touched.
        paths: patterns of which one must have changed; empty for the spec's own footprint.
    """

    runs: bool
    paths: tuple[str, ...] = ()


def wanted(spec: Spec, change: Change) -> Wanted:
    """What a spec's `triggers` say; without that section pushes and pull requests start runs."""
    triggers = spec.triggers
    if triggers is None or change.purpose in _WITHOUT_TRIGGER:
        return Wanted(runs=True)
    if change.purpose == "push":
        push = triggers.push
        if push is None:
            return Wanted(runs=False)
        name = short_ref(change.ref)
        if change.ref.startswith(TAGS):
            return Wanted(matches(name, push.tags), push.paths)
        fits = not push.branches or matches(name, push.branches)
        return Wanted(change.ref.startswith(HEADS) and fits, push.paths)
    pull = triggers.pull_request
    if pull is None:
        return Wanted(runs=False)
    return Wanted(not pull.branches or matches(short_ref(change.ref), pull.branches), pull.paths)


def fork_word(spec: Spec) -> str:
    """What a spec says about code from forks."""
    triggers = spec.triggers
    if triggers is None or triggers.pull_request is None:
        return "approval"
    return triggers.pull_request.forks


def any_matches(paths: Collection[str], patterns: Collection[str]) -> bool:
    """Whether one of the paths fits one of the patterns: `src/**`, `*.py`, a folder, a file."""
    return any(_fits(path, pattern) for path in paths for pattern in patterns)


def _fits(path: str, pattern: str) -> bool:
    if pattern.endswith("/**"):
        return path.startswith(pattern[:-2])
    if path == pattern or path.startswith(f"{pattern.rstrip('/')}/"):
        return True
    return fnmatchcase(path, pattern.replace("**/", "*"))


def ref_word(change: Change) -> str:
    """What `${ref}` is: the branch, or `pull/7` for a pull request."""
    return f"pull/{change.pull}" if change.pull else short_ref(change.ref)


def group_of(spec: Spec, change: Change) -> tuple[str, bool]:
    """The concurrency group of a run, and whether a newer run of it ends an older one.

    What a person, a clock or new data asked for ends nobody else's run.
    """
    by_itself = change.purpose in ("push", "pull_request")
    if spec.concurrency is not None:
        return f"{change.repo} {spec.concurrency.group}", spec.concurrency.supersede and by_itself
    return f"{change.repo} {spec.name}-{ref_word(change)}", by_itself
