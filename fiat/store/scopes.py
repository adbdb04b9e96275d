"""Rooms for strangers' runs: what they make is kept apart, and what all share is only read."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.store.database import Transaction
from fiat.store.faults import disk_faults
from fiat.store.locks import FileLock, HeldLock
from fiat.store.work import remove_tree

KEPT_DAYS = 14
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_LOCK = "use.lock"


class Scope:
    """A scope that is in use: its folder, and how its results are named.

    Args:
        root: the `.fiat` folder.
        name: such as `fork-4711-12`; empty for what all share.

    Raises:
        EnvironmentFault: the name can't be one; or the disk refused.

    Attributes:
        root: folder for its cache; the `.fiat` folder itself for what all share.
        prefix: stands before the fingerprints and specs of its results; empty for what all share.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.prefix = ""
        self._lock: HeldLock | None = None
        if not name:
            return
        if not _NAME.fullmatch(name):
            raise EnvironmentFault(
                f"{name!r} can't be a scope of the store", hint="use small letters, digits and -"
            )
        self.root = root / "scopes" / name
        self.prefix = _prefix(name)
        with disk_faults(self.root):
            self._enter()

    def close(self) -> None:
        """Leave it; calling it twice is fine."""
        if self._lock is not None:
            self._lock.close()

    def _enter(self) -> None:
        """Hold the scope; a `gc` that removes it just now is waited for and the folder made again."""
        while True:
            self.root.mkdir(parents=True, exist_ok=True)
            path = self.root / _LOCK
            self._lock = HeldLock(path)
            with suppress(FileNotFoundError):
                os.utime(path)
                for part in (("cache", "files", "md5"), ("tmp",)):
                    self.root.joinpath(*part).mkdir(parents=True, exist_ok=True)
                if self._lock.is_at(path):
                    return
            self._lock.close()


def unused_scopes(root: Path, now: datetime) -> list[Path]:
    """Folders of the scopes that nobody has opened for two weeks."""
    before_s = (now - timedelta(days=KEPT_DAYS)).timestamp()
    return [folder for folder in _folders(root) if _opened_s(folder) < before_s]


def forget_scopes(transaction: Transaction, scopes: Sequence[Path]) -> int:
    """Forget the results of these scopes; gives how many there were."""
    forgotten = 0
    for folder in scopes:
        prefix = _prefix(folder.name)
        # The sign after the prefix's last one ends the range.
        forgotten += len(
            transaction.execute(
                "DELETE FROM results WHERE fingerprint >= ? AND fingerprint < ? RETURNING 1",
                (prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)),
            )
        )
    return forgotten


def remove_scopes(scopes: Sequence[Path]) -> None:
    """Remove the folders of scopes that are still unused.

    Raises:
        EnvironmentFault: the disk refused.
    """
    for folder in scopes:
        with disk_faults(folder), FileLock(folder / _LOCK).alone(wait=False) as alone:
            if alone:
                remove_tree(folder)


def _prefix(name: str) -> str:
    return f"{name}:"


def _folders(root: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from sorted((root / "scopes").iterdir())


def _opened_s(folder: Path) -> float:
    for path in (folder / _LOCK, folder):
        with suppress(FileNotFoundError):
            return path.stat().st_mtime
    return 0.0
