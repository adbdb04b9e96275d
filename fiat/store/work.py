"""Scratch folders of steps under `work/`, and which of them belong to nobody any more."""

import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path

from fiat.store.faults import disk_faults

_OWNER = ".owner"
_MAKING_S = 60.0


class WorkFolders:
    """Makes and removes scratch folders.

    Each run's folder holds a file that this process keeps locked as long as it lives. The kernel gives the
    lock back at its death, so a folder whose lock can be had is nobody's, whatever process ids were used
    again meanwhile.

    Args:
        root: the `.fiat` folder.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "work"
        self._held: dict[str, int] = {}

    def make(self, run: str, step: str, attempt: int) -> Path:
        """An empty folder for one attempt at a step: `work/<run>/<step>.<attempt>`.

        Raises:
            EnvironmentFault: the disk refused.
        """
        home = self._folder / run
        path = home / f"{step}.{attempt}"
        with disk_faults(path):
            home.mkdir(parents=True, exist_ok=True)
            self._hold(run, home / _OWNER)
            if path.exists():
                remove_tree(path)
            path.mkdir()
        return path

    def remove(self, run: str, step: str | None = None, attempt: int = 0) -> None:
        """Remove the folder of one attempt, or with `step=None` all of a run's. What is gone already is fine.

        Raises:
            EnvironmentFault: the disk refused.
        """
        home = self._folder / run
        path = home if step is None else home / f"{step}.{attempt}"
        with disk_faults(path):
            remove_tree(path)
        if step is None and run in self._held:
            os.close(self._held.pop(run))

    def abandoned(self) -> list[Path]:
        """Folders of runs whose process is dead."""
        if not self._folder.is_dir():
            return []
        return sorted(
            home for home in self._folder.iterdir() if home.name not in self._held and _is_free(home)
        )

    def close(self) -> None:
        """Give the locks back; the folders stay."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def _hold(self, run: str, owner: Path) -> None:
        if run not in self._held:
            # Locked before it has its name, so that nobody ever sees it free while we live.
            draft = owner.with_name(f"{owner.name}-{os.getpid()}")
            descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            draft.rename(owner)
            self._held[run] = descriptor


def remove_tree(path: Path) -> None:
    """Remove a folder whatever modes its content has and however deeply it is nested.

    Raises:
        OSError: something in it can't be removed.
    """

    def mend(
        function: Callable[[str], object], name: str, fault: tuple[type[BaseException], BaseException, object]
    ) -> None:
        error = fault[1]
        if isinstance(error, FileNotFoundError):
            return
        if not isinstance(error, PermissionError):
            raise error
        path = Path(name)
        for place in (path.parent, path):
            if not place.is_symlink():
                place.chmod(stat.S_IRWXU)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    try:
        shutil.rmtree(path, onerror=mend)
    except RecursionError:
        _remove_deep(path)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENAMETOOLONG):
            raise
        _remove_deep(path)


def _remove_deep(top: Path) -> None:
    """Remove a folder that is nested too deeply to descend: each folder in it is first moved right below the top."""
    waiting = [top]
    made = 0
    while waiting:
        folder = waiting.pop()
        folder.chmod(stat.S_IRWXU)
        for entry in list(folder.iterdir()):
            if entry.is_symlink() or not entry.is_dir():
                entry.unlink()
            elif folder == top:
                waiting.append(entry)
            else:
                entry.chmod(stat.S_IRWXU)
                made += 1
                waiting.append(entry.rename(top / f".deep-{os.getpid()}-{made}"))
        if folder != top:
            folder.rmdir()
    top.rmdir()


def _has_rested(home: Path) -> bool:
    """Whether a folder without an owner is left over, not one that is being made just now."""
    try:
        return time.time() - home.stat().st_ctime > _MAKING_S
    except FileNotFoundError:
        return False


def _is_free(home: Path) -> bool:
    try:
        descriptor = os.open(home / _OWNER, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _has_rested(home)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
