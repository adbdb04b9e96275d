"""Which specs of a commit are touched by what changed since an earlier one.

Footprints are remembered in a file by what was looked at to find them, so that a push costs a look at the specs that it
changed and no more.
"""

import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fiat.engine.footprint_code import look
from fiat.engine.footprint_kept import Kept
from fiat.engine.footprint_specs import tree_of_commit
from fiat.engine.footprint_trace import Changed, Footprint, Tracer, is_code
from fiat.git.mirror import Mirror
from fiat.git.objects import ObjectReader
from fiat.git.tree import EarlierTree, Files, Tree

_MODULES_AHEAD = 4
_BLOBS_AHEAD = 4096
_AHEAD_LIMIT_BYTES = 16 << 10
UNTOUCHED = "nothing that it reads changed"
Narrowing = Literal["push", "pull_request", ""]


@dataclass(frozen=True)
class Touched:
    """Whether a change concerns a spec.

    Attributes:
        path: of the spec.
        name: the spec's name; empty when it can't be loaded, or was not looked at because there is nothing to compare with.
        touched: whether it must run.
        why: one sentence: the first file found that it reads and that changed, or why it need not run. Hostile text.
        triggers: the spec's section `triggers`, JSON values; empty where `name` is.
    """

    path: str
    name: str
    touched: bool
    why: str
    triggers: Mapping[str, object] = field(default_factory=dict)


def affected(
    mirror: Mirror,
    commit: str,
    before: str | Mapping[str, str],
    specs: Sequence[str],
    *,
    observed: Callable[[str], Collection[str]] = lambda _: (),
    cache: Path | None = None,
    specs_at: str = "",
    narrowed_by: Narrowing = "",
    triggers_at: str = "",
) -> tuple[Touched, ...]:
    """Which specs a commit touches, compared with an earlier commit.

    Args:
        mirror: that has both commits.
        commit: full hash.
        before: the earlier commit; or one for each spec path. A spec without one, or whose earlier commit is not in the
            mirror, is touched.
        specs: paths of the specs, see `Mirror.spec_files`.
        observed: by a spec's name, what earlier runs of it were seen to read: paths, with `/` behind a folder that was
            listed. Asked only for specs that nothing else touches.
        cache: folder for a file that remembers footprints; damaged or lost, it is made anew.
        specs_at: the commit that the specs themselves are read from, for strangers' commits; left out: `commit`.
        narrowed_by: a section of `triggers` whose `paths` decide as well.
        triggers_at: the commit whose specs say that; for pull requests their base, so that nobody's pull request is told
            "no change" by its own words. Left out: the specs as they are read.

    Returns:
        One for each spec, in their order.

    Raises:
        EnvironmentFault: the mirror lacks `commit`, or can't be read.
    """
    befores = dict.fromkeys(specs, before) if isinstance(before, str) else before
    earlier = {befores[path] for path in specs if befores.get(path)}
    edits = mirror.changed_since(earlier, commit) if earlier else {}
    if not edits:
        return tuple(Touched(path, "", True, "there is no earlier commit to compare with") for path in specs)
    kept = Kept(cache / f"{mirror.folder.name}.json" if cache is not None else None)
    with mirror.objects() as objects:
        after = tree_of_commit(mirror, commit, objects)
        specs_tree = tree_of_commit(mirror, specs_at, objects) if specs_at else after
        asked = tree_of_commit(mirror, triggers_at, objects) if triggers_at else specs_tree
        judge = _Judge(kept, (specs_tree, after, asked), objects, observed, narrowed_by)
        views = {name: (EarlierTree(after, found), Changed(found)) for name, found in edits.items()}
        judge.prepare(path for path in specs if befores.get(path, "") in views)
        judged = tuple(judge.judge(path, views.get(befores.get(path, ""))) for path in specs)
    kept.save()
    return judged


