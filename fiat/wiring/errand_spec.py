"""Which spec a claimed run obeys: strangers' code runs by the base branch's, and gates are those that are in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from fiat.engine.checkouts import Checkouts
from fiat.engine.footprint_specs import load_specs_at
from fiat.engine.policy import short_ref
from fiat.engine.watched import Watched
from fiat.errors import SpecError, SpecErrors
from fiat.run.queue import QueuedRun
from fiat.spec.coherence import find_contradictions
from fiat.spec.load import LoadedSpec, digest, load_spec
from fiat.spec.model import Spec

# What a pull request may say but not yet decide: it is judged by what is in force where it wants to go.
IN_FORCE = ("gates", "baseline")
_TOLD = (*IN_FORCE, "deploy", "triggers", "concurrency")


@dataclass(frozen=True)
class ErrandSpec:
    """The spec of a run and where its code lies.

    Attributes:
        loaded: what is obeyed.
        root: the laid out commit whose code and data are used.
        changed: sections that the pull request changes and that count only after the merge: key, before, after.
    """

    loaded: LoadedSpec
    root: Path
    changed: tuple[tuple[str, object, object], ...] = ()


def errand_spec(run: QueuedRun, watched: Watched, checkouts: Checkouts) -> ErrandSpec:
    """Lay out the commit and load the spec that counts.

    Raises:
        SpecErrors: what is wrong with it.
        SpecError: the commit can't be laid out.
        EnvironmentFault: git or the disk refused.
    """
    mirror = watched.mirror
    mirror.fetch([], [run.commit])
    root = checkouts.at(watched, run.commit)
    base = _base_commit(run, watched)
    if run.fork:
        if not base:
            raise SpecError(f"the branch {short_ref(run.ref)} is not there")
        return ErrandSpec(_load(checkouts.at(watched, base), run), root)
    loaded = _load(root, run)
    if run.purpose != "pull_request":
        return ErrandSpec(loaded, root)
    theirs = _theirs(watched, base, run, loaded.spec.name)
    if theirs is None:
        # New, or broken where it wants to go: there is nothing to judge by but its own gates, which is said.
        return ErrandSpec(loaded, root, _changes({}, loaded.config))
    changed = _changes(theirs.config, loaded.config)
    return ErrandSpec(_in_force(loaded, theirs, run), root, changed)


def _theirs(watched: Watched, base: str, run: QueuedRun, name: str) -> LoadedSpec | None:
    """The base branch's spec: the file of the same path, else the spec of the same name, wherever it was moved from."""
    if not base:
        return None
    paths = watched.mirror.spec_files(base, watched.policy.specs)
    builtins = {"commit": run.commit, "ref": _ref(run)}
    there = (run.spec_path,) if run.spec_path in paths else paths
    found = load_specs_at(watched.mirror, base, there, builtins=builtins).values()
    loaded = [one for one in found if isinstance(one, LoadedSpec)]
    if there is not paths:
        return loaded[0] if loaded else None
    return next((one for one in loaded if one.spec.name == name), None)


def _base_commit(run: QueuedRun, watched: Watched) -> str:
    """Head of the branch that a pull request wants to go to; empty for other runs."""
    if run.purpose != "pull_request":
        return ""
    base = watched.mirror.commit_of(run.ref)
    if not base:
        watched.mirror.fetch([run.ref])
        base = watched.mirror.commit_of(run.ref)
    return base


def _ref(run: QueuedRun) -> str:
    return f"pull/{run.pull}" if run.pull else short_ref(run.ref)


def _load(root: Path, run: QueuedRun) -> LoadedSpec:
    builtins = {"commit": run.commit, "ref": _ref(run)}
    return load_spec(root / run.spec_path, root=root, overrides=run.overrides, builtins=builtins)


def _changes(
    before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[tuple[str, object, object], ...]:
    return tuple((key, before.get(key), after.get(key)) for key in _TOLD if before.get(key) != after.get(key))


def _in_force(head: LoadedSpec, base: LoadedSpec, run: QueuedRun) -> LoadedSpec:
    """The head's spec with the gates of the branch that it wants to go to.

    Raises:
        SpecErrors: these gates don't fit the head's spec.
    """
    taken = {key: base.config[key] for key in IN_FORCE if key in base.config}
    if "gates" not in taken or all(head.config.get(key) == value for key, value in taken.items()):
        return head
    config = {key: value for key, value in head.config.items() if key not in IN_FORCE} | taken
    branch = short_ref(run.ref)
    try:
        spec = Spec.model_validate(config)
    except ValidationError as error:
        raise SpecErrors([_unfit(head, branch, str(error.errors()[0]["msg"]))]) from None
    wrong: Sequence[object] = list(find_contradictions(spec))
    if wrong:
        raise SpecErrors([_unfit(head, branch, str(getattr(wrong[0], "message", wrong[0])))])
    return replace(head, spec=spec, config=config, digest=digest(config))


def _unfit(head: LoadedSpec, branch: str, said: str) -> SpecError:
    return SpecError(
        f"the gates of {branch} don't fit this spec: {said}",
        hint=f"change the gates on {branch} first",
        where=head.where("gates"),
    )
