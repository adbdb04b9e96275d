"""One of the processes that a gang's launcher starts: what it prints, how it ends, what it leaves."""

import contextlib
import json
import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from fiat.builtin.gang_log import log_path
from fiat.builtin.gang_seat import home_of
from fiat.builtin.gang_seen import MADE, OBSERVED
from fiat.builtin.job_log import JobLog

_CHUNK_BYTES = 1 << 18


class Worker:
    """A started worker.

    The first one prints where its launcher does; the others into a log of their own.

    Attributes:
        rank: its number, from 0.
        code: what `subprocess` calls its return code; None while it runs.
        log: of a worker behind the first one.
    """

    def __init__(
        self,
        rank: int,
        argv: Sequence[str],
        env: Mapping[str, str],
        work_dir: Path,
        poll: select.poll,
        passed: Sequence[int] = (),
    ) -> None:
        """Start it.

        Args:
            rank: its number.
            argv: what it runs.
            env: its whole environment.
            work_dir: of the job.
            poll: its descriptors are added and taken out again.
            passed: descriptors that it inherits.

        Raises:
            OSError: the program is not there, or can't be run.
        """
        self.rank = rank
        self.code: int | None = None
        self.log = JobLog(str(log_path(work_dir, rank))) if rank else None
        self._home = home_of(work_dir, rank)
        self._poll = poll
        self._process = subprocess.Popen(
            argv,
            env=env,
            stdout=subprocess.PIPE if rank else None,
            stderr=subprocess.STDOUT if rank else None,
            pass_fds=passed,
            process_group=0,
        )
        self._exit_fd = os.pidfd_open(self._process.pid)
        self._out_fd = -1 if self._process.stdout is None else self._process.stdout.fileno()
        for fd in (self._exit_fd, self._out_fd):
            if fd >= 0:
                poll.register(fd, select.POLLIN)

    def look(self, ready: set[int]) -> bool:
        """Take what it printed; whether it has ended just now.

        Args:
            ready: descriptors that have something to say.
        """
        if self._out_fd in ready and self.log is not None:
            chunk = os.read(self._out_fd, _CHUNK_BYTES)
            if chunk:
                self.log.take(chunk)
            else:
                self._poll.unregister(self._out_fd)
        if self._exit_fd not in ready or self.code is not None:
            return False
        self._poll.unregister(self._exit_fd)
        self.code = self._process.wait()
        return True

    def send(self, number: int) -> None:
        """Send a signal to it and to the processes that it started, unless it has ended."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def close(self) -> None:
        """Take the last of what it printed, once it has ended."""
        if self.log is None:
            return
        os.set_blocking(self._out_fd, False)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._out_fd, _CHUNK_BYTES):
                self.log.take(chunk)
        self.log.close()

    def written_at(self, result: Path | None) -> tuple[int, int]:
        """When it wrote down how it ended: of several that ended together the first one is the cause.

        Args:
            result: where the first worker writes that; None when nobody does.

        Returns:
            Nanoseconds, 0 when it wrote nothing (it was killed, which nobody else's end does to it); its number.
        """
        try:
            return (0, self.rank) if result is None else (self.own(result).stat().st_mtime_ns, self.rank)
        except OSError:
            return 0, self.rank

    def seen(self, result: Path | None) -> dict[str, object]:
        """What its result says that it read and made, see `gang_seen`.

        Args:
            result: where the first worker writes that; None when nobody does.
        """
        try:
            document = json.loads(self.own(result).read_text("utf-8")) if result is not None else {}
            return {name: document[name] for name in (OBSERVED, MADE) if name in document}
        except (OSError, ValueError, TypeError):
            return {}  # it wrote none, or user code spoilt it

    def own(self, result: Path) -> Path:
        """Where this worker writes what the first one writes to `result`."""
        return self._home / result.name if self.rank else result
