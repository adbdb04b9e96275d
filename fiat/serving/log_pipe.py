"""The pipe from a server to its log writer: never waits, is bounded, and starts the writer again when it dies."""

import fcntl
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

BLOCK_BYTES = 1 << 18
MOST_WAITING_BYTES = 16 << 20
_PIPE_BYTES = 1 << 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_STEADY_S = 30.0
_NUMBERS_BYTES = 8 * 512


def writer_command(folder: Path, worker: int, *, keep_s: float | None, max_bytes: int) -> tuple[str, ...]:
    """How the writer of a service's folder is started."""
    limits = (str(max_bytes), "" if keep_s is None else str(keep_s))
    return (sys.executable, "-m", "fiat.serving.log_writer", str(folder), str(worker), *limits)


class LogPipe:
    """Bytes on their way to the writer.

    Attributes:
        waiting: packed entries that are not yet a block; whoever packs appends whole entries and calls `count`.
        gathered_bytes: what its sources have taken and not yet packed.
        dropped: items (predictions, labels) that nobody will write down, those lost with a dead writer among them.

    Args:
        command: of the writer; see `writer_command`.
        clock: monotonic seconds.
        most_bytes: what may wait for a writer that is slow or dead.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        most_bytes: int = MOST_WAITING_BYTES,
    ) -> None:
        self.waiting = bytearray()
        self.gathered_bytes = 0
        self.dropped = 0
        self._source: Callable[[], None] = _nothing
        self._command, self._clock, self._most_bytes = tuple(command), clock, most_bytes
        self._blocks: deque[tuple[memoryview, int, bool]] = deque()
        self._blocked_bytes = 0
        self._n_waiting = 0
        self._announced: dict[str, bytes] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at, self._pause_s = -_LONGEST_PAUSE_S, 0.0
        self._sent = self._written = 0

    @property
    def is_full(self) -> bool:
        """Whether what is offered now must be dropped."""
        return self.room_bytes <= 0

    @property
    def room_bytes(self) -> int:
        """How much may still be taken; below 0 when it is more than full."""
        return self._most_bytes - self._blocked_bytes - self.gathered_bytes - len(self.waiting)

    @property
    def pid(self) -> int | None:
        """Process of the writer that lives, None when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def draw_from(self, source: Callable[[], None]) -> None:
        """Let `source` pack what it has before anything is sent; the one before it packs for the last time."""
        self._source()
        self._source = source

    def count(self, n_items: int) -> None:
        """Tell that an entry of so many items was appended to `waiting`."""
        self._n_waiting += n_items
        if len(self.waiting) >= BLOCK_BYTES:
            self._seal()
            self._push()

    def announce(self, key: str, entry: bytes) -> None:
        """Send an entry now, and first of all to every writer that is started later."""
        self._announced[key] = entry
        self._source()
        self._seal()
        self._queue(entry, 0)

    def flush(self) -> None:
        """Send what waits, as far as the pipe takes it; start a writer where there is none. Call it twice a second."""
        self._source()
        self._seal()
        if self._is_up():
            self._read_written()
            self._push()

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what waits and end the writer, which writes its files; for the end of the server: this one waits.

        Args:
            timeout_s: longest time; a writer that is not done then goes on by itself.
        """
        self.flush()
        process = self._process
        if process is None or process.stdin is None:
            self._forget()
            return
        deadline = self._clock() + timeout_s
        while self._blocks and process.poll() is None and self._clock() < deadline:
            time.sleep(0.01)
            self._push()
        self._forget()
        with suppress(OSError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - self._clock()))
        if process.poll() is not None:
            self._lost()
        self._process = None

    def _seal(self) -> None:
        if self.waiting:
            self._queue(self.waiting, self._n_waiting)
            self.waiting, self._n_waiting = bytearray(), 0

    def _queue(self, data: bytes | bytearray, n_items: int) -> None:
        self._blocks.append((memoryview(data), n_items, False))
        self._blocked_bytes += len(data)

    def _push(self) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        pipe = process.stdin.fileno()
        while self._blocks:
            data, n_items, _ = self._blocks[0]
            try:
                n_written = os.write(pipe, data)
            except BlockingIOError:
                return
            except OSError:
                self._lost()
                return
            self._blocked_bytes -= n_written
            if n_written == len(data):
                self._sent += n_items
            if n_written < len(data):
                self._blocks[0] = (data[n_written:], n_items, True)
                return
            self._blocks.popleft()

    def _lost(self) -> None:
        """The writer is gone, and with it what it had not yet in a file; a block cut in two is no use to the next one."""
        self._read_written()
        self.dropped += self._sent - self._written
        self._sent = self._written = 0
        if self._blocks and self._blocks[0][2]:
            data, n_items, _ = self._blocks.popleft()
            self._blocked_bytes -= len(data)
            self.dropped += n_items
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            process.poll()

    def _read_written(self) -> None:
        """Take in how many items the writer has in files: a number of 8 bytes each time it wrote one."""
        process = self._process
        if process is None or process.stdout is None:
            return
        with suppress(OSError, ValueError):
            while data := os.read(process.stdout.fileno(), _NUMBERS_BYTES):
                self._written = int.from_bytes(data[-8:], "little")

    def _forget(self) -> None:
        self.dropped += sum(n_items for _, n_items, _ in self._blocks)
        self._blocks.clear()
        self._blocked_bytes = 0

    def _is_up(self) -> bool:
        if self._process is not None:
            if self._process.poll() is None:
                return True
            self._lost()
        now = self._clock()
        if now - self._started_at < self._pause_s:
            return False
        steady = now - self._started_at > _STEADY_S
        self._pause_s = _FIRST_PAUSE_S if steady else min(_LONGEST_PAUSE_S, 2 * self._pause_s)
        self._started_at = now
        return self._start()

    def _start(self) -> bool:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            return False
        pipe, told = process.stdin, process.stdout
        if pipe is None or told is None:  # never: they were asked for
            return False
        os.set_blocking(pipe.fileno(), False)
        os.set_blocking(told.fileno(), False)
        with suppress(OSError):  # the system's limit for all pipes of a user
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._process = process
        for entry in reversed(list(self._announced.values())):
            self._blocks.appendleft((memoryview(entry), 0, False))
            self._blocked_bytes += len(entry)
        return True


def _nothing() -> None:
    """There is no source yet."""
