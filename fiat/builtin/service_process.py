"""Processes of a service by name: who they are, whether they live, how they begin and end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fiat.builtin import job_tree
from fiat.builtin.ray_state import boot_id
from fiat.builtin.service_document import write_durably
from fiat.serving.place import Place

_PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
)
_POLL_S, _DEATH_S = 0.02, 5.0
SILENT_S = 30.0
"""A keeper that shows nothing for so long stands still."""


@dataclass(frozen=True)
class ProcessName:
    """A process, for good: numbers are given again, start times within a boot are not.

    Attributes:
        pid: number.
        ticks: when it started, clock ticks since boot.
        boot: id of the boot.
    """

    pid: int
    ticks: int
    boot: str

    @property
    def alive(self) -> bool:
        """Whether it lives, stopped or not."""
        return (
            self.pid > 0
            and self.ticks > 0
            and self.boot == boot_id()
            and job_tree.start_ticks(self.pid) == self.ticks
        )


NOBODY = ProcessName(0, 0, "")


def name_of(pid: int) -> ProcessName:
    """The name of a process that lives."""
    return ProcessName(pid, job_tree.start_ticks(pid), boot_id())


@dataclass(frozen=True)
class ServerRecord:
    """The server that a keeper started last.

    Attributes:
        process: of it, and leader of its group.
        port: that it listens on.
        url: where it answers.
        command: that it was started with: another one needs another server.
        started_s: seconds since 1970.
    """

    process: ProcessName
    port: int
    url: str
    command: tuple[str, ...]
    started_s: float


def write_record(path: Path, record: ServerRecord) -> None:
    """Replace the file.

    Raises:
        OSError: the disk refused.
    """
    write_durably(path, asdict(record))


def read_record(path: Path) -> ServerRecord | None:
    """The server's record; None when there is none that can be read."""
    found = _read(path)
    try:
        process, command = ProcessName(**found.pop("process")), tuple(found.pop("command"))
        return ServerRecord(process=process, command=command, **found)
    except (KeyError, TypeError, AttributeError):
        return None


def keeper_of(place: Place) -> ProcessName | None:
    """The keeper that wrote its name down last; None when there is none."""
    try:
        return ProcessName(**_read(place.keeper))
    except TypeError:
        return None


def keeper_silent_s(place: Place) -> float:
    """Seconds since the keeper last showed that it moves."""
    try:
        return max(0.0, time.time() - place.keeper.stat().st_mtime)
    except FileNotFoundError:
        return 0.0


def start_keeper(place: Place, arguments: Sequence[str] = ()) -> None:
    """Start a keeper that outlives whoever calls this; one that finds another at work ends by itself.

    Args:
        place: of the service.
        arguments: further ones of the program.
    """
    place.logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "fiat.builtin.service_keeper", str(place.folder), *arguments]
    with (place.logs / "keeper.log").open("ab") as log:
        # The program forks once and lets its first process end: the keeper is nobody's child.
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=clean_environment(os.environ),
            start_new_session=True,
            check=False,
        )


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What keepers and servers get of an environment: no secrets, only what Python and drivers need."""
    kept = {name: environment[name] for name in _PASSED_ON if name in environment}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def lock_holders(path: Path) -> list[int]:
    """Processes of ours that have a file open, parents before their children.

    Source: proc_pid_fd(5).
    """
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return []
    return [
        int(name)
        for name in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int)
        if int(name) != os.getpid() and _has_open(name, wanted)
    ]


def end_group(process: ProcessName, patience_s: float) -> None:
    """Ask a process to end, then end it with all that is left of its group.

    Args:
        process: leader of a group.
        patience_s: how long it may take by itself; 0 kills at once.
    """
    if process.alive and patience_s > 0:
        _signal(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience_s
        while process.alive and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            _bury(process.pid)
    kill_group(process)


def kill_group(process: ProcessName) -> None:
    """Kill what is left of a group, also when its leader is gone."""
    if process.boot != boot_id() or process.pid <= 1:
        return
    # Numbers of processes are not given again while a group of that number lives.
    if job_tree.start_ticks(process.pid) not in (0, process.ticks):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # A killed process takes a moment to be gone, and with it what it holds.
    deadline = time.monotonic() + _DEATH_S
    while process.alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        _bury(process.pid)
    _bury(process.pid)


def _bury(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _has_open(name: str, wanted: os.stat_result) -> bool:
    try:
        for descriptor in os.listdir(f"/proc/{name}/fd"):
            with contextlib.suppress(OSError):
                if os.path.samestat(Path(f"/proc/{name}/fd/{descriptor}").stat(), wanted):
                    return True
    except OSError:
        return False
    return False


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
