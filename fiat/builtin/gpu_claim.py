"""One claim to GPUs: a file that says who wants or has what, and a lock on it that says that it still holds."""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from fiat.builtin import job_tree
from fiat.builtin.gpu_queue import Wish

_FILE_BYTES = 8192  # written at once when a claim is made: what is changed later needs no room on the disk
SILENCE_S = 30.0
"""Who waits and has not asked for so long is passed."""


@dataclass(frozen=True)
class Claim:
    """What one file of the ledger says.

    Attributes:
        id: name of the file.
        run: that it is for.
        step: the step or trial of it.
        pid: the process that made it, in its own namespace.
        ticks: when that started.
        share: of each GPU.
        count: how many GPUs.
        among: keys of the GPUs that will do.
        priority: higher ones come first.
        since: when it came, seconds since boot.
        ready: whether it could begin if it had them; as long as it lacks something else, others may pass it.
        keys: the GPUs that it has; empty while it waits.
        taken: when it got them, seconds since boot.
        seen: when it last asked for them, seconds since boot, to within some.
    """

    id: str
    run: str
    step: str
    pid: int
    ticks: int
    share: float
    count: int
    among: tuple[str, ...]
    priority: int = 0
    since: float = 0.0
    ready: bool = True
    keys: tuple[str, ...] = ()
    taken: float = 0.0
    seen: float = 0.0

    @property
    def wish(self) -> Wish:
        """As the queue takes it."""
        return Wish(self.id, self.share, self.count, self.among, self.priority, self.since)


@contextlib.contextmanager
def joined(path: Path) -> Iterator[int | None]:
    """Hold the claim of another process too, so that it lives at least as long as what is done within.

    Yields:
        A descriptor to hand on; None when the claim has ended: then its GPUs must not be used.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield fd if is_at(fd, path) else None
    finally:
        os.close(fd)


def is_living(path: Path) -> bool:
    """Whether anybody holds the lock of a claim; its file is removed when nobody does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        fcntl.flock(fd, fcntl.LOCK_UN)
        return False
    finally:
        os.close(fd)


def is_at(fd: int, path: Path) -> bool:
    """Whether the open file is still the one at that path."""
    try:
        there = path.stat()
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (os.fstat(fd).st_dev, os.fstat(fd).st_ino)


def write_claim(fd: int, claim: Claim) -> None:
    """One line at the beginning of the file, in one call, which a kill does not cut.

    Raises:
        OSError: the disk refused.
    """
    data = (json.dumps(asdict(claim)).encode() + b"\n").ljust(_FILE_BYTES)
    if os.pwrite(fd, data, 0) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_claim(path: Path) -> Claim:
    """What a claim that lives says, also of a later version that says more.

    Raises:
        OSError: it can't be read, or says something else: then nobody knows which GPUs are free.
    """
    try:
        said = json.loads(path.read_bytes().partition(b"\n")[0])
        known = {field.name: said[field.name] for field in fields(Claim) if field.name in said}
        return Claim(**{**known, "among": tuple(known["among"]), "keys": tuple(known["keys"])})
    except (ValueError, TypeError, KeyError):
        raise OSError(errno.EINVAL, f"{path.name} is no claim that this version of Fiat knows") from None


def can_begin(claim: Claim, now: float) -> bool:
    """Whether a claim waits and would take its GPUs.

    One that is suspended (Ctrl-Z) would not, nor one that has not asked for long: its container is paused, or it hangs.
    """
    asks = not claim.keys and claim.ready and now - claim.seen < SILENCE_S
    return asks and not job_tree.is_stopped(claim.pid, claim.ticks)
