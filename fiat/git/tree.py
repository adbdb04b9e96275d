"""The files of one commit as a file system would show them: folders, and symlinks followed within the tree."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from fiat.git.entries import Blob, Edit

_MOST_LINKS = 40


class Files(Protocol):
    """What can be asked of a commit's files; symlinks are not followed."""

    def get(self, path: str) -> Blob | None:
        """The entry at a path; None for a folder, and where nothing is."""
        ...

    def below(self, folder: str) -> Sequence[str]:
        """Paths of all files below a folder, sorted; "" is the top."""
        ...

    def has_folder(self, folder: str) -> bool:
        """Whether there is a file below."""
        ...

    def links(self) -> Mapping[str, str]:
        """Each symlink with its target as written."""
        ...


class Tree:
    """All files of a commit.

    Args:
        files: path to entry, see `Mirror.files`.
        read_link: target of a symlink by its object name; "" for one that can't be read.
    """

    def __init__(self, files: Mapping[str, Blob], read_link: Callable[[str], str]) -> None:
        self.files = files
        self.read_link = read_link

    def get(self, path: str) -> Blob | None:
        """See `Files`."""
        return self.files.get(path)

    def below(self, folder: str) -> Sequence[str]:
        """See `Files`."""
        return self._sorted[slice(*_range(self._sorted, folder))]

    def has_folder(self, folder: str) -> bool:
        """See `Files`."""
        first, end = _range(self._sorted, folder)
        return end > first

    def links(self) -> Mapping[str, str]:
        """See `Files`."""
        return self._links

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.files)

    @cached_property
    def _links(self) -> Mapping[str, str]:
        return {path: self.read_link(blob.oid) for path, blob in self.files.items() if blob.is_link}


class EarlierTree:
    """The files of an earlier commit, told from a later one and what changed since.

    Args:
        later: the later commit's files.
        edits: path to how it changed.
    """

    def __init__(self, later: Tree, edits: Mapping[str, Edit]) -> None:
        self._later = later
        self.edits = edits

    def get(self, path: str) -> Blob | None:
        """See `Files`."""
        edit = self.edits.get(path)
        return self._later.get(path) if edit is None else edit.before

    def below(self, folder: str) -> Sequence[str]:
        """See `Files`."""
        then = {path for path in self._later.below(folder) if path not in self.edits}
        first, end = _range(self._sorted, folder)
        return sorted(then.union(path for path in self._sorted[first:end] if self.edits[path].before))

    def has_folder(self, folder: str) -> bool:
        """See `Files`."""
        first, end = _range(self._sorted, folder)
        edited = [self.edits[path] for path in self._sorted[first:end]]
        if any(edit.before for edit in edited):
            return True
        first, end = _range(self._later._sorted, folder)
        return end - first > sum(edit.after is not None for edit in edited)

    def links(self) -> Mapping[str, str]:
        """See `Files`."""
        return self._links

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.edits)

    @cached_property
    def _links(self) -> Mapping[str, str]:
        then = {path: target for path, target in self._later.links().items() if path not in self.edits}
        read = self._later.read_link
        olds = {path: edit.before for path, edit in self.edits.items()}
        return then | {path: read(blob.oid) for path, blob in olds.items() if blob and blob.is_link}


def resolve(files: Files, path: str) -> tuple[str | None, tuple[str, ...]]:
    """Follow symlinks as the kernel does, but never out of the tree.

    Args:
        files: of a commit.
        path: relative to the top; it need not exist.

    Returns:
        The path without symlinks, None when it leaves the tree or goes in circles; and the symlinks on the way.
    """
    links = files.links()
    if not links and ".." not in path:
        return path, ()
    ahead = path.split("/")[::-1]
    done: list[str] = []
    seen: list[str] = []
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not done:
                return None, tuple(seen)
            done.pop()
            continue
        done.append(part)
        here = "/".join(done)
        target = links.get(here)
        if target is None:
            continue
        seen.append(here)
        if len(seen) > _MOST_LINKS or not target or target.startswith("/") or "\0" in target:
            return None, tuple(seen)
        done.pop()
        ahead += target.split("/")[::-1]
    return "/".join(done), tuple(seen)


def _range(paths: Sequence[str], folder: str) -> tuple[int, int]:
    """Which of sorted paths lie below a folder."""
    if not folder:
        return 0, len(paths)
    first = bisect_left(paths, f"{folder}/")
    return first, bisect_left(paths, f"{folder}0", first)  # "0" is the character behind "/"
