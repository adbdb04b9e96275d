"""Several processes on one port: started, started anew with growing pauses when they die, and ended together."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from fiat.serving.options import ServerOptions

WORKER = "fiat.serving.worker"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _STEADY_S = 0.2, 10.0, 10.0
_LOOK_EVERY_S = 0.05
_SILENT_S = 10.0
"""A worker that has not moved for so long is ended: the kernel goes on giving it a share of the connections."""


@dataclass
class _Child:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    pause_s: float = 0.0
    pulse: int = -1
    moved_s: float | None = None


def supervise(options: ServerOptions, arguments: Sequence[str]) -> int:
    """Keep all workers alive until SIGTERM or SIGINT.

    Args:
        options: of the server.
        arguments: that they came from.

    Returns:
        Exit code.
    """
    try:
        holder = _hold(options.host, options.port)
    except OSError as error:
        sys.stderr.write(f"can't listen on {options.host}:{options.port}: {error.strerror or error}\n")
        return 3
    with tempfile.TemporaryDirectory(prefix="fiat-serve-") as counts:
        command = [sys.executable, "-m", WORKER, *arguments, "--port", str(holder.getsockname()[1])]
        if options.counts is None:
            command += ["--counts", counts]
        return _Supervisor(options, command).run()


class _Supervisor:
    def __init__(self, options: ServerOptions, command: Sequence[str]) -> None:
        self._options, self._command = options, tuple(command)
        self._children = [_Child(number) for number in range(options.workers)]
        # Workers see the end of this pipe when we are killed, and end too.
        self._lifeline, self._held = os.pipe()
        self._is_ending = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._end())
        for child in self._children:
            self._start(child, late=False)
        while not self._is_ending:
            time.sleep(_LOOK_EVERY_S)
            for child in self._children:
                self._mend(child)
        return self._wait()

    def _start(self, child: _Child, *, late: bool) -> None:
        child.started_s, child.moved_s = time.monotonic(), None
        if child.pulse >= 0:
            os.close(child.pulse)
        child.pulse, told = os.pipe()
        os.set_blocking(child.pulse, False)
        own = ["--worker", str(child.number), "--lifeline", str(self._lifeline), "--pulse", str(told)]
        try:
            child.process = subprocess.Popen(
                [*self._command, *own, *(["--late"] if late else [])], pass_fds=(self._lifeline, told)
            )
        except OSError as error:  # no memory or no process left: the others serve on
            child.pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, 2 * child.pause_s))
            sys.stderr.write(f"worker {child.number} can't be started: {error}\n")
        finally:
            os.close(told)

    def _mend(self, child: _Child) -> None:
        now = time.monotonic()
        self._feel(child, now)
        if child.process is not None and child.process.poll() is not None:
            code, lived_s = child.process.returncode, now - child.started_s
            child.process = None
            child.pause_s = (
                _FIRST_PAUSE_S if lived_s > _STEADY_S else min(_LONGEST_PAUSE_S, 2 * child.pause_s)
            )
            child.pause_s = max(child.pause_s, _FIRST_PAUSE_S)
            child.started_s = now
            sys.stderr.write(
                f"worker {child.number} ended with {code}; it starts again in {child.pause_s:g} s\n"
            )
        if child.process is None and now - child.started_s >= child.pause_s and not self._is_ending:
            self._start(child, late=True)

    def _feel(self, child: _Child, now: float) -> None:
        """End a worker that stands still; it is judged only once it has shown that it moves."""
        if child.process is None:
            return
        with suppress(BlockingIOError):
            if os.read(child.pulse, 4096):
                child.moved_s = now
        if child.moved_s is not None and now - child.moved_s > _SILENT_S:
            sys.stderr.write(f"worker {child.number} has stood still for {_SILENT_S:g} s; it is ended\n")
            child.moved_s = None
            child.process.kill()

    def _end(self) -> None:
        self._is_ending = True

    def _wait(self) -> int:
        alive = [child.process for child in self._children if child.process is not None]
        for process in alive:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._options.limits.drain_s + 10
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return 0


def _hold(host: str, port: int) -> socket.socket:
    """Bind the port without listening, so that it stays ours while workers come and go."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    holder = socket.socket(family, kind, protocol)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(address)
    return holder