class _Judge:
    """Judges specs at one commit, compared with one or many earlier ones."""

    def __init__(
        self,
        kept: Kept,
        trees: tuple[Tree, Tree, Tree],
        objects: ObjectReader,
        observed: Callable[[str], Collection[str]],
        narrowed_by: Narrowing,
    ) -> None:
        self._kept = kept
        self._specs, self._after, self._asked = trees
        self._tracer = Tracer(self._specs, self._after, objects)
        self._asked_tracer = Tracer(self._asked, self._asked, objects)
        self._objects = objects
        self._observed = observed
        self._narrowed_by = narrowed_by

    def prepare(self, paths: Iterable[str]) -> None:
        """Read together what is surely read: specs of which nothing is remembered, and the modules beside them."""
        entries = []
        for path in paths:
            if not self._kept.of(path):
                folder = posixpath.dirname(path)
                modules = [each for each in self._after.below(folder) if each.endswith(".py")]
                beside = [each for each in modules if posixpath.dirname(each) == folder][:_MODULES_AHEAD]
                entries += [self._specs.get(path), *(self._after.get(each) for each in beside)]
        oids = [entry.oid for entry in entries if entry is not None and entry.is_file]
        self._objects.keep(oids[:_BLOBS_AHEAD], _AHEAD_LIMIT_BYTES)

    def judge(self, path: str, view: tuple[EarlierTree, Changed] | None) -> Touched:
        """One spec; `view` is its earlier commit."""
        if view is None:
            return Touched(path, "", True, "there is no earlier commit to compare with")
        before, changed = view
        found = self._footprint(path)
        triggers = self._triggers(path, found)
        because = self._because(path, found, before, changed)
        name = found.name
        if not because:
            return Touched(path, name, False, UNTOUCHED, triggers)
        section = triggers.get(self._narrowed_by)
        paths = section.get("paths") if isinstance(section, Mapping) else None
        if paths and not any(is_code(each, text) for each in changed.paths for text in paths):
            why = f"no file under triggers.{self._narrowed_by}.paths changed"
            return Touched(path, name, False, why, triggers)
        return Touched(path, name, True, because, triggers)

    def _footprint(self, path: str) -> Footprint:
        """Remembered, if all that was looked at is still so; else found now."""
        for known in self._kept.of(path):
            if _still(self._specs, known.spec):
                if _still(self._after, known.code):
                    return known
                found = self._tracer.find_again(path, known)
                break
        else:
            found = self._tracer.find(path)
        self._kept.add(path, found)
        return found

    def _triggers(self, path: str, found: Footprint) -> Mapping[str, object]:
        """What its section `triggers` says where it counts."""
        if self._asked is self._specs:
            return found.triggers
        for known in self._kept.of(path):
            if _still(self._asked, known.spec):
                return known.triggers
        asked = self._asked_tracer.find(path)
        self._kept.add(path, asked)
        return asked.triggers

    def _because(self, path: str, found: Footprint, before: EarlierTree, changed: Changed) -> str:
        """Why it is touched; empty when it is not."""
        looks = found.code if self._specs is not self._after else {**found.spec, **found.code}
        for question, answer in looks.items():
            what = question.partition(" ")[2]
            then = look(before, question) if changed.at(what) or before.links() else answer
            if then != answer:
                return (
                    f"{what} is new" if not then else f"{what} is gone" if not answer else f"{what} changed"
                )
        if read := found.reads(changed):
            return f"{read} changed"
        for name in self._observed(found.name) if found.name else ():
            if self._observed_differs(name, before, changed):
                return f"{name} changed (the step read it)"
        return ""

    def _observed_differs(self, name: str, before: EarlierTree, changed: Changed) -> bool:
        if not name.endswith("/"):
            return bool(changed.at(name))
        folder = name.rstrip("/")
        folder = "" if folder == "." else folder
        start = len(folder) + 1 if folder else 0
        for path in changed.below(folder):
            child, deeper, _ = path[start:].partition("/")
            edit, place = before.edits[path], path[:start] + child
            if not deeper and (edit.before is None or edit.after is None):
                return True
            if deeper and before.has_folder(place) != self._after.has_folder(place):
                return True
        return False


def _still(files: Files, looks: Mapping[str, str]) -> bool:
    return all(look(files, question) == answer for question, answer in looks.items())
