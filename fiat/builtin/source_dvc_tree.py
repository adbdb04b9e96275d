"""The files of a repository that say what DVC tracks, read by us: in a checkout, or in a commit of a mirror."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from fiat.builtin.source_dvc_file import LONGEST_BYTES, TrackedOut, parse_dvc_file, parse_dvc_lock
from fiat.data.confined import checked_files, named_path
from fiat.errors import SpecError
from fiat.git.mirror import Mirror
from fiat.git.objects import TooLarge
from fiat.ports.confinement import Confinement


class Tree(Protocol):
    """Files by their path from the top, with `/` between its parts."""

    def read(self, path: str) -> bytes | None:
        """A file's content; None when there is none, or one of more than 1 MiB."""
        ...

    def names(self, folder: str) -> Sequence[str]:
        """Names of the files in a folder, `.` for the top."""
        ...


class CheckoutTree:
    """A checkout.

    Args:
        root: its top.
        policy: what may be read.
    """

    def __init__(self, root: Path, policy: Confinement) -> None:
        self._root, self._policy = root, policy

    def read(self, path: str) -> bytes | None:
        """As Tree says.

        Raises:
            SpecError: it leads to what is not granted.
        """
        place = named_path(path, self._root, self._policy, "source.dvc")
        if not checked_files([place], self._root, self._policy, "source.dvc"):
            return None
        with place.open("rb") as stream:
            content = stream.read(LONGEST_BYTES + 1)
        return content if len(content) <= LONGEST_BYTES else None

    def names(self, folder: str) -> Sequence[str]:
        """As Tree says.

        Raises:
            SpecError: it leads to what is not granted.
        """
        place = named_path(folder, self._root, self._policy, "source.dvc")
        return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []


class CommitTree:
    """A commit of a mirror.

    Args:
        mirror: has the commit.
        commit: full hash.
    """

    def __init__(self, mirror: Mirror, commit: str) -> None:
        self._mirror = mirror
        self._blobs = {path: blob.oid for path, blob in mirror.files(commit).items() if blob.is_file}

    def read(self, path: str) -> bytes | None:
        """As Tree says."""
        oid = self._blobs.get(path)
        try:
            return self._mirror.read(oid, LONGEST_BYTES) if oid else None
        except TooLarge:
            return None

    def names(self, folder: str) -> Sequence[str]:
        """As Tree says."""
        parts = [PurePosixPath(path) for path in self._blobs]
        return sorted(part.name for part in parts if str(part.parent) == folder)


@dataclass(frozen=True)
class Wanted:
    """Something tracked that a source asks for.

    Attributes:
        path: of what is tracked, from the top.
        out: what DVC noted.
        inner: the part of it that is asked for; empty for all.
    """

    path: str
    out: TrackedOut
    inner: str = ""


def find_tracked(tree: Tree, named: str) -> list[Wanted]:
    """What a `.dvc` file tracks, or what tracks a path: the nearest `.dvc` or `dvc.lock` file above it.

    Raises:
        SpecError: nothing does.
    """
    if named.endswith(".dvc"):
        content = tree.read(named)
        if content is None:
            raise SpecError(f"source.dvc: there is no file {named} that can be read")
        folder = PurePosixPath(named).parent
        return [Wanted(str(folder / out.path), out) for out in parse_dvc_file(content, named)]
    path = PurePosixPath(named)
    for folder in path.parents:
        for out in _outs_in(tree, folder):
            place = folder / out.path
            if path.is_relative_to(place):
                inner = path.relative_to(place).as_posix()
                return [Wanted(str(place), out, "" if inner == "." else inner)]
    raise SpecError(
        f"source.dvc: no .dvc file and no dvc.lock tracks {named}", hint="is the path right, and committed?"
    )


def _outs_in(tree: Tree, folder: PurePosixPath) -> Iterator[TrackedOut]:
    for name in tree.names(str(folder)):
        if name.endswith(".dvc") or name == "dvc.lock":
            path = str(folder / name)
            content = tree.read(path)
            if content is not None:
                parse = parse_dvc_lock if name == "dvc.lock" else parse_dvc_file
                yield from parse(content, path)
