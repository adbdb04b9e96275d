"""Start the user's code through the supervisor: the client's side of `supervisor.py`."""

import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fiat

_PROGRAM = "import sys; sys.path.append({root!r}); from fiat.builtin import supervisor; supervisor.main()"


class RunningChild:
    """One command on its way. Closing it, or the death of this process, kills the command and all below it."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._data = bytearray()

    def fileno(self) -> int:
        """Readable when the command has ended."""
        return self._link.fileno()

    def cancel(self) -> None:
        """Ask it to end: SIGTERM, and SIGKILL two seconds later. Safe from any thread, at any time."""
        try:
            self._link.send(b"C")
        except OSError:
            return

    def wait(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """Wait for the end.

        Returns:
            What `job_runner.run_command` says, or None when it still runs after `timeout_s`.
        """
        give_up_at = None if timeout_s is None else time.monotonic() + timeout_s
        poll = select.poll()
        poll.register(self._link.fileno(), select.POLLIN)
        while not self._data.endswith(b"\n"):
            left_s = None if give_up_at is None else max(0.0, give_up_at - time.monotonic())
            if not poll.poll(None if left_s is None else left_s * 1000):
                return None
            try:
                chunk = self._link.recv(1 << 18)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                return {"state": "lost", "reason": "the process that supervised it was killed"}
            self._data += chunk
        answer: dict[str, Any] = json.loads(self._data)
        return answer

    def close(self) -> None:
        """Kill it at once, if it still runs."""
        self._link.close()


class Supervisor:
    """A warm supervisor process. May be used from many threads; it is started by the first job."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, request: Mapping[str, Any], stdin: socket.socket | None = None, *, held: Sequence[int] = ()
    ) -> RunningChild:
        """Start a command.

        Args:
            request: see `job_runner.run_command`.
            stdin: what the command reads as its standard input; None is /dev/null. The caller closes it.
            held: descriptors that are kept open, with their locks, until all that the command started has ended, also
                when this process has ended before; one at most. The caller closes its own.
        """
        ours, theirs = socket.socketpair()
        fds = [theirs.fileno(), *([] if stdin is None else [stdin.fileno()]), *held]
        word = b"J" if stdin is None else b"C"
        with self._lock:
            try:
                self._send(word, fds)
            except OSError:  # it was killed: start another
                self._stop()
                self._send(word, fds)
        theirs.close()
        child = RunningChild(ours)
        try:
            ours.sendall(json.dumps(dict(request)).encode() + b"\n")
        except OSError:
            return child  # the runner was killed meanwhile; `wait` says so
        return child

    def close(self) -> None:
        """End the supervisor. Jobs that still run are not its business: close them first."""
        with self._lock:
            self._stop()

    def _send(self, word: bytes, fds: list[int]) -> None:
        if self._control is None:
            self._control = self._launch()
        socket.send_fds(self._control, [word], fds)

    def _launch(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        root = str(Path(fiat.__file__).parent.parent)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM.format(root=root)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a host that stays must not hold the caller's terminal or pipe
                cwd="/",
                env={"LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        return ours

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(1)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
