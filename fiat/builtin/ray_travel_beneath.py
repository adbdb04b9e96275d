"""Files below a folder that user code may write: reached without following a link, wherever that code puts one.

Whoever runs in a sandbox can make links to paths that it can't open itself, for us to follow.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path, PurePosixPath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def checked_path(path: str) -> str:
    """A relative path that leads nowhere else.

    Raises:
        ValueError: it does.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError(f"{path!r} is no path within a folder")
    return path


def plain_files(top: Path, folder: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """All plain files below a folder, in order, but hidden ones and those in hidden folders.

    Args:
        top: the folder.
        folder: only what is below this one in it; empty is all.

    Yields:
        The path of each within `top`, with slashes, and what the file system says of it; what goes meanwhile is left out.
    """
    waiting = [folder]
    while waiting:
        inner = waiting.pop()
        with suppress(OSError), folder_beneath(top, inner) as descriptor, os.scandir(descriptor) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = f"{inner}/{entry.name}" if inner else entry.name
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif entry.is_file(follow_symlinks=False):
                    with suppress(OSError):
                        yield path, entry.stat(follow_symlinks=False)


@contextmanager
def folder_beneath(top: Path, path: str, *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder below another one.

    Args:
        top: a folder that is nobody's but ours.
        path: within it; empty is itself.
        make: make what is missing on the way.

    Raises:
        OSError: it is not there, or there is a link on the way.
    """
    descriptor = os.open(top, _FOLDER)
    try:
        for part in PurePosixPath(checked_path(path)).parts if path else ():
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=descriptor)
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def open_beneath(top: Path, path: str) -> BufferedReader:
    """Open a plain file below a folder, to read.

    Raises:
        OSError: it is not there, is no plain file, or there is a link on the way.
    """
    folder, _, name = checked_path(path).rpartition("/")
    with folder_beneath(top, folder) as descriptor:
        found = os.open(name, _FILE, dir_fd=descriptor)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise FileNotFoundError(f"{path} is no plain file")
    return os.fdopen(found, "rb")


def put_beneath(source: Path, top: Path, path: str, *, flush: bool = False) -> None:
    """Give a file its name below a folder, in place of what had it.

    Args:
        source: a file, or a link of ours; on the same disk.
        top: the folder.
        path: within it; folders on the way are made.
        flush: what the folder says of it is on the disk afterwards.

    Raises:
        OSError: the disk refused, or there is a link on the way.
    """
    folder, _, name = checked_path(path).rpartition("/")
    with folder_beneath(top, folder, make=True) as descriptor:
        os.replace(source, name, dst_dir_fd=descriptor)
        if flush:
            os.fsync(descriptor)


def remove_beneath(top: Path, paths: Sequence[str]) -> None:
    """Remove files below a folder, and folders that are empty then; what is gone already is fine.

    Raises:
        OSError: the disk refused.
    """
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError), _parent(top, path) as (descriptor, name):
            os.unlink(name, dir_fd=descriptor)
    folders = {str(folder) for path in paths for folder in PurePosixPath(checked_path(path)).parents}
    for path in sorted(folders - {"."}, key=len, reverse=True):
        with suppress(OSError), _parent(top, path) as (descriptor, name):
            os.rmdir(name, dir_fd=descriptor)


@contextmanager
def _parent(top: Path, path: str) -> Iterator[tuple[int, str]]:
    folder, _, name = checked_path(path).rpartition("/")
    with folder_beneath(top, folder) as descriptor:
        yield descriptor, name
