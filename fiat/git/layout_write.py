"""Write the entries of a commit into a folder: folders, then files, then symlinks, so that none is written through."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fiat.errors import SpecError
from fiat.git.entries import Blob
from fiat.git.mirror import Mirror
from fiat.git.names import fault_of_path
from fiat.git.objects import ObjectReader, TooLarge
from fiat.git.submodules import Submodules
from fiat.git.tree import Tree, resolve
from fiat.git.words import show_path

_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_LFS_MOST_BYTES = 1024
_POINTERS_TOLD = 100


@dataclass(frozen=True)
class LayoutLimits:
    """What a commit may cost.

    Attributes:
        files: most files, symlinks and folders.
        size_bytes: most bytes of all files together.
        file_bytes: most bytes of one file.
    """

    files: int = 200_000
    size_bytes: int = 32 << 30
    file_bytes: int = 8 << 30


@dataclass(frozen=True)
class LeftOut:
    """An entry of the commit that is not in the folder.

    Attributes:
        path: where it would be; hostile text.
        reason: a sentence's end, such as `is a symlink that leads out of the repository`.
    """

    path: str
    reason: str


class Writer:
    """Writes one commit, and those of its submodules when they are asked for.

    Args:
        place: an empty folder.
        limits: for all of it together.
        submodules: where they are fetched from; None leaves them out.

    Attributes:
        n_files: files and symlinks so far.
        size_bytes: of all files so far.
        left_out: what was left out so far.
        lfs_pointers: pointers found so far.
    """

    def __init__(self, place: Path, limits: LayoutLimits, submodules: Submodules | None) -> None:
        self._place = place
        self._limits = limits
        self._submodules = submodules
        self._folders: dict[str, None] = {}
        self._n_entries = 0
        self.n_files = 0
        self.size_bytes = 0
        self.left_out: list[LeftOut] = []
        self.lfs_pointers: list[str] = []

    def write(self, mirror: Mirror, commit: str, inside: str = "", depth: int = 0) -> None:
        """Write a commit's entries below a folder, with their submodules.

        Raises:
            SpecError: a name that can't be laid out, too many or too much, a submodule that is not allowed.
            OSError: the disk refuses.
        """
        with mirror.objects() as objects:
            tree = Tree(mirror.files(commit), objects.link)
            kept = self._plan(tree, inside)
            try:
                self._write_entries(objects, kept)
            except (FileExistsError, NotADirectoryError) as error:
                place = os.path.relpath(str(error.filename2 or error.filename), self._place)
                raise SpecError(f"the commit has two entries at {show_path(place)}") from None
        for path, blob in kept.items():
            if not blob.is_submodule:
                self.n_files += 1
            elif self._submodules is None:
                self.left_out.append(LeftOut(path, "is a submodule, which is not fetched"))
            else:
                name = path[len(inside) + 1 :] if inside else path
                theirs = self._submodules.fetch(mirror, tree.files, name, blob.oid, depth)
                self.write(theirs, blob.oid, path, depth + 1)

    def _write_entries(self, objects: ObjectReader, entries: Mapping[str, Blob]) -> None:
        for path, blob in entries.items():
            self._make_folder(path if blob.is_submodule else path.rpartition("/")[0])
        plain = {path: blob for path, blob in entries.items() if not blob.is_link and not blob.is_submodule}
        objects.expect(blob.oid for blob in plain.values())
        for path, blob in plain.items():
            self._write_file(objects, path, blob)
        for path, blob in entries.items():
            if blob.is_link:
                (self._place / path).symlink_to(objects.link(blob.oid))

    def seal(self) -> None:
        """Make the folders read-only; the files are already."""
        for name in reversed(self._folders):
            (self._place / name).chmod(0o555)
        self._place.chmod(0o555)

    def _plan(self, tree: Tree, inside: str) -> Mapping[str, Blob]:
        """What is written, by its path from the top.

        Raises:
            SpecError: a name that can't be laid out, or too many.
        """
        kept: dict[str, Blob] = {}
        for name, blob in tree.files.items():
            path = f"{inside}/{name}" if inside else name
            fault = fault_of_path(path)
            if fault:
                raise SpecError(f"the path {show_path(path)[:200]} of the commit {fault}")
            if blob.is_link and resolve(tree, name)[0] is None:
                self.left_out.append(LeftOut(path, "is a symlink that leads out of the repository"))
            else:
                kept[path] = blob
        self._count(len(kept))
        return kept

    def _count(self, more: int) -> None:
        self._n_entries += more
        most = self._limits.files
        if self._n_entries > most:
            raise SpecError(f"the commit has more than {most:,} files and folders")

    def _make_folder(self, folder: str) -> None:
        if not folder or folder in self._folders:
            return
        self._make_folder(folder.rpartition("/")[0])
        (self._place / folder).mkdir(mode=0o700)
        self._folders[folder] = None
        self._count(1)

    def _write_file(self, objects: ObjectReader, path: str, blob: Blob) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._place / path, flags, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            try:
                room = min(self._limits.file_bytes, self._limits.size_bytes - self.size_bytes)
                size, first = objects.copy(blob.oid, file, room)
            except TooLarge as error:
                shown = show_path(path)
                message = f"{shown} has {error.size_bytes:,} bytes, more than may be laid out"
                raise SpecError(message) from None
            os.fchmod(descriptor, 0o555 if blob.mode == "100755" else 0o444)
        self.size_bytes += size
        is_pointer = size <= _LFS_MOST_BYTES and first.startswith(_LFS)
        if is_pointer and len(self.lfs_pointers) < _POINTERS_TOLD:
            self.lfs_pointers.append(path)
