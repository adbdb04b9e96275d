"""The specs of a commit, read from git's objects; for their triggers remembered by the content of their folders."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from fiat.engine.footprint_specs import load_specs_at
from fiat.engine.watched import Watched
from fiat.errors import SpecError, SpecErrors
from fiat.git.objects import TooLarge
from fiat.plan.fingerprint import digest_json
from fiat.spec.load import LoadedSpec
from fiat.spec.section import NAME_PATTERN
from fiat.spec.yaml_events import MAX_BYTES, parse

REMEMBERED = 2000


@dataclass(frozen=True)
class Read:
    """A spec file as it could be read.

    Attributes:
        path: relative to the top of the repository.
        loaded: the spec; None when it is wrong, or was not asked for.
        errors: what is wrong with it, each with its place.
        known_name: its name where it was not loaded.
    """

    path: str
    loaded: LoadedSpec | None = None
    errors: tuple[SpecError, ...] = ()
    known_name: str = ""

    @property
    def name(self) -> str:
        """The spec's name; of one that can't be read the name of its folder."""
        if self.loaded is not None:
            return self.loaded.spec.name
        if self.known_name:
            return self.known_name
        return PurePosixPath(self.path).parent.name or PurePosixPath(self.path).stem


@dataclass
class SpecsAt:
    """Reads specs at commits.

    Attributes:
        remembered: so many that were read for their triggers are kept in memory.
    """

    remembered: int = REMEMBERED
    _seen: dict[str, Read] = field(default_factory=dict)

    def read(
        self, watched: Watched, commit: str, paths: Sequence[str], *, ref: str, overrides: Sequence[str] = ()
    ) -> tuple[Read, ...]:
        """Load spec files of a commit, with the same words for `${commit}` and `${ref}` as a run has.

        Raises:
            EnvironmentFault: git refused; a faulty spec is no exception.
        """
        if not paths:
            return ()
        builtins = {"commit": commit, "ref": ref or commit}
        found = load_specs_at(watched.mirror, commit, paths, builtins=builtins, overrides=overrides)
        return tuple(_read(watched, commit, path, found[path]) for path in paths)

    def cards(self, watched: Watched, commit: str, paths: Sequence[str]) -> tuple[Read, ...]:
        """The same for all specs of a branch's head, for their triggers: read once for each content of their folders."""
        blobs = {name: blob.oid for name, blob in watched.mirror.files(commit).items()} if paths else {}
        keys = {path: f"{watched.policy.name} {path} {_folder_digest(blobs, path)}" for path in paths}
        known = {path: self._seen.pop(keys[path]) for path in paths if keys[path] in self._seen}
        new = [path for path in paths if path not in known]
        known |= {read.path: read for read in self.read(watched, commit, new, ref="")}
        # What was used last stands last, and what nobody has used for long is forgotten.
        self._seen |= {keys[path]: read for path, read in known.items()}
        for key in list(self._seen)[: max(0, len(self._seen) - self.remembered)]:
            del self._seen[key]
        return tuple(known[path] for path in paths)


def _read(watched: Watched, commit: str, path: str, found: LoadedSpec | SpecErrors) -> Read:
    if isinstance(found, SpecErrors):
        return Read(path, None, tuple(found.errors), _name_in(watched, commit, path))
    return Read(path, found)


def named_apart(reads: Sequence[Read]) -> list[Read]:
    """Two specs of one name would share their checks: the second one is refused."""
    taken: dict[str, str] = {}
    found: list[Read] = []
    for read in sorted(reads, key=lambda read: read.path):
        first = taken.setdefault(read.name, read.path)
        if first == read.path or read.errors:
            found.append(read)
            continue
        error = SpecError(
            f"the name `{read.name}` is that of {first} too",
            hint="give each spec of a repository a name of its own",
            where=read.loaded.where("name") if read.loaded is not None else None,
        )
        found.append(replace(read, loaded=None, errors=(error,), known_name=f"{read.name}-2"))
    return found


def _name_in(watched: Watched, commit: str, path: str) -> str:
    """The name that a faulty spec gives itself, so that its check is the one that people know; empty without one."""
    blob = watched.mirror.files(commit).get(path)
    if blob is None:
        return ""
    try:
        tree = parse(watched.mirror.read(blob.oid, MAX_BYTES), path)
    except (SpecError, TooLarge):
        return ""
    node = tree.value.get("name") if isinstance(tree.value, dict) else None
    name = node.value if node is not None else None
    return name if isinstance(name, str) and re.match(NAME_PATTERN, name) else ""


def _folder_digest(blobs: Mapping[str, str], path: str) -> str:
    folder = PurePosixPath(path).parent.as_posix()
    prefix = "" if folder == "." else f"{folder}/"
    inside = {
        name: oid
        for name, oid in blobs.items()
        if name.startswith(prefix) and name.endswith((".yaml", ".yml"))
    }
    return digest_json(inside)
