"""Names of processes that survive the reuse of their numbers, and whether they live."""

import contextlib
import os
import re
import signal
import socket
from pathlib import Path

from fiat.builtin.job_tree import start_ticks
from fiat.builtin.ray_state import boot_id

_BOOT_CHARACTERS = 8


def process_name(pid: int) -> str:
    """`host:pid:start`: names one process for good."""
    return f"{host_name()}:{pid}:{start_ticks(pid)}"


def host_name() -> str:
    """What process numbers count within: the host, its boot and the namespace of its processes.

    Containers of one host share its boot, and those of one image often their name; two hosts may have the same name.

    Source: pid_namespaces(7), proc(5) on `/proc/[pid]/ns` and `/proc/sys/kernel/random/boot_id`.
    """
    space = re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    return f"{socket.gethostname()}.{boot_id()[:_BOOT_CHARACTERS]}.{space}"


def process_alive(name: str) -> bool | None:
    """Whether a process of that name lives, stopped or not; None when it is of another host, container or boot."""
    host, pid, ticks = _parts(name)
    if host != host_name():
        return None
    return bool(ticks) and start_ticks(pid) == ticks


def kill_process(name: str) -> None:
    """End a process of this host at once, also one that is stopped; another host's is left alone."""
    if process_alive(name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(_parts(name)[1], signal.SIGKILL)


def may_live(pid: int, host: str) -> bool:
    """Whether the process of a recorded run may still be there; on another host it can't be asked."""
    if host != socket.gethostname():
        return True
    try:
        return "python" in Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return False


def _parts(name: str) -> tuple[str, int, int]:
    host, _, rest = name.rpartition(":")
    host, _, pid = host.rpartition(":")
    return host, int(pid) if pid.isdigit() else 0, int(rest) if rest.isdigit() else 0
