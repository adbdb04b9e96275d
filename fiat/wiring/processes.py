"""Names of processes that survive the reuse of their numbers, and whether they live."""

import contextlib
import os
import signal
import socket

from fiat.builtin.job_tree import start_ticks


def process_name(pid: int) -> str:
    """`host:pid:start`: names one process for good."""
    return f"{socket.gethostname()}:{pid}:{start_ticks(pid)}"


def process_alive(name: str) -> bool | None:
    """Whether a process of that name lives, stopped or not; None when it is on another host."""
    host, pid, ticks = _parts(name)
    if host != socket.gethostname():
        return None
    return bool(ticks) and start_ticks(pid) == ticks


def kill_process(name: str) -> None:
    """End a process of this host at once, also one that is stopped; another host's is left alone."""
    if process_alive(name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(_parts(name)[1], signal.SIGKILL)


def _parts(name: str) -> tuple[str, int, int]:
    host, _, rest = name.rpartition(":")
    host, _, pid = host.rpartition(":")
    return host, int(pid) if pid.isdigit() else 0, int(rest) if rest.isdigit() else 0
