"""A prediction server in a process of its own, for as long as it is looked at."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fiat.builtin import job_tree
from fiat.serving.counts import read_workers
from fiat.serving.place import Place

Command = Callable[[Sequence[str]], list[str]]
SERVER = "fiat.serving.main"
MEMORY_BYTES = 16 << 30
_PROGRAM = "import runpy, sys; sys.path[:] = {path}; runpy.run_module('{module}', run_name='__main__', alter_sys=True)"
_READY = b"ready: "
_LOOK_S = 0.005
_STOP_S = 3.0
_DYING_S = 0.5
_LOG_LINES, _LINE_LENGTH = 20, 300


class ProbeFault(Exception):
    """The server did not do what it must; the message is one sentence without a full stop."""


@dataclass(frozen=True)
class ProbedServer:
    """A server that is ready.

    Attributes:
        process: that was started.
        url: such as `http://127.0.0.1:8080`.
        load_s: from starting the process until it said that it is ready: imports, loading, warm-up.
    """

    process: subprocess.Popen[bytes]
    url: str
    load_s: float

    def peak_bytes(self) -> int:
        """Most memory that it and its children held, each at its own peak.

        Source: proc(5), `VmHWM`. What wait4 reports would be more: a child begins with its parent's size.
        """
        return sum(_peak_bytes(pid) for pid in [self.process.pid, *job_tree.descendants(self.process.pid)])

    def died(self) -> str:
        """How it ended, empty when it lives on: a connection breaks a moment before its process is gone."""
        with suppress(subprocess.TimeoutExpired):
            return _ending(self.process.wait(_DYING_S))
        return ""


def server_command(arguments: Sequence[str]) -> list[str]:
    """The very server that deploys start, with this process's modules and nothing of the user's."""
    return [sys.executable, "-I", "-c", _PROGRAM.format(path=json.dumps(sys.path), module=SERVER), *arguments]


@contextmanager
def running_server(release: Path, command: Command, *, timeout_s: float) -> Iterator[ProbedServer]:
    """Start a server on a free port, and end it and all that it started.

    Args:
        release: the manifest that it follows; what it prints goes to `out` and `log` beside it.
        command: the program for these arguments.
        timeout_s: longest time until it must be ready.

    Raises:
        ProbeFault: it ended, or was not ready in time.
    """
    folder = release.parent
    argv = command(["--release", str(release), "--port", "0"])
    with (folder / "out").open("wb") as out, (folder / "log").open("wb") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            cwd=folder,
            env=_environment(),
            start_new_session=True,
            preexec_fn=_limit,
        )
    try:
        url = _wait_until_ready(process, folder, started + timeout_s, timeout_s)
        yield ProbedServer(process, url, time.monotonic() - started)
    finally:
        _end(process)


def last_lines(folder: Path) -> list[str]:
    """The end of what the server printed, without where it lay."""
    try:
        text = (folder / "log").read_text("utf-8", "replace")
    except OSError:
        return []
    lines = [line.strip()[:_LINE_LENGTH] for line in text.replace(str(folder), ".").splitlines()]
    return [line for line in lines if line][-_LOG_LINES:]


def _environment() -> dict[str, str]:
    """The server turns into another program, which finds its modules by these and not in the folder it is in."""
    return {"LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path, end: float, timeout_s: float) -> str:
    while True:
        url = _url((folder / "out").read_bytes())
        if url:
            return url
        code = process.poll()
        if code is not None:
            raise ProbeFault(f"the server {_ending(code)} before it was ready")
        # A server tries again and again to load what it follows; here once is enough.
        if reason := _refused(folder):
            raise ProbeFault(f"the server can't load the model: {reason}")
        if time.monotonic() > end:
            raise ProbeFault(f"the server was not ready after {timeout_s:g} s")
        time.sleep(_LOOK_S)


def _url(printed: bytes) -> str:
    """What the server says on one line once it can answer; empty before."""
    for line in printed.splitlines(keepends=True):
        if line.startswith(_READY) and line.endswith(b"\n"):
            return line.removeprefix(_READY).decode("utf-8", "replace").strip()
    return ""


def _refused(folder: Path) -> str:
    """Why a version could not be loaded, as the server's workers tell; empty when none was refused."""
    told = (
        version
        for worker in read_workers(Place(folder).counts)
        for model in worker.versions.values()
        for version in model
    )
    return next(
        (version.reason or "it does not say why" for version in told if version.state == "failed"), ""
    )


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _peak_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM:")), 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, then make it; whoever it left behind in its session goes with it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
