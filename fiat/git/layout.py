"""Lay a commit out as an immutable folder: its files as they are in the objects, without `.git`, whole or not at all."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fiat.errors import EnvironmentFault, SpecError
from fiat.git.entries import Blob
from fiat.git.mirror import Mirror
from fiat.git.names import fault_of_path
from fiat.git.objects import ObjectReader, TooLarge
from fiat.git.tree import Tree, resolve
from fiat.git.words import show_path

_UNFINISHED = ".laying-"
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_LFS_MOST_BYTES = 1024
_SHOWN = 100


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


@dataclass(frozen=True)
class Layout:
    """A commit as a folder.

    Attributes:
        folder: where it is.
        n_files: files and symlinks in it.
        size_bytes: of all files.
        left_out: what is missing and why.
        lfs_pointers: files that are only pointers to Git LFS, the first hundred; empty when `reused`.
        reused: the folder was there already.
    """

    folder: Path
    n_files: int
    size_bytes: int
    left_out: tuple[LeftOut, ...] = ()
    lfs_pointers: tuple[str, ...] = ()
    reused: bool = False


@dataclass
class _Sum:
    """What was written so far."""

    size_bytes: int = 0
    pointers: tuple[str, ...] = ()


def lay_out(
    mirror: Mirror, commit: str, folder: Path, *, limits: LayoutLimits | None = None, lfs: bool = False
) -> Layout:
    """Write a commit's files into a folder that appears whole or not at all.

    Contents come straight from the objects: no attribute, filter, line ending or `export-ignore` changes them. Files are
    read-only. Symlinks that lead out of the repository, and submodules, are left out; a submodule's folder is there,
    empty. It is no durable copy: after a power cut lay it out again.

    Args:
        mirror: that has the commit.
        commit: full hash.
        folder: must not be there, or be a layout of the same commit: then it is taken as it is.
        limits: what it may cost.
        lfs: fetch what Git LFS points to.

    Raises:
        SpecError: the commit has names that can't be laid out, or is too large.
        EnvironmentFault: the mirror lacks the commit, the disk refuses, or `lfs` is asked for, which is not built yet.
    """
    if lfs:
        hint = "take `lfs: true` out of the settings, or keep the data in DVC"
        raise EnvironmentFault("files of Git LFS are not fetched yet", hint=hint)
    caps = limits or LayoutLimits()
    with mirror.objects() as objects:
        files, left_out = _plan(Tree(mirror.files(commit), objects.link), caps)
        if folder.is_dir():
            return Layout(folder, _count(files), 0, left_out, reused=True)
        try:
            with _unfinished(folder.parent) as place:
                total = _write(objects, files, place, caps)
                try:
                    place.rename(folder)
                except OSError:
                    if not folder.is_dir():
                        raise
                    return Layout(folder, _count(files), 0, left_out, reused=True)
        except OSError as error:
            where = show_path(str(error.filename or folder))
            raise EnvironmentFault(f"can't lay a commit out at {where}: {error.strerror}") from error
    return Layout(folder, _count(files), total.size_bytes, left_out, total.pointers)


def remove_layout(folder: Path) -> None:
    """Remove a layout, read-only as it is. What is not there is fine.

    Raises:
        EnvironmentFault: the disk refuses.
    """
    try:
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink(missing_ok=True)
            return
        for inner, _, _ in os.walk(folder, onerror=None):
            Path(inner).chmod(stat.S_IRWXU)
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise EnvironmentFault(f"can't remove {folder}: {error.strerror}") from error


def _plan(tree: Tree, caps: LayoutLimits) -> tuple[Mapping[str, Blob], tuple[LeftOut, ...]]:
    """What is written and what is left out.

    Raises:
        SpecError: a name that can't be laid out, or too many.
    """
    left_out: list[LeftOut] = []
    kept: dict[str, Blob] = {}
    for path, blob in tree.files.items():
        fault = fault_of_path(path)
        if fault:
            raise SpecError(f"the path {show_path(path)[:200]} of the commit {fault}")
        if blob.is_link and resolve(tree, path)[0] is None:
            left_out.append(LeftOut(path, "is a symlink that leads out of the repository"))
            continue
        if blob.is_submodule:
            left_out.append(LeftOut(path, "is a submodule, which is not fetched"))
        kept[path] = blob
    n_found = len(tree.files) + len(_folders(tree.files))
    if n_found > caps.files:
        raise SpecError(f"the commit has {n_found:,} files and folders, at most {caps.files:,} are laid out")
    return kept, tuple(left_out)


def _folders(files: Mapping[str, Blob]) -> set[str]:
    found: set[str] = set()
    for path in files:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _count(files: Mapping[str, Blob]) -> int:
    return sum(not blob.is_submodule for blob in files.values())


def _write(objects: ObjectReader, files: Mapping[str, Blob], place: Path, caps: LayoutLimits) -> _Sum:
    """Folders, then files, then symlinks: nothing is ever written through a symlink of the commit."""
    total = _Sum()
    folders: dict[str, None] = {}
    for path, blob in files.items():
        _make_folders(place, path if blob.is_submodule else path.rpartition("/")[0], folders)
    for path, blob in files.items():
        if not blob.is_link and not blob.is_submodule:
            _write_file(objects, path, blob, place, caps, total)
    for path, blob in files.items():
        if blob.is_link:
            (place / path).symlink_to(objects.link(blob.oid))
    for name in reversed(folders):
        (place / name).chmod(0o555)
    place.chmod(0o555)
    return total


def _make_folders(place: Path, folder: str, made: dict[str, None]) -> None:
    if not folder or folder in made:
        return
    _make_folders(place, folder.rpartition("/")[0], made)
    (place / folder).mkdir(mode=0o700)
    made[folder] = None


def _write_file(
    objects: ObjectReader, path: str, blob: Blob, place: Path, caps: LayoutLimits, total: _Sum
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(place / path, flags, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        try:
            room = min(caps.file_bytes, caps.size_bytes - total.size_bytes)
            size, first = objects.copy(blob.oid, file, room)
        except TooLarge as error:
            shown = show_path(path)
            raise SpecError(f"{shown} has {error.size_bytes:,} bytes, more than may be laid out") from None
        os.fchmod(descriptor, 0o555 if blob.mode == "100755" else 0o444)
    total.size_bytes += size
    if size <= _LFS_MOST_BYTES and first.startswith(_LFS) and len(total.pointers) < _SHOWN:
        total.pointers = (*total.pointers, path)


@contextmanager
def _unfinished(parent: Path) -> Iterator[Path]:
    """A new folder for what is not whole yet. It is locked: what is not, a killed process left behind."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep_unfinished(parent)
    while True:
        place = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=parent))
        descriptor = _lock(place)
        if descriptor is not None:
            break
    try:
        yield place
    finally:
        if place.is_dir():
            remove_layout(place)
        os.close(descriptor)


def sweep_unfinished(parent: Path) -> None:
    """Remove what killed processes left half laid out in a folder of layouts."""
    for place in parent.glob(f"{_UNFINISHED}*"):
        descriptor = _lock(place)
        if descriptor is not None:
            remove_layout(place)
            os.close(descriptor)


def _lock(place: Path) -> int | None:
    """Hold a folder; None when somebody else does or it is gone."""
    with suppress(FileNotFoundError):
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if place.is_dir():
                return descriptor
        os.close(descriptor)
    return None
