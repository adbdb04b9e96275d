"""Lay a commit out as an immutable folder: its files as they are in the objects, without `.git`, whole or not at all."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.git.layout_write import LayoutLimits, LeftOut, Writer
from fiat.git.mirror import Mirror
from fiat.git.submodules import Submodules
from fiat.git.words import show_path

__all__ = ["Layout", "LayoutLimits", "LeftOut", "lay_out", "remove_layout", "sweep_unfinished"]

_UNFINISHED = ".laying-"


@dataclass(frozen=True)
class Layout:
    """A commit as a folder.

    Attributes:
        folder: where it is.
        n_files: files and symlinks in it; 0 when `reused`, as the rest.
        size_bytes: of all files.
        left_out: what is missing and why.
        lfs_pointers: files that are only pointers to Git LFS, the first hundred.
        reused: the folder was there already.
    """

    folder: Path
    n_files: int = 0
    size_bytes: int = 0
    left_out: tuple[LeftOut, ...] = ()
    lfs_pointers: tuple[str, ...] = ()
    reused: bool = False


def lay_out(
    mirror: Mirror,
    commit: str,
    folder: Path,
    *,
    limits: LayoutLimits | None = None,
    submodules: Submodules | None = None,
    lfs: bool = False,
) -> Layout:
    """Write a commit's files into a folder that appears whole or not at all.

    Contents come straight from the objects: no attribute, filter, line ending or `export-ignore` changes them. Files and
    folders are read-only. Symlinks that lead out of the repository are left out. So are submodules, unless they are asked
    for; their folders are there, empty. It is no durable copy: after a power cut lay it out again.

    Args:
        mirror: that has the commit.
        commit: full hash.
        folder: must not be there, or be a layout of the same commit: then it is taken as it is.
        limits: what it may cost.
        submodules: where submodules are fetched from; left out: nowhere.
        lfs: fetch what Git LFS points to.

    Raises:
        SpecError: the commit has names that can't be laid out, is too large, or names a submodule that is not allowed.
        Waiting, Stalled: a submodule can't be fetched.
        EnvironmentFault: the mirror lacks the commit, the disk refuses, or `lfs` is asked for, which is not built yet.
    """
    if lfs:
        hint = "take `lfs: true` out of the settings, or keep the data in DVC"
        raise EnvironmentFault("files of Git LFS are not fetched yet", hint=hint)
    if folder.is_dir():
        return Layout(folder, reused=True)
    try:
        with _unfinished(folder.parent) as place:
            writer = Writer(place, limits or LayoutLimits(), submodules)
            writer.write(mirror, commit)
            writer.seal()
            try:
                place.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
                return Layout(folder, reused=True)
    except OSError as error:
        where = show_path(str(error.filename2 or error.filename or folder))
        raise EnvironmentFault(f"can't lay a commit out at {where}: {error.strerror}") from error
    return Layout(
        folder, writer.n_files, writer.size_bytes, tuple(writer.left_out), tuple(writer.lfs_pointers)
    )


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
