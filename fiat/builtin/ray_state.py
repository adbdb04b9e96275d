"""What is written down about a Ray host that stays, and whether it is still true."""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fiat
from fiat.builtin import job_tree

PREFIX = "fiat-ray-"


@dataclass(frozen=True)
class HostInfo:
    """A Ray host that `up` started.

    Attributes:
        pid: the host process.
        ticks: when it started, so that its number given to another process is noticed.
        keeper_pid: the runner above it; ending that ends everything.
        boot: id of the machine's boot.
        build: Python and Fiat that it runs; another build does not use it.
        address: Ray's address, `127.0.0.1:port`.
        socket: Unix socket that takes jobs.
        temp_dir: private folder with Ray's files, the token and the host's log.
        cpus: CPU cores it gives out.
        gpus: GPUs it gives out.
        memory_bytes: memory it gives out.
        started_at: aware UTC, ISO 8601.
    """

    pid: int
    ticks: int
    keeper_pid: int
    boot: str
    build: str
    address: str
    socket: str
    temp_dir: str
    cpus: float
    gpus: float
    memory_bytes: int
    started_at: str

    @property
    def token_path(self) -> str:
        """File with the token that Ray asks of every client."""
        return f"{self.temp_dir}/token"


def build_id() -> str:
    """Names the Python and the Fiat that run here."""
    return f"{sys.executable} {Path(fiat.__file__).parent}"


def status(state_dir: Path) -> HostInfo | None:
    """The living host of this state folder; what a dead one left is removed."""
    info = _read_state(state_path(state_dir))
    if info is None:
        return None
    if is_living(info):
        return info
    shutil.rmtree(info.temp_dir, ignore_errors=True)
    state_path(state_dir).unlink(missing_ok=True)
    return None


def write_owner(temp_dir: Path, pid: int) -> None:
    """Note whose folder this is."""
    (temp_dir / "owner").write_text(f"{pid} {job_tree.start_ticks(pid)} {boot_id()}")


def sweep() -> None:
    """Remove folders of hosts that were killed."""
    found = {*Path(tempfile.gettempdir()).glob(f"{PREFIX}*"), *Path("/tmp").glob(f"{PREFIX}*")}  # noqa: S108 (see `_is_owned`)
    for folder in found:
        with contextlib.suppress(OSError, ValueError):
            about = folder.stat()
            if about.st_uid == os.getuid() and not _is_owned(folder, about.st_mtime):
                shutil.rmtree(folder, ignore_errors=True)


def _is_owned(folder: Path, made_at: float) -> bool:
    try:
        pid, ticks, boot = (folder / "owner").read_text().split()
    except FileNotFoundError:
        return time.time() - made_at < 600  # it is just starting
    return boot == boot_id() and int(ticks) == job_tree.start_ticks(int(pid))


def is_living(info: HostInfo) -> bool:
    """Whether that very process still runs."""
    same = info.boot == boot_id() and info.ticks == job_tree.start_ticks(info.pid)
    return same and Path(info.socket).exists()


def state_path(state_dir: Path) -> Path:
    """File that names the host of a state folder."""
    return state_dir / "ray.json"


def boot_id() -> str:
    """Id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read_state(path: Path) -> HostInfo | None:
    try:
        fields: Any = json.loads(path.read_text())
        return HostInfo(**fields)
    except (OSError, ValueError, TypeError):
        return None


def write_state(path: Path, info: HostInfo) -> None:
    """Whole or not at all, and for this user only."""
    beside = path.with_name(path.name + ".new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(info), file)
    beside.replace(path)
