"""The files of one commit as a file system would show them: folders, and symlinks followed within the tree."""

from collections.abc import Callable, Mapping
from functools import cached_property

from fiat.git.objects import Blob

_MOST_LINKS = 40


class Tree:
    """A commit's files by path, with questions that a file system answers.

    Args:
        files: path to entry, see `Mirror.files`.
        read_link: target of a symlink by its object name; "" for one that can't be read.
    """

    def __init__(self, files: Mapping[str, Blob], read_link: Callable[[str], str]) -> None:
        self.files = files
        self._read_link = read_link

    @cached_property
    def folders(self) -> Mapping[str, tuple[str, ...]]:
        """Each folder with the names in it, sorted; the top is the empty path."""
        found: dict[str, set[str]] = {"": set()}
        for path in self.files:
            below = path
            while below:
                folder, _, name = below.rpartition("/")
                names = found.setdefault(folder, set())
                if name in names:
                    break
                names.add(name)
                below = folder
        return {folder: tuple(sorted(names)) for folder, names in found.items()}

    @cached_property
    def links(self) -> Mapping[str, str]:
        """Each symlink with its target as written."""
        return {path: self._read_link(blob.oid) for path, blob in self.files.items() if blob.is_link}

    def resolve(self, path: str) -> tuple[str | None, tuple[str, ...]]:
        """Follow symlinks as the kernel does, but never out of the tree.

        Args:
            path: relative to the top; it need not exist.

        Returns:
            The path without symlinks, None when it leaves the tree or goes in circles; and the symlinks on the way.
        """
        if not self.links:
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
            target = self.links.get(here)
            if target is None:
                continue
            seen.append(here)
            if len(seen) > _MOST_LINKS or not target or target.startswith("/") or "\0" in target:
                return None, tuple(seen)
            done.pop()
            ahead += target.split("/")[::-1]
        return "/".join(done), tuple(seen)
