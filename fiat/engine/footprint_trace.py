"""The footprint of a spec: all that was looked at to know what its steps read, and what they read.

Finding it is a function of what was looked at: while every answer is the same at another commit, so is the footprint.
Files that were looked for and are not there count too: adding one can change what an import means.
"""

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from fiat.engine.footprint_code import ENTRY, LINKS, Imported, Looks, reach_in, read_imports
from fiat.engine.footprint_specs import CommitFiles
from fiat.errors import SpecError, SpecErrors
from fiat.git.objects import ObjectReader, TooLarge
from fiat.git.patterns import pattern
from fiat.git.tree import Files, resolve
from fiat.plan.build import Outside, build_plan
from fiat.plan.model import Plan
from fiat.spec.data_section import Source
from fiat.spec.load import load_spec
from fiat.spec.model import Spec

MODULE_LIMIT_BYTES = 4 << 20
# What a spec calls commit and branch while its footprint is found: files don't depend on them.
_BUILTINS = {"commit": "0" * 40, "ref": "main"}
_NEVER_CODE = frozenset(
    {".git", ".fiat", ".venv", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
)
_WILD = re.compile(r"[*?\[]")
_SPAN = re.compile(r"\{[A-Z]+\}")


@dataclass(frozen=True)
class Footprint:
    """What a spec depends on in its repository.

    Attributes:
        name: the spec's name; empty when it can't be loaded.
        spec: what was looked at to load it, question to answer (see `look`).
        code: the same for its code and data.
        calls: its functions.
        sources: paths and patterns of its data.
        watched: files and folders that its steps read: whatever changes there, or above as a file, counts.
        globs: patterns of data.
        commands: patterns of files that are the code of commands.
        rest: for a command without `code:`, what is *not* its code: files and folders; None when there is no such.
        triggers: its section `triggers`, JSON values.
    """

    name: str
    spec: Mapping[str, str]
    code: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    rest: tuple[str, ...] | None = None
    triggers: Mapping[str, object] = field(default_factory=dict)

    def reads(self, changed: "Changed") -> str:
        """One of the changed paths that its steps read; empty for none."""
        for place in self.watched:
            if found := changed.at(place):
                return found
        globs = [pattern(text) for text in self.globs]
        if not globs and not self.commands and self.rest is None:
            return ""
        for path in changed.paths:
            if any(each.fullmatch(path) for each in globs):
                return path
            if any(is_code(path, text) for text in self.commands):
                return path
            if self.rest is not None and not _is_outside(path, self.rest):
                return path
        return ""


class Changed:
    """Paths of files that differ between two commits.

    Args:
        paths: in any order.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = sorted(paths)
        self._known = frozenset(self.paths)

    def below(self, folder: str) -> Sequence[str]:
        """Changed paths below a folder; "" is the top."""
        if not folder:
            return self.paths
        first = bisect_left(self.paths, f"{folder}/")
        return self.paths[
            first : bisect_left(self.paths, f"{folder}0", first)
        ]  # "0" is the character behind "/"

    def at(self, place: str) -> str:
        """A changed path that is a place, lies below it, or is a file or submodule where its folder would be; else empty."""
        if place in self._known:
            return place
        if inside := self.below(place):
            return inside[0]
        end = place.rfind("/")
        while end > 0:
            if place[:end] in self._known:
                return place[:end]
            end = place.rfind("/", 0, end)
        return ""


class Tracer:
    """Finds footprints at one commit.

    Args:
        specs: files that specs are read from.
        files: files that their code and data are.
        objects: contents of both.
    """

    def __init__(self, specs: Files, files: Files, objects: ObjectReader) -> None:
        self._specs = specs
        self._files = files
        self._objects = objects
        self._imports: dict[str, Sequence[Imported]] = {}

    def find(self, path: str) -> Footprint:
        """The footprint of the spec at a path. One that can't be loaded has its own folder."""
        looks = Looks(self._specs)
        folder = posixpath.dirname(path)
        try:
            loaded = load_spec(
                Path(path), root=Path(), builtins=_BUILTINS, files=CommitFiles(looks, self._objects)
            )
            name, triggers = loaded.spec.name, _triggers(loaded.spec)
            plan = build_plan(loaded.spec, Outside(folder or "."))
        except SpecErrors:
            looks.see(ENTRY, path)
            return Footprint("", looks.seen, watched=(folder,))
        except SpecError:
            return Footprint(name, looks.seen, watched=(folder,), triggers=triggers)
        named = _named_in(loaded.spec, plan, [file.as_posix() for file in loaded.files])
        return self.find_again(path, replace(named, name=name, spec=looks.seen, triggers=triggers))

    def find_again(self, path: str, known: Footprint) -> Footprint:
        """The footprint of a spec whose own files are as they were when it was found, at this commit."""
        if not known.calls and not known.sources:
            return known
        folder = posixpath.dirname(path)
        looks = Looks(self._files)
        for call in known.calls:
            reach_in(looks, call, (folder, "") if folder else ("",), self._imports_of)
        watched: dict[str, None] = {}
        globs: dict[str, None] = {}
        for text in known.sources:
            self._watch(text, looks, watched, globs)
        return replace(known, code=looks.seen, watched=tuple(watched), globs=tuple(globs))

    def _watch(self, text: str, looks: Looks, watched: dict[str, None], globs: dict[str, None]) -> None:
        """Note a source: where it is, where symlinks on the way and in it lead."""
        if text.startswith("/"):
            return
        name = posixpath.normpath(text)
        name = "" if name == "." else name
        fixed = name
        if wild := _WILD.search(name):
            globs[name] = None
            fixed = posixpath.dirname(name[: wild.start()])
        waiting, seen = [fixed], set[str]()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            looks.see(LINKS, place)
            target, links = resolve(self._files, place)
            watched.update(dict.fromkeys(links))
            if target is None:
                continue
            if not (wild and target == fixed):
                watched[target] = None
            inside = (link for link in self._files.links() if not target or link.startswith(f"{target}/"))
            waiting += [target, *inside]

    def _imports_of(self, oid: str) -> Sequence[Imported]:
        if oid not in self._imports:
            try:
                self._imports[oid] = read_imports(self._objects.read(oid, MODULE_LIMIT_BYTES))
            except TooLarge:
                self._imports[oid] = ()
        return self._imports[oid]


def _named_in(spec: Spec, plan: Plan, spec_files: Sequence[str]) -> Footprint:
    """What the steps name: functions, data, patterns of code."""
    calls = [step.call for step in plan.steps if step.call]
    calls += [str(data.source.call) for data in spec.data.values() if data.source and data.source.call]
    sources = _sources(spec, [name for step in plan.steps for name in step.sources])
    patterns = [step.code for step in plan.steps if step.kind == "run"]
    commands = dict.fromkeys(text for each in patterns for text in each or ())
    rest = None
    if None in patterns:
        data_places = [name for step in plan.steps for name in step.sources if step.kind == "data"]
        targets = [target.path for target in spec.deploy.values() if target.path]
        rest = (*(name.removeprefix("./") for name in (*data_places, *targets)), *spec_files)
    return Footprint(
        "",
        {},
        calls=tuple(dict.fromkeys(calls)),
        sources=tuple(dict.fromkeys(sources)),
        commands=tuple(commands),
        rest=rest,
    )


def is_code(path: str, text: str) -> bool:
    """Whether a file is the code of a command by one of its patterns: the rule of `Checkout.code_files`."""
    if text.endswith("/**"):
        return path.startswith(text[:-2])
    if path == text or path.startswith(f"{text.rstrip('/')}/"):
        return True
    return fnmatchcase(path, text.replace("**/", "*")) or fnmatchcase(path, text)


def _triggers(spec: Spec) -> Mapping[str, object]:
    if spec.triggers is None:
        return {}
    return spec.triggers.model_dump(mode="json", by_alias=True, exclude_none=True)


def _sources(spec: Spec, planned: Sequence[str]) -> Iterator[str]:
    """Paths and patterns of what is read as data."""
    yield from planned
    for data in spec.data.values():
        if data.schema_:
            yield data.schema_
        if data.span:
            yield _SPAN.sub("*", data.span.pattern)
        if data.source is not None:
            yield from _dvc_files(data.source)


def _dvc_files(source: Source) -> Iterator[str]:
    """Where DVC may keep what it knows of a path that it tracks."""
    if not source.dvc or source.repo or source.dvc.endswith(".dvc"):
        return
    for folder in (PurePosixPath(source.dvc), *PurePosixPath(source.dvc).parents):
        if folder.name:
            yield f"{folder}.dvc"
    yield from ("dvc.lock", "dvc.yaml", "**/dvc.lock", "**/dvc.yaml")


def _is_outside(path: str, rest: Sequence[str]) -> bool:
    """Whether a file is no code of a command without `code:`: the rule of `Checkout.code_files`."""
    if path.endswith(".dvc") or not _NEVER_CODE.isdisjoint(path.split("/")):
        return True
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in rest)
