"""One writer of a mirror at a time, over threads and processes, and what a killed one left behind."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fiat.errors import Waiting

_POLL_S = 0.05


@contextmanager
def writing(path: Path, *, timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[int]:
    """Be the only one who writes.

    The lock belongs to the open file, so a git process that is given the file holds it too: when we are killed in the
    middle of a fetch, the next one waits until that git has ended as well.

    Args:
        path: the lock's file, made when it is missing.
        timeout_s: longest time to wait for the others.
        sleep: how to wait.

    Yields:
        The open file, to be passed on.

    Raises:
        Waiting: somebody else writes all the time.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Waiting(
                        f"another fetch into {path.parent.name} takes longer than {timeout_s:.0f} s"
                    ) from None
                sleep(_POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def sweep(git_dir: Path) -> None:
    """Remove what a git that was killed left: locks of refs and files, half a pack. Only while nobody else writes."""
    for folder in (git_dir, git_dir / "refs"):
        found = folder.glob("*.lock") if folder == git_dir else folder.rglob("*.lock")
        for path in found:
            path.unlink(missing_ok=True)
    for pattern in ("tmp_*", "*/tmp_*", "incoming-*", "tmp_objdir-*", "info/*.lock"):
        for path in (git_dir / "objects").glob(pattern):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
