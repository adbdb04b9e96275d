"""Start, find and stop Ray hosts, without importing Ray: what `fiat up`, `fiat down` and RayCompute use."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from fiat.builtin import job_tree
from fiat.builtin.job_child import Supervisor
from fiat.builtin.job_wire import send_message
from fiat.builtin.ray_launch import launch, make_temp_dir
from fiat.builtin.ray_state import HostInfo, boot_id, build_id, state_path, status, sweep, write_state
from fiat.errors import EnvironmentFault


def up(
    state_dir: Path,
    cpus: float | None = None,
    gpus: int | None = None,
    *,
    env: Mapping[str, str] | None = None,
    ledger: Path | None = None,
) -> HostInfo:
    """Start a Ray that stays, or find the one that this state folder already has.

    Args:
        state_dir: where it is written down.
        cpus: CPU cores that it gives out; None is what there is.
        gpus: GPUs that it gives out; None is what there is.
        env: our whole environment; None is that of this process.
        ledger: folder of the ledger of GPUs; None is the one that this user's processes share.

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
                ledger=ledger,
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
            boot=boot_id(),
            build=build_id(),
            address=launched.address,
            socket=path,
            temp_dir=str(temp_dir),
            cpus=launched.capacity.cpus,
            gpus=launched.capacity.gpus,
            memory_bytes=launched.capacity.memory_bytes,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_state(state_path(state_dir), info)
        return info


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
        state_path(state_dir).unlink(missing_ok=True)
        return True


def dial(info: HostInfo) -> socket.socket:
    """Connect to a host that stays. It speaks first: `ready`, capacity, ...

    Raises:
        OSError: it is not there.
    """
    link = socket.socket(socket.AF_UNIX)
    link.connect(info.socket)
    return link


def _gone(info: HostInfo, patience_s: float) -> bool:
    give_up_at = time.monotonic() + patience_s
    while job_tree.start_ticks(info.keeper_pid):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    state_dir.mkdir(parents=True, exist_ok=True)
    with open(state_dir / "ray.lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
