"""The book of this machine's GPUs: a folder that all processes of one user share, so that no two of them meet on one.

A claim is a file. Whoever has it, or waits with it, holds a lock on that file, and the kernel takes the lock away when
the last process that holds it has ended, in whatever way: so a claim lives exactly as long as what it is for, and needs
no process number. Every change happens under one more lock, in which each process computes for itself by the same rule
(`gpu_queue.py`) whether it is its turn.
"""

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from fiat.builtin.gpu_claim import Claim, can_begin, is_at, is_living, read_claim, write_claim
from fiat.builtin.gpu_queue import Hold, give, in_order
from fiat.errors import EnvironmentFault

SETTING = "FIAT_GPU_LEDGER"
_LOCK = "lock"
_SUFFIX = ".claim"
_PATIENCE_S = 60.0
_LOOK_S = 0.005
_FREEING_S = 0.25
_SHOWING_S = 5.0


def ledger_folder(env: Mapping[str, str]) -> Path:
    """Where this user's ledger is.

    Not in XDG_RUNTIME_DIR, which a service of the same user does not have: it must be the same for all.

    Raises:
        EnvironmentFault: the setting names one that is another in each folder that a command is called in.
    """
    folder = Path(env.get(SETTING) or f"/tmp/fiat-gpus-{os.getuid()}")  # noqa: S108 (`GpuLedger` looks whose it is)
    if not folder.is_absolute():
        raise EnvironmentFault(
            f"{SETTING} is {folder}, which is another folder wherever a command is called",
            hint="name it by its whole path, the same for all that share the GPUs",
        )
    return folder


def boot_clock() -> float:
    """Seconds since boot, also those in which the machine slept: the same for all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class GpuLedger:
    """Reads and changes the ledger. May be used from many threads; it keeps nothing in memory."""

    def __init__(self, folder: Path, patience_s: float = _PATIENCE_S) -> None:
        """Nothing is touched before the first call.

        Args:
            folder: see `ledger_folder`.
            patience_s: how long another process may keep it locked.
        """
        self.folder = folder
        self._patience_s = patience_s

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
                write_claim(fd, entered)
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
            claims = {other.id: other for other in self._living()}
            if claim.id not in claims:
                raise OSError(errno.ENOENT, f"somebody removed {claim.id}, which waits")
            holds = [Hold(other.keys, other.share) for other in claims.values() if other.keys]
            wishes = [
                other.wish for other in claims.values() if can_begin(other, now) or other.id == claim.id
            ]
            keys = give(holds, wishes, now).get(claim.id)
            if keys is None:
                if now - claims[claim.id].seen >= _SHOWING_S:
                    write_claim(fd, replace(claim, seen=now))
                return None
            taken = replace(claim, keys=keys, taken=now)
            write_claim(fd, taken)
            return taken

    def say(self, claim: Claim, fd: int, *, ready: bool) -> Claim:
        """Say of a claim that waits whether it could begin.

        Raises:
            EnvironmentFault: the folder can't be used.
        """
        said = replace(claim, ready=ready)
        with self._changing():
            write_claim(fd, said)
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
                if not is_living(self.folder / claim.id):
                    return
            if time.monotonic() > give_up_at:
                return
            time.sleep(_LOOK_S)

    def look(self) -> tuple[tuple[Claim, ...], tuple[Claim, ...]]:
        """Who has GPUs, longest first, and who waits, in order; nobody when there is no ledger yet.

        Raises:
            EnvironmentFault: the folder can't be used.
        """
        try:
            self.folder.lstat()
        except FileNotFoundError:
            return (), ()
        except OSError:
            pass  # what is wrong is told below
        with self._changing():
            claims = self._living()
        by_id = {claim.id: claim for claim in claims}
        having = sorted((claim for claim in claims if claim.keys), key=lambda claim: claim.taken)
        waiting = in_order(claim.wish for claim in claims if not claim.keys)
        return tuple(having), tuple(by_id[wish.id] for wish in waiting)

    def _living(self) -> list[Claim]:
        """All claims; the files of ended ones are removed."""
        paths = sorted(self.folder.glob(f"*{_SUFFIX}"))
        return [read_claim(path) for path in paths if is_living(path)]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Within, nobody else reads or changes the ledger.

        It is unlocked by hand: a process that is forked meanwhile has a copy of the descriptor.
        """
        try:
            _own_folder(self.folder)
            fd = _locked(self.folder / _LOCK, self._patience_s)
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


def _locked(path: Path, patience_s: float) -> int:
    """A descriptor with the lock of the file that is at this path."""
    give_up_at = time.monotonic() + patience_s
    while time.monotonic() < give_up_at:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(fd, path):  # and not one that somebody removed meanwhile
                with contextlib.suppress(OSError):  # whom to look for when it takes too long
                    os.pwrite(fd, b"%-20d" % os.getpid(), 0)
                return fd
        except BlockingIOError:
            pass
        os.close(fd)
        time.sleep(_LOOK_S)
    holder = path.read_text("ascii", "replace").strip()
    raise TimeoutError(0, f"process {holder} has held it for {patience_s:g} s: continue or end that process")


def _own_folder(folder: Path) -> None:
    """Make the folder, or see that it is ours alone: others may write into the one above it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o022:
        raise PermissionError(1, "it is no folder that only this user may write")
