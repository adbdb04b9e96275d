"""Locks between processes that the kernel gives back when their holder dies, however it dies."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fiat.store.faults import fault_of_disk

_NOTHING_TO_CHANGE = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT}


class FileLock:
    """A lock that many may share or one may have alone. One object may be used by several threads at once.

    Args:
        path: the lock's file; made when it is missing. Where nobody may make it (a read-only disk) nothing can
            be changed either, and the lock is given without it; any other refusal of the disk is a fault.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold it beside others; waits while one has it alone."""
        descriptor = _open(self._path)
        try:
            if descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            _close(descriptor)

    @contextmanager
    def alone(self, *, wait: bool = True) -> Iterator[bool]:
        """Hold it alone.

        Args:
            wait: until nobody else has it; else give False at once when somebody has.
        """
        descriptor = _open(self._path)
        try:
            yield _acquire(descriptor, wait=wait)
        finally:
            _close(descriptor)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in _NOTHING_TO_CHANGE:
            return None
        raise fault_of_disk(error, path) from error


def _acquire(descriptor: int | None, *, wait: bool) -> bool:
    if descriptor is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


class HeldLock:
    """A lock that is shared with others from the beginning until `close`, and may be had alone for a while.

    Args:
        path: the lock's file, as for `FileLock`.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = _open(path)
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Have it alone within the block, or give False at once when somebody else holds it."""
        if self._descriptor is None:
            yield False
            return
        try:
            yield _acquire(self._descriptor, wait=False)
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def is_at(self, path: Path) -> bool:
        """Whether the file that is locked is still the one of this name; nobody may have made it on a read-only disk."""
        if self._descriptor is None:
            return True
        try:
            return os.path.samestat(os.fstat(self._descriptor), path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Give it back; calling it twice is fine."""
        _close(self._descriptor)
        self._descriptor = None
