"""The specs of a commit: loaded from its laid out folder, remembered by the content of their own folders."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fiat.engine.checkouts import Checkouts
from fiat.engine.watched import Watched
from fiat.errors import FiatError, SpecError, SpecErrors
from fiat.plan.fingerprint import digest_json
from fiat.spec.files import read_spec_file
from fiat.spec.load import LoadedSpec, load_spec
from fiat.spec.section import NAME_PATTERN
from fiat.spec.yaml_events import parse


@dataclass(frozen=True)
class Read:
    """A spec file as it could be read.

    Attributes:
        path: relative to the top of the repository.
        loaded: the spec; None when it is wrong.
        errors: what is wrong with it, each with its place.
        root: the laid out commit that it was read from.
        known_name: its name where it was not loaded.
    """

    path: str
    loaded: LoadedSpec | None = None
    errors: tuple[SpecError, ...] = ()
    root: Path = Path()
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
        checkouts: where commits are laid out.
    """

    checkouts: Checkouts
    _seen: dict[str, Read] = field(default_factory=dict)

    def read(
        self,
        watched: Watched,
        commit: str,
        paths: Sequence[str],
        *,
        ref: str,
        overrides: Sequence[str] = (),
    ) -> tuple[Read, ...]:
        """Load spec files of a commit, with the same words for `${commit}` and `${ref}` as a run has.

        Raises:
            EnvironmentFault: git or the disk refused; a faulty spec is no exception.
        """
        if not paths:
            return ()
        root = self.checkouts.at(watched, commit)
        return tuple(read_spec(root, path, commit=commit, ref=ref, overrides=overrides) for path in paths)

    def cards(self, watched: Watched, commit: str, paths: Sequence[str]) -> tuple[Read, ...]:
        """The same for all specs of a branch's head, for their triggers: read once for each content of their folders."""
        blobs: Mapping[str, str] | None = None
        found = []
        for path in paths:
            if blobs is None:
                blobs = {name: blob.oid for name, blob in watched.mirror.files(commit).items()}
            key = f"{watched.policy.name} {path} {_folder_digest(blobs, path)}"
            if key not in self._seen:
                self._seen[key] = self.read(watched, commit, [path], ref="")[0]
            found.append(self._seen[key])
        return tuple(found)


def read_spec(root: Path, path: str, *, commit: str, ref: str, overrides: Sequence[str] = ()) -> Read:
    """Load one spec file of a laid out commit."""
    try:
        builtins = {"commit": commit, "ref": ref or commit}
        loaded = load_spec(root / path, root=root, overrides=tuple(overrides), builtins=builtins)
    except SpecErrors as errors:
        return Read(path, None, tuple(errors.errors), root, _name_in(root, path))
    except FiatError as error:
        wrong = SpecError(error.message, hint=error.hint, where=error.where)
        return Read(path, None, (wrong,), root, _name_in(root, path))
    return Read(path, loaded, (), root)


def _name_in(root: Path, path: str) -> str:
    """The name that a faulty spec gives itself, so that its check is the one that people know; empty without one."""
    try:
        tree = parse(*read_spec_file(root / path, root=root))
    except SpecError:
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
