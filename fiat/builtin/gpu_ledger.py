"""The book of this machine's GPUs: a folder that all processes of one user share, so that no two of them meet on one.

A claim is a file. Whoever has it, or waits with it, holds a lock on that file, and the kernel takes the lock away when
the last process that holds it has ended, in whatever way: so a claim lives exactly as long as what it is for, and needs
no process number. Every change happens under one more lock, in which each process computes for itself by the same rule
(`gpu_queue.py`) whether it is its turn.
"""

import contextlib
import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from fiat.builtin import job_tree
from fiat.builtin.gpu_queue import Hold, Wish, give, in_order
from fiat.errors import EnvironmentFault

SETTING = "FIAT_GPU_LEDGER"
_LOCK = "lock"
_SUFFIX = ".claim"
_FILE_BYTES = 8192  # written at once when a claim is made: what is changed later needs no room on the disk
_PATIENCE_S = 60.0
_LOOK_S = 0.005
_FREEING_S = 0.25


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

    @property
    def wish(self) -> Wish:
        """As the queue takes it."""
        return Wish(self.id, self.share, self.count, self.among, self.priority, self.since)


def ledger_folder(env: Mapping[str, str]) -> Path:
    """Where this user's ledger is.

    Not in XDG_RUNTIME_DIR, which a service of the same user does not have: it must be the same for all.
    """
    return Path(env.get(SETTING) or f"/tmp/fiat-gpus-{os.getuid()}")  # noqa: S108 (`GpuLedger` looks whose it is)


def boot_clock() -> float:
    """Seconds since boot, also those in which the machine slept: the same for all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class GpuLedger:
    """Reads and changes the ledger. May be used from many threads; it keeps nothing in memory."""

    def __init__(self, folder: Path) -> None:
        """Nothing is touched before the first call.

        Args:
            folder: see `ledger_folder`.
        """
        self.folder = folder

    def enter(self, claim: Claim) -> tuple[Claim, int]:
        """Put a claim into the queue.

        Returns:
            The claim under its final id, and the descriptor whose lock keeps it; closing all copies ends it.

        Raises:
            EnvironmentFault: the folder can't be used.
        """
        with self._changing():
            fd, name = tempfile.mkstemp(prefix=f"{claim.id[:100]}.", suffix=_SUFFIX, dir=self.folder)
            entered = replace(claim, id=Path(name).name)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH)
                _write(fd, entered)
            except OSError:
                os.close(fd)
                raise
        return entered, fd

    def take(self, claim: Claim, fd: int, now: float) -> Claim | None:
        """Take the GPUs of a claim that waits, if it is its turn.

        Args:
            claim: as `enter` gave it.
            fd: its descriptor.
            now: seconds since boot.

        Raises:
            EnvironmentFault: the folder can't be used.
        """
        with self._changing():
            claims = self._living()
            holds = [Hold(other.keys, other.share) for other in claims if other.keys]
            wishes = [other.wish for other in claims if _can_begin(other) or other.id == claim.id]
            keys = give(holds, wishes, now).get(claim.id)
            if keys is None:
                return None
            taken = replace(claim, keys=keys, taken=now)
            _write(fd, taken)
            return taken

    def say(self, claim: Claim, fd: int, *, ready: bool) -> Claim:
        """Say of a claim that waits whether it could begin.

        Raises:
            EnvironmentFault: the folder can't be used.
        """
        said = replace(claim, ready=ready)
        with self._changing():
            _write(fd, said)
        return said

    def leave(self, claim: Claim, fd: int) -> None:
        """Let go of a claim; it ends now, or when whoever else holds its lock has ended.

        Raises:
            EnvironmentFault: the folder can't be used.
        """
        os.close(fd)
        give_up_at = time.monotonic() + _FREEING_S
        while True:  # the runner of a job tells its end a moment before its own
            with self._changing():
                if not _is_living(self.folder / claim.id):
                    return
            if time.monotonic() > give_up_at:
                return
            time.sleep(_LOOK_S)

    def look(self) -> tuple[tuple[Claim, ...], tuple[Claim, ...]]:
        """Who has GPUs, longest first, and who waits, in order; nobody when there is no ledger yet.

        Raises:
            EnvironmentFault: the folder can't be used.
        """
        if not self.folder.exists():
            return (), ()
        with self._changing():
            claims = self._living()
        by_id = {claim.id: claim for claim in claims}
        having = sorted((claim for claim in claims if claim.keys), key=lambda claim: claim.taken)
        waiting = in_order(claim.wish for claim in claims if not claim.keys)
        return tuple(having), tuple(by_id[wish.id] for wish in waiting)

    def _living(self) -> list[Claim]:
        """All claims; the files of ended ones are removed."""
        paths = sorted(self.folder.glob(f"*{_SUFFIX}"))
        return [claim for path in paths if _is_living(path) and (claim := _read(path)) is not None]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Within, nobody else reads or changes the ledger.

        It is unlocked by hand: a process that is forked meanwhile has a copy of the descriptor.
        """
        try:
            _own_folder(self.folder)
            fd = _locked(self.folder / _LOCK)
            try:
                yield
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)
                os.close(fd)
        except OSError as error:
            raise EnvironmentFault(
                f"the ledger of GPUs in {self.folder} can't be used: {error.strerror or error}",
                hint=f"mend that folder, or name another in {SETTING}, the same for all that share the GPUs",
            ) from error


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
        yield fd if _is_at(fd, path) else None
    finally:
        os.close(fd)


def _is_living(path: Path) -> bool:
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


def _is_at(fd: int, path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (os.fstat(fd).st_dev, os.fstat(fd).st_ino)


def _locked(path: Path) -> int:
    """A descriptor with the lock of the file that is at this path."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up_at:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, path):  # and not one that somebody removed meanwhile
                return fd
        except BlockingIOError:
            pass
        os.close(fd)
        time.sleep(_LOOK_S)
    raise TimeoutError(0, f"another process has held it for {_PATIENCE_S:g} s")


def _own_folder(folder: Path) -> None:
    """Make the folder, or see that it is ours alone: others may write into the one above it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o022:
        raise PermissionError(1, "it is no folder that only this user may write")


def _write(fd: int, claim: Claim) -> None:
    """One line at the beginning of the file, in one call, which a kill does not cut."""
    line = json.dumps(asdict(claim)).encode() + b"\n"
    os.pwrite(fd, line.ljust(_FILE_BYTES), 0)


def _read(path: Path) -> Claim | None:
    """What a claim says, also of a later version that says more; None when it was killed before it said anything."""
    try:
        said = json.loads(path.read_bytes().partition(b"\n")[0])
        known = {field.name: said[field.name] for field in fields(Claim) if field.name in said}
        return Claim(**{**known, "among": tuple(known["among"]), "keys": tuple(known["keys"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _can_begin(claim: Claim) -> bool:
    """Whether a claim waits and would take its GPUs: a process that is suspended (Ctrl-Z) does not."""
    return not claim.keys and claim.ready and not job_tree.is_stopped(claim.pid, claim.ticks)
