"""Start, find and stop Ray hosts, without importing Ray: what `fiat up`, `fiat down` and RayCompute use."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fiat
from fiat.builtin import job_tree
from fiat.builtin.compute_machine import count_cpus, scrubbed
from fiat.builtin.job_child import RunningChild, Supervisor
from fiat.builtin.job_wire import receive_message, send_message
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Capacity

STARTING_S = 90.0
_PROGRAM = "import sys; sys.path[:] = {path}; from fiat.builtin import ray_host; ray_host.main()"
_PREFIX = "fiat-ray-"


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


@dataclass(frozen=True)
class Launched:
    """A host that was just started: the socket to it, its process, and what it said."""

    link: socket.socket
    child: RunningChild
    capacity: Capacity
    pid: int
    keeper_pid: int
    address: str


def build_id() -> str:
    """Names the Python and the Fiat that run here."""
    return f"{sys.executable} {Path(fiat.__file__).parent}"


def make_temp_dir() -> Path:
    """A private folder with a short name (Unix sockets allow 107 characters) and a fresh token in it."""
    temp_dir = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with open(os.open(temp_dir / "token", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return temp_dir


def host_env(env: Mapping[str, str], temp_dir: Path, address: str | None) -> dict[str, str]:
    """The environment of a host, and so of Ray's processes and workers.

    Args:
        env: the whole environment of the command line.
        temp_dir: folder of the host, with its token.
        address: of a Ray that is already there; its token settings in `env` are then passed on.
    """
    kept = scrubbed(env, devices=True)
    kept.update(RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0")
    if address is None or address.rpartition(":")[0] in ("127.0.0.1", "localhost"):
        # Despite its name this is what lets a driver on Linux reach a Ray on loopback.
        # Source: ray._private.services.get_node_ip_address, Ray 2.60.
        kept["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if address is None:
        kept.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(temp_dir / "token"))
    else:
        names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
        kept.update({name: env[name] for name in names if name in env})
    return kept


def launch(
    supervisor: Supervisor,
    temp_dir: Path,
    env: Mapping[str, str],
    *,
    address: str | None = None,
    cpus: float | None = None,
    gpus: int | None = None,
    socket_path: str | None = None,
) -> Launched:
    """Start a host and wait until it is ready.

    Args:
        supervisor: starts its runner.
        temp_dir: its folder, see `make_temp_dir`.
        env: the command line's whole environment; only the harmless part is passed on.
        address: Ray to connect to; None starts one.
        cpus: CPU cores that a started Ray gives out; None is what there is.
        gpus: GPUs that a started Ray gives out; None is what there is.
        socket_path: serve many clients there and live on; None serves the caller and dies with it.

    Raises:
        EnvironmentFault: it does not start, or nothing answers at the address.
    """
    ours, theirs = socket.socketpair()
    options = {
        "temp_dir": str(temp_dir),
        "address": address,
        "cpus": count_cpus() if cpus is None else cpus,
        "gpus": gpus,
        "socket": socket_path,
    }
    path = json.dumps([str(Path(part).absolute()) for part in sys.path])
    with theirs:
        child = supervisor.start(
            {
                "argv": [sys.executable, "-I", "-c", _PROGRAM.format(path=path), json.dumps(options)],
                "cwd": str(Path(fiat.__file__).parent.parent),
                "env": host_env(env, temp_dir, address),
                "log": str(temp_dir / "host.log"),
                "detached": socket_path is not None,
                "measured": False,
            },
            theirs,
        )
    ours.settimeout(STARTING_S)
    try:
        word, *said = receive_message(ours)
    except (EOFError, TimeoutError):
        word, said = "fault", ["it ended or did not answer"]
    ours.settimeout(None)
    if word != "ready":
        child.cancel()
        child.wait(5)
        log = _last_lines(temp_dir / "host.log")
        where = f"connect to Ray at {address}" if address else "start Ray"
        raise EnvironmentFault(
            f"could not {where}: {said[0]}{log}",
            hint="check the address and RAY_AUTH_TOKEN_PATH"
            if address
            else "`compute: local` runs without Ray",
        )
    capacity, pid, keeper_pid, *rest = said
    return Launched(ours, child, capacity, pid, keeper_pid, rest[0] if rest else "")


def up(
    state_dir: Path,
    cpus: float | None = None,
    gpus: int | None = None,
    *,
    env: Mapping[str, str] | None = None,
) -> HostInfo:
    """Start a Ray that stays, or find the one that this state folder already has.

    Raises:
        EnvironmentFault: it does not start.
    """
    with _locked(state_dir):
        there = status(state_dir)
        if there is not None:
            return there
        sweep()
        temp_dir = make_temp_dir()
        supervisor = Supervisor()
        path = str(temp_dir / "host.sock")
        try:
            launched = launch(
                supervisor,
                temp_dir,
                os.environ if env is None else env,
                cpus=cpus,
                gpus=gpus,
                socket_path=path,
            )
        except EnvironmentFault:
            shutil.rmtree(temp_dir, ignore_errors=True)
            raise
        finally:
            supervisor.close()
        info = HostInfo(
            pid=launched.pid,
            ticks=job_tree.start_ticks(launched.pid),
            keeper_pid=launched.keeper_pid,
            boot=_boot_id(),
            build=build_id(),
            address=launched.address,
            socket=path,
            temp_dir=str(temp_dir),
            cpus=launched.capacity.cpus,
            gpus=launched.capacity.gpus,
            memory_bytes=launched.capacity.memory_bytes,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _write_state(_state_path(state_dir), info)
        _write_state(temp_dir / "host.json", info)
        return info


def status(state_dir: Path) -> HostInfo | None:
    """The living host of this state folder; what a dead one left is removed."""
    info = _read_state(_state_path(state_dir))
    if info is None:
        return None
    if _lives(info):
        return info
    shutil.rmtree(info.temp_dir, ignore_errors=True)
    _state_path(state_dir).unlink(missing_ok=True)
    return None


def down(state_dir: Path) -> bool:
    """Stop the host of this state folder with all its jobs.

    Returns:
        Whether there was one.
    """
    with _locked(state_dir):
        info = status(state_dir)
        if info is None:
            return False
        with contextlib.suppress(OSError, EOFError), dial(info) as link:
            send_message(link, ("down",))
        if not _gone(info, 8.0):
            job_tree.send([info.keeper_pid], signal.SIGTERM)
            if not _gone(info, 5.0):
                job_tree.send([*job_tree.descendants(info.keeper_pid), info.keeper_pid], signal.SIGKILL)
        shutil.rmtree(info.temp_dir, ignore_errors=True)
        _state_path(state_dir).unlink(missing_ok=True)
        return True


def dial(info: HostInfo) -> socket.socket:
    """Connect to a host that stays. It speaks first: `ready`, capacity, ...

    Raises:
        OSError: it is not there.
    """
    link = socket.socket(socket.AF_UNIX)
    link.connect(info.socket)
    return link


def sweep() -> None:
    """Remove folders that hosts left behind which were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            info = _read_state(folder / "host.json")
            dead = not _lives(info) if info else time.time() - folder.stat().st_mtime > 24 * 3600
            if dead and folder.stat().st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)


def _lives(info: HostInfo) -> bool:
    same = info.boot == _boot_id() and info.ticks == job_tree.start_ticks(info.pid)
    return same and Path(info.socket).exists()


def _gone(info: HostInfo, patience_s: float) -> bool:
    give_up_at = time.monotonic() + patience_s
    while job_tree.start_ticks(info.keeper_pid):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.02)
    return True


def _state_path(state_dir: Path) -> Path:
    return state_dir / "ray.json"


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read_state(path: Path) -> HostInfo | None:
    try:
        fields: Any = json.loads(path.read_text())
        return HostInfo(**fields)
    except (OSError, ValueError, TypeError):
        return None


def _write_state(path: Path, info: HostInfo) -> None:
    """Whole or not at all, and for this user only."""
    beside = path.with_name(path.name + ".new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(info), file)
    beside.replace(path)


@contextlib.contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    state_dir.mkdir(parents=True, exist_ok=True)
    with open(state_dir / "ray.lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _last_lines(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()[-3:]
    except OSError:
        return ""
    return "".join(f"; {line.strip()}" for line in lines)
