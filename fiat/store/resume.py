"""Folders that outlive attempts: checkpoints of a training and trials of a study, by what they are worth resuming for."""

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from fiat.store.faults import disk_faults
from fiat.store.work import remove_tree

CHECKPOINTS, STUDIES = "checkpoints", "studies"
KEPT_DAYS = 14
# Network disks whose folders can't be locked: two weeks without a change say enough there.
_WITHOUT_LOCKS = {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP}


class ResumeFolders:
    """Makes and removes them.

    A folder that was given out is held, by a lock that the kernel gives back at our death: nobody removes it meanwhile.

    Args:
        root: the `.fiat` folder, or that of a scope in it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[Path, int] = {}

    def checkpoints(self, key: str) -> Path:
        """The folder for the checkpoints of a piece of work, made when there is none.

        Args:
            key: of the work, see `fiat.plan.fingerprint.resume_key`.

        Raises:
            EnvironmentFault: the disk refused.
        """
        return self._made(self._root / CHECKPOINTS / key[:32])

    def trials(self, key: str) -> Path:
        """The folder for the trials of a study; see `checkpoints`."""
        return self._made(self._root / STUDIES / key[:32])

    def forget(self, key: str) -> None:
        """Remove the checkpoints of a piece of work that is done; finished trials stay, for a longer study.

        While another process does the same work it has them, and forgets them when it is done.

        Raises:
            EnvironmentFault: the disk refused.
        """
        folder = self._root / CHECKPOINTS / key[:32]
        held = self._held.pop(folder, None)
        if held is not None:
            os.close(held)
        remove_resume([folder])

    def close(self) -> None:
        """Let go of all; the folders stay. Calling it twice is fine."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _made(self, folder: Path) -> Path:
        with disk_faults(folder):
            while folder not in self._held:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                descriptor = _lock(folder, fcntl.LOCK_SH)
                if descriptor is not None:
                    self._held[folder] = descriptor
        return folder


def unused_resume(root: Path, now: datetime) -> list[Path]:
    """Folders in which nothing has changed for two weeks, and whose work does not go on.

    Args:
        root: the `.fiat` folder.
        now: aware.

    Raises:
        EnvironmentFault: the disk refused.
    """
    found = []
    for folder in _folders(root):
        with disk_faults(folder):
            descriptor = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if descriptor is not None:
                os.close(descriptor)
                if _is_old(folder, now):
                    found.append(folder)
    return found


def remove_resume(folders: Sequence[Path], unused_at: datetime | None = None) -> None:
    """Remove folders that nobody holds; what is gone already is fine.

    Args:
        folders: of checkpoints or trials.
        unused_at: then they were unused; one that was gone on with since stays.

    Raises:
        EnvironmentFault: the disk refused.
    """
    for folder in folders:
        with disk_faults(folder):
            descriptor = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if descriptor is None:
                continue
            try:
                if unused_at is None or _is_old(folder, unused_at):
                    remove_tree(folder)
            finally:
                os.close(descriptor)


def _is_old(folder: Path, now: datetime) -> bool:
    """Whether nothing in it has changed for two weeks."""
    before_s = (now - timedelta(days=KEPT_DAYS)).timestamp()
    return all(changed_s < before_s for changed_s in _changes(folder))


def _lock(folder: Path, how: int) -> int | None:
    """A descriptor that holds the folder; None when somebody else does, or it is gone or another one by now."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        with suppress(FileNotFoundError):
            if _flock(descriptor, how) and os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _flock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
    return True


def _folders(root: Path) -> Iterator[Path]:
    for kind in (CHECKPOINTS, STUDIES):
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted((root / kind).iterdir()):
                if path.is_dir() and not path.is_symlink():
                    yield path


def _changes(folder: Path) -> Iterator[float]:
    """When the folder and everything in it changed, seconds since 1970."""
    with suppress(FileNotFoundError):
        yield folder.lstat().st_mtime
    waiting = [str(folder)]
    while waiting:
        with suppress(FileNotFoundError, PermissionError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    yield entry.stat(follow_symlinks=False).st_mtime
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
