"""The Ray host: the one process that is Ray's driver, for one command line or, after `fiat up`, for many.

Program: `ray_launch.py` starts it under a runner of the supervisor with a scrubbed environment, so the command
line never imports Ray, its environment never reaches Ray's workers, and Ray's threads, signal handlers and
messages never meet a user. The runner is a subreaper: when the host ends in any way, all of Ray ends with it.

It takes messages (`job_wire.py`) from its standard input (a socket; its end is the end of a transient
host) or from a Unix socket in a private folder, and answers each job with its JobResult.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import ray

from fiat.builtin import job_tree
from fiat.builtin.gpu_device import NvmlDriver
from fiat.builtin.gpu_pool import GpuPool, make_pool
from fiat.builtin.job_wire import send_message
from fiat.builtin.ray_desk_door import open_desk
from fiat.builtin.ray_head import connect, knock, start_head
from fiat.builtin.ray_session import Session
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Capacity

_LOOK_S = 0.1
_VITAL = ("gcs_server", "raylet")


def _capacity(address: str) -> Capacity:
    has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's own gap
    return Capacity(has.get("CPU", 0.0), has.get("GPU", 0.0), int(has.get("memory", 0)), f"Ray at {address}")


def _serve_one(session: Session, capacity: Capacity, stop: threading.Event) -> None:
    session.tell("ready", capacity, os.getpid(), os.getppid())
    if session.serve() == "down":
        stop.set()
    session.close()


def _serve_many(path: str, capacity: Capacity, pool: GpuPool | None, stop: threading.Event) -> None:
    """Listen until told to stop; a client is a thread."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        Path(path).chmod(0o600)
        door.listen()
        while True:
            link, _ = door.accept()
            session = Session(link, home=None, pool=pool)
            threading.Thread(target=_serve_one, args=(session, capacity, stop), daemon=True).start()


def _watch(link: socket.socket, stop: threading.Event) -> None:
    """End this process, and so all of Ray, when `stop` is set, or one of Ray's own processes or the runner died.

    It looks from the first moment on: Ray waits for minutes for a raylet that died while it started.
    """
    keeper = os.getppid()
    while not stop.wait(_LOOK_S):
        if os.getppid() != keeper:  # nobody else is left to end Ray: its agents outlive a killed raylet
            job_tree.send(job_tree.descendants(os.getpid()), signal.SIGKILL)
            os._exit(1)
        for pid in job_tree.children(os.getpid()):
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                continue
            if name in _VITAL and not job_tree.start_ticks(pid):
                with contextlib.suppress(OSError):
                    send_message(link, ("fault", f"Ray's {name} died", ""))
                os._exit(1)
    os._exit(0)  # the runner ends Ray at once; its orderly way takes seconds


def main() -> None:
    """Start, serve, end. The only argument is a JSON object; see `ray_launch.launch`."""
    options = json.loads(sys.argv[1])
    link = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    stop = threading.Event()
    threading.Thread(target=_watch, args=(link, stop), daemon=True).start()
    address, home, desk = options["address"], None, None
    pool: GpuPool | None = None
    try:
        if address is None:
            pool = make_pool(options["gpus"], os.environ, Path(options["ledger"]), NvmlDriver())
            # None lets Ray look for GPUs of a kind that we don't find.
            gpus = len(pool.ids) or options["gpus"]
            head = start_head(Path(options["temp_dir"]), options["cpus"], gpus)
            address = head.gcs_address
        else:
            knock(address)
        connect(address)
        if options["address"] is not None:
            home, desk = open_desk()
        capacity = _capacity(address)
        if pool is not None and not pool.ids:
            pool = make_pool(int(capacity.gpus), os.environ, pool.folder, NvmlDriver())
    except EnvironmentFault as error:
        send_message(link, ("fault", error.message, error.hint))
        os._exit(1)
    except Exception as error:
        send_message(link, ("fault", f"{type(error).__name__}: {error}", ""))
        os._exit(1)
    if options["socket"] is None:
        _serve_one(Session(link, home=home, pool=pool), capacity, stop)
    else:
        send_message(link, ("ready", capacity, os.getpid(), os.getppid(), address))
        _serve_many(options["socket"], capacity, pool, stop)
    del desk  # it lives as long as somebody holds it
    stop.set()
    threading.Event().wait()  # until `_watch` has ended the process
