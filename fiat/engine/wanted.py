"""Whether a spec wants a run for a change, and which runs exclude each other. Pure."""

from fiat.engine.policy import HEADS, TAGS, matches, short_ref
from fiat.run.queue import Change
from fiat.spec.model import Spec

_WITHOUT_TRIGGER = frozenset({"schedule", "data", "manual", "rollback"})


def wanted(spec: Spec, change: Change) -> bool:
    """Whether a spec's `triggers` let a change start it; without that section pushes and pull requests do.

    Their `paths` are no matter here: they narrow what counts as touched. What somebody asked for by name is wanted.
    """
    triggers = spec.triggers
    if triggers is None or change.specs or change.purpose in _WITHOUT_TRIGGER:
        return True
    if change.purpose == "push":
        push = triggers.push
        if push is None:
            return False
        name = short_ref(change.ref)
        if change.ref.startswith(TAGS):
            return matches(name, push.tags)
        return change.ref.startswith(HEADS) and (not push.branches or matches(name, push.branches))
    pull = triggers.pull_request
    if pull is None:
        return False
    return not pull.branches or matches(short_ref(change.ref), pull.branches)


def fork_word(spec: Spec) -> str:
    """What a spec says about code from forks."""
    triggers = spec.triggers
    if triggers is None or triggers.pull_request is None:
        return "approval"
    return triggers.pull_request.forks


def ref_word(change: Change) -> str:
    """What `${ref}` is: the branch, or `pull/7` for a pull request."""
    return f"pull/{change.pull}" if change.pull else short_ref(change.ref)


def group_of(spec: Spec, change: Change) -> tuple[str, bool]:
    """The concurrency group of a run, and whether a newer run of it ends an older one.

    Of a pull request's runs the groups are their own, whatever they are called: nobody can hold up a branch that deploys by
    naming its group.

    Args:
        spec: of a pull request the base branch's, where there is one.
        change: what the run comes of.

    What a person, a clock or new data asked for ends nobody else's run. A merge queue tries several commits side by side:
    none of them takes another's place.
    """
    queued = change.purpose == "pull_request" and not change.pull
    by_itself = change.purpose in ("push", "pull_request") and not queued
    place = f"{change.repo}/pull" if change.purpose == "pull_request" else change.repo
    if spec.concurrency is not None:
        return f"{place} {spec.concurrency.group}", spec.concurrency.supersede and by_itself
    line = change.commit if queued else ref_word(change)
    return f"{place} {spec.name}-{line}", by_itself
