"""Start a Ray host process with nothing of our environment, and wait until it is ready."""

import json
import os
import re
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import fiat
from fiat.builtin.compute_machine import count_cpus, scrubbed
from fiat.builtin.gpu_ledger import ledger_folder
from fiat.builtin.job_child import RunningChild, Supervisor
from fiat.builtin.job_wire import receive_message
from fiat.builtin.ray_state import PREFIX, write_owner
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Capacity

STARTING_S = 90.0
# Older ones ask no client for a token. Source: Ray documentation, Token authentication: from Ray 2.52.0 on.
FLOOR = (2, 52)
_SHORT = 20
_JOIN = "ray start --address {} --num-cpus 0 --num-gpus 0"
_PROGRAM = "import sys; sys.path[:] = {path}; from fiat.builtin import ray_host; ray_host.main()"


@dataclass(frozen=True)
class Launched:
    """A host that was just started: the socket to it, its process, and what it said."""

    link: socket.socket
    child: RunningChild
    capacity: Capacity
    pid: int
    keeper_pid: int
    address: str


def make_temp_dir() -> Path:
    """A private folder with a short name (Unix sockets allow 107 characters) and a fresh token in it."""
    parent = tempfile.gettempdir()
    temp_dir = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent if len(parent) <= _SHORT else "/tmp"))  # noqa: S108 (mkdtemp is safe)
    with open(os.open(temp_dir / "token", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(os.urandom(32).hex())
    return temp_dir


def host_env(env: Mapping[str, str], temp_dir: Path, address: str | None) -> dict[str, str]:
    """The environment of a host, and so of Ray's processes and workers.

    Args:
        env: the whole environment of the command line.
        temp_dir: folder of the host, with its token.
        address: of a Ray that is already there; its token settings in `env` are then passed on.
    """
    kept = scrubbed(env, devices=True)
    kept.update(RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0", RAY_NUM_REDIS_GET_RETRIES="3")
    # Tune need not write down every result in three formats, nor leave where it works.
    kept.update(TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1", RAY_CHDIR_TO_TRIAL_DIR="0")
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
    ledger: Path | None = None,
    socket_path: str | None = None,
) -> Launched:
    """Start a host and wait until it is ready; a Ray of our own that dies on the way is started a second time.

    Args:
        supervisor: starts its runner.
        temp_dir: its folder, see `make_temp_dir`.
        env: the command line's whole environment; only the harmless part is passed on.
        address: Ray to connect to; None starts one.
        cpus: CPU cores that a started Ray gives out; None is what there is.
        gpus: GPUs that a started Ray gives out; None is what there is.
        ledger: folder of the ledger of GPUs; None is the one that this user's processes share.
        socket_path: serve many clients there and live on; None serves the caller and dies with it.

    Raises:
        EnvironmentFault: it does not start, nothing answers at the address or only Ray Client does, or this Ray is too
            old.
    """
    check_version()
    if address is not None and address.startswith("ray://"):
        host = address.removeprefix("ray://").rpartition(":")[0] or "HOST"
        raise EnvironmentFault(
            f"{address} is for Ray Client, by which nodes of the Ray don't reach this machine's store",
            hint=f"run `{_JOIN.format(f'{host}:6379')}` here, then set the address to {host}:6379 (the port of its GCS)",
        )
    options = {
        "temp_dir": str(temp_dir),
        "address": address,
        "cpus": count_cpus() if cpus is None else cpus,
        "gpus": gpus,
        "ledger": str(ledger or ledger_folder(env)),
        "socket": socket_path,
    }
    path = json.dumps([str(Path(part).absolute()) for part in sys.path])
    request = {
        "argv": [sys.executable, "-I", "-c", _PROGRAM.format(path=path), json.dumps(options)],
        "cwd": str(Path(fiat.__file__).parent.parent),
        "env": host_env(env, temp_dir, address),
        "log": str(temp_dir / "host.log"),
        "detached": socket_path is not None,
        "measured": False,
    }
    started = _start(supervisor, request)
    # A raylet dies when its agent takes longer than 15 s to start, on a machine that has no time for it. No setting helps.
    # Source: ray-project/ray, issue 65983; Ray 2.60, NodeManager::WaitForDashboardAgentPorts.
    if isinstance(started, _Failure) and started.again and address is None:
        started = _start(supervisor, request)
    if isinstance(started, _Failure):
        log = "" if started.hint else _last_lines(temp_dir / "host.log")
        where = f"connect to Ray at {address}" if address else "start Ray"
        usual = "`compute: local` runs without Ray"
        if address:
            usual = f"check the address and RAY_AUTH_TOKEN_PATH; this machine must be a node: `{_JOIN.format(address)}`"
        raise EnvironmentFault(f"could not {where}: {started.reason}{log}", hint=started.hint or usual)
    write_owner(temp_dir, started.pid)
    return started


@dataclass(frozen=True)
class _Failure:
    """A host that did not become ready.

    Attributes:
        reason: why, a sentence.
        hint: what to do; empty for what is usual.
        again: it died, and may not do so a second time.
    """

    reason: str
    hint: str = ""
    again: bool = False


def _start(supervisor: Supervisor, request: Mapping[str, Any]) -> Launched | _Failure:
    ours, theirs = socket.socketpair()
    with theirs:
        child = supervisor.start(request, theirs)
    ours.settimeout(STARTING_S)
    try:
        word, *said = receive_message(ours)
        ours.settimeout(None)
        if word == "ready":
            capacity, pid, keeper_pid, *rest = said
            return Launched(ours, child, capacity, pid, keeper_pid, rest[0] if rest else "")
        reason, hint = said
        failure = _Failure(reason, hint, again=not hint)
    except EOFError:
        failure = _Failure("it ended while it started", again=True)
    except TimeoutError:
        failure = _Failure(f"it has not answered for {STARTING_S:g} s")
    child.cancel()
    child.wait(5)
    child.close()
    ours.close()
    return failure


def check_version() -> None:
    """Refuse a Ray that would let anybody on the machine in.

    Raises:
        EnvironmentFault: it is older than the floor, or missing.
    """
    try:
        found = version("ray")
    except PackageNotFoundError:
        raise EnvironmentFault(
            "Ray is not installed", hint="pip install ray; `compute: local` runs without it"
        ) from None
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers is None or tuple(map(int, numbers.groups())) < FLOOR:
        floor = ".".join(map(str, FLOOR))
        raise EnvironmentFault(
            f"Ray {found} is too old: it takes jobs from anybody who reaches its port",
            hint=f"pip install 'ray>={floor}'; `compute: local` runs without Ray",
        )


def _last_lines(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    # What the runner notes when we end what was left is no reason.
    said = [line for line in lines if not line.startswith("[fiat] cancelled")]
    return "".join(f"; {line.strip()}" for line in said[-3:])
