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
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, TaskCancelledError

from fiat.builtin import job_tree
from fiat.builtin.job_wire import receive_message, send_message
from fiat.builtin.ray_gang import run_gang
from fiat.builtin.ray_head import connect, knock, start_head
from fiat.builtin.ray_study import run_study
from fiat.builtin.ray_task import cancel_path, run_in_worker, started_path
from fiat.ports.compute import Capacity, Job, JobResult, Sandbox

_FORCE_AFTER_S = 4.0
_ENDING_S = 6.0
_LOOK_S = 0.1
_PATIENCE = struct.pack("ll", 30, 0)  # a timeval: seconds that a stopped client may hold up the others
_VITAL = ("gcs_server", "raylet")


@dataclass
class _Running:
    """A job that Ray has: as a task, or in a thread of ours that starts what it needs of Ray."""

    job: Job
    ref: Any = None
    ending: threading.Event = field(default_factory=threading.Event)

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to end."""
        return self.ending.is_set()


class Session:
    """One client: its jobs end with its connection."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _PATIENCE)
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._running: dict[str, _Running] = {}
        self._task = ray.remote(max_retries=0)(run_in_worker)

    def serve(self) -> str:
        """Do what the client says until it says `end` or `down`, or is gone: then `gone`."""
        word = "gone"
        try:
            while True:
                message = receive_message(self._link)
                word = message[0]
                if word == "submit":
                    self._submit(message[1], message[2])
                elif word == "cancel":
                    self._cancel(message[1])
                else:
                    break
        except EOFError:
            word = "gone"
        with self._lock:
            ids = list(self._running)
        for job_id in ids:
            self._cancel(job_id)
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout=_ENDING_S)
        return word

    def tell(self, *message: object) -> None:
        """Send a message; a client that is gone, or does not read for long, is cut off."""
        with self._sending:
            try:
                send_message(self._link, message)
            except OSError:
                with contextlib.suppress(OSError):
                    self._link.shutdown(socket.SHUT_RDWR)

    def _submit(self, job: Job, import_path: tuple[str, ...]) -> None:
        if job.study is not None:
            self._follow(job, partial(run_study, job, import_path))
        elif job.resources.workers > 1 and (job.command is None or _may_meet(job.command.sandbox)):
            self._follow(job, partial(run_gang, job, import_path, gpus=None))
        else:
            self._submit_task(job, import_path)

    def _follow(self, job: Job, work: Callable[..., JobResult]) -> None:
        """Do what takes more than one task of Ray in a thread."""
        running = _Running(job)
        with self._lock:
            self._running[job.id] = running

        def run() -> None:
            try:
                result = work(cancelled=running.ending)
            except Exception as error:
                result = _explain(error, running.cancelled)
            self._tell_end(running, result)

        threading.Thread(target=run, name=job.id, daemon=True).start()

    def _submit_task(self, job: Job, import_path: tuple[str, ...]) -> None:
        need = job.resources
        options: dict[str, Any] = {"num_cpus": need.cpus, "num_gpus": need.gpus, "name": job.step}
        if need.memory_bytes is not None:
            options["memory"] = need.memory_bytes
        ref = self._task.options(**options).remote(job, import_path)
        running = _Running(job, ref)
        with self._lock:
            self._running[job.id] = running
        ref.future().add_done_callback(lambda future: self._ended(running, future))

    def _ended(self, running: _Running, future: Any) -> None:
        error = future.exception()
        result = _explain(error, running.cancelled) if error else future.result()
        self._tell_end(running, result)

    def _tell_end(self, running: _Running, result: JobResult) -> None:
        self.tell("result", running.job.id, result)
        with self._changed:
            self._running.pop(running.job.id, None)
            self._changed.notify_all()

    def _cancel(self, job_id: str) -> None:
        """Ask the runner of the job to end it, and if it does not, or was not started yet, tell Ray."""
        with self._lock:
            running = self._running.get(job_id)
        if running is None or running.cancelled:
            return
        running.ending.set()
        if running.ref is None:
            return
        try:
            cancel_path(running.job).touch()
            asked = started_path(running.job).exists()
        except OSError:
            asked = False
        if not asked:
            self._force(running)
            return
        timer = threading.Timer(_FORCE_AFTER_S, self._force, [running])
        timer.daemon = True
        timer.start()

    def _force(self, running: _Running) -> None:
        with self._lock:
            if running.job.id not in self._running:
                return
        ray.cancel(running.ref, force=True)


def _may_meet(sandbox: Sandbox | None) -> bool:
    """Whether processes in boxes of their own reach each other: a box without the network has a loopback of its own."""
    return sandbox is None or sandbox.kind == "none" or sandbox.network


def _explain(error: BaseException, cancelled: bool) -> JobResult:
    if cancelled or isinstance(error, TaskCancelledError):
        return JobResult("cancelled", "cancelled")
    if isinstance(error, OutOfMemoryError):
        return JobResult("failed", "Ray ended its worker because the machine was running out of memory")
    if isinstance(error, RayError):
        return JobResult("lost", f"the Ray worker that ran it died ({type(error).__name__})")
    return JobResult("lost", f"a bug in Fiat: {type(error).__name__}: {error}")


def _capacity(address: str) -> Capacity:
    has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray's own gap
    return Capacity(has.get("CPU", 0.0), has.get("GPU", 0.0), int(has.get("memory", 0)), f"Ray at {address}")


def _serve_one(link: socket.socket, capacity: Capacity, stop: threading.Event) -> None:
    session = Session(link)
    session.tell("ready", capacity, os.getpid(), os.getppid())
    if session.serve() == "down":
        stop.set()
    link.close()


def _serve_many(path: str, capacity: Capacity, stop: threading.Event) -> None:
    """Listen until told to stop; a client is a thread."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        Path(path).chmod(0o600)
        door.listen()
        while True:
            link, _ = door.accept()
            threading.Thread(target=_serve_one, args=(link, capacity, stop), daemon=True).start()


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
                    send_message(link, ("fault", f"Ray's {name} died"))
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
    address = options["address"]
    try:
        if address is None:
            head = start_head(Path(options["temp_dir"]), options["cpus"], options["gpus"])
            address = head.gcs_address
        else:
            knock(address)
        connect(address)
        capacity = _capacity(address)
    except Exception as error:
        send_message(link, ("fault", f"{type(error).__name__}: {error}"))
        os._exit(1)
    if options["socket"] is None:
        _serve_one(link, capacity, stop)
    else:
        send_message(link, ("ready", capacity, os.getpid(), os.getppid(), address))
        _serve_many(options["socket"], capacity, stop)
    stop.set()
    threading.Event().wait()  # until `_watch` has ended the process
