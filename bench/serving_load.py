"""Servers started, asked by wrk, and ended: what the measurements of serving share."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_START_S = 120.0


@dataclass(frozen=True)
class Request:
    """What is asked again and again.

    Attributes:
        path: of the URL.
        body: of the request.
        headers: besides the usual ones.
    """

    path: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Take:
    """What wrk saw.

    Attributes:
        per_s: requests a second.
        p99_s: that 99 of 100 stayed below, in seconds.
        bad: answers that were none, and errors of sockets.
    """

    per_s: float
    p99_s: float
    bad: int


def has_wrk() -> bool:
    """Whether wrk is installed (Debian's package of that name)."""
    return shutil.which("wrk") is not None


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that accepts connections; it is ended afterwards, with all that it started."""
    with (cwd or Path("/tmp")).joinpath(f"fiat-bench-server-{port}.log").open("wb") as log:  # noqa: S108 - a log
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    try:
        _wait(process, port)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def ask(folder: Path, port: int, request: Request, *, seconds: float, connections: int = CONNECTIONS) -> Take:
    """Let wrk ask for some seconds.

    Args:
        folder: for the script of wrk.
        port: of the server.
        request: what is asked.
        seconds: how long; wrk takes whole ones.
        connections: at a time.
    """
    script = folder / f"ask-{port}.lua"
    escaped = "".join(f"\\{byte:03d}" for byte in request.body)
    headers = "".join(f'wrk.headers["{name}"]="{value}"\n' for name, value in request.headers.items())
    script.write_text(f'wrk.method="POST"\nwrk.body="{escaped}"\n{headers}')
    url = f"http://127.0.0.1:{port}{request.path}"
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "30s",
        "--latency",
    ]
    done = subprocess.run([*command, "-s", str(script), url], capture_output=True, text=True, check=True)
    return _read(done.stdout)


def first_answer(port: int, request: Request) -> int:
    """Status of one answer, to see that what is measured is no refusal."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as found:
        head = f"POST {request.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(request.body)}\r\nConnection: close\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        found.sendall(f"{head}{lines}\r\n".encode() + request.body)
        return int(found.recv(65536).split()[1])


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"a server ended with {process.returncode}; its log is fiat-bench-server-{port}.log")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"a server did not listen on port {port} after {_START_S:g} s")


def _read(text: str) -> Take:
    per_s = re.search(r"Requests/sec:\s+([\d.]+)", text)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", text)
    if per_s is None or tail is None:
        raise ValueError(f"wrk said nothing that could be read:\n{text}")
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    bad = int(wrong[1]) if wrong else 0
    bad += sum(map(int, sockets.groups())) if sockets else 0
    return Take(float(per_s[1]), float(tail[1]) * _UNITS[tail[2]], bad)
