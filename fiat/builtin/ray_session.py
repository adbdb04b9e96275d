"""One client of the Ray host: its jobs are given to Ray, and end with its connection."""

import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, TaskCancelledError

from fiat.builtin.gpu_pool import GpuPool
from fiat.builtin.job_wire import receive_message, send_message
from fiat.builtin.ray_claimed import FORCE_AFTER_S, rest_of, run_claimed, run_gang_claimed
from fiat.builtin.ray_desk_door import beside_store, equip_desk
from fiat.builtin.ray_gang import run_gang
from fiat.builtin.ray_study import run_study
from fiat.builtin.ray_task import run_in_worker
from fiat.builtin.ray_travel import cancel_path, mark, started_path
from fiat.data.dvc_carry import Carrier
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Job, JobResult, Sandbox

_ENDING_S = 6.0
_DESK_S = 30.0
# A task does not begin when what it is made of is not there, or is another version's.
# Source: Ray 2.60, `FunctionActorManager`; messages of Python's import system and of pickle.
_UNLIKE = re.compile(r"failed to import|ModuleNotFoundError|ImportError|Can't get attribute")
_ALIKE = "install the same Python, Ray, Fiat and packages on all nodes of the Ray"
_PATIENCE = struct.pack("ll", 30, 0)  # a timeval: seconds that a stopped client may hold up the others


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
    """One client: its jobs end with its connection.

    Args:
        link: to the client.
        home: id of the Ray node beside the store, where other nodes may not see it; None where all do.
        pool: the GPUs of a Ray of our own, which other processes of this machine use too; None leaves them to the
            scheduler of a Ray that is somebody else's.
    """

    def __init__(self, link: socket.socket, *, home: str | None, pool: GpuPool | None) -> None:
        self._link = link
        self._home = home
        self._pool = pool
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _PATIENCE)
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._running: dict[str, _Running] = {}
        self._carrier: Carrier | None = None
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
                elif word == "carrier":
                    self._carrier = message[1]
                    equip_desk(message[1], wait_s=_DESK_S)
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

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _submit(self, job: Job, import_path: tuple[str, ...]) -> None:
        running = _Running(job)
        with self._lock:
            self._running[job.id] = running
        with contextlib.suppress(OSError):  # without it the job's files travel, wherever it runs
            mark(job)
        if self._carrier is not None:
            equip_desk(self._carrier)
        if job.study is not None:
            self._follow(running, partial(run_study, job, import_path, pool=self._pool))
        elif job.resources.gpus > 0 and self._pool is not None:
            work = run_gang_claimed if _is_gang(job) else run_claimed
            self._follow(running, partial(work, job, import_path, self._pool))
        elif _is_gang(job):
            self._follow(running, partial(run_gang, job, import_path, gpus=None))
        else:
            self._start(running, import_path)

    def _follow(self, running: _Running, work: Callable[..., JobResult]) -> None:
        """Do what takes more than one task of Ray in a thread."""

        def run() -> None:
            try:
                result = work(cancelled=running.ending)
            except Exception as error:
                result = _explain(error, running.cancelled)
            self._tell_end(running, result)

        threading.Thread(target=run, name=running.job.id, daemon=True).start()

    def _start(self, running: _Running, import_path: tuple[str, ...]) -> None:
        """Give a job to Ray as one task."""
        job = running.job
        options = {**rest_of(job), "num_gpus": job.resources.gpus * job.resources.workers}
        if self._home is not None:
            options |= beside_store(job, self._home)
        running.ref = self._task.options(**options).remote(job, import_path)
        running.ref.future().add_done_callback(lambda future: self._ended(running, future))

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
        timer = threading.Timer(FORCE_AFTER_S, self._force, [running])
        timer.daemon = True
        timer.start()

    def _force(self, running: _Running) -> None:
        with self._lock:
            if running.job.id not in self._running:
                return
        ray.cancel(running.ref, force=True)


def _is_gang(job: Job) -> bool:
    """Whether its workers are processes that Ray places; else they are started by one command on one machine."""
    return job.resources.workers > 1 and job.command is not None and _may_meet(job.command.sandbox)


def _may_meet(sandbox: Sandbox | None) -> bool:
    """Whether processes in boxes of their own reach each other: a box without the network has a loopback of its own."""
    return sandbox is None or sandbox.kind == "none" or sandbox.network


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def _explain(error: BaseException, cancelled: bool) -> JobResult:
    if cancelled or isinstance(error, TaskCancelledError):
        return JobResult("cancelled", "cancelled")
    if isinstance(error, OutOfMemoryError):
        return JobResult("failed", "Ray ended its worker because the machine was running out of memory")
    if isinstance(error, RayTaskError) and _UNLIKE.search(str(error)):
        return JobResult("failed", f"a node of the Ray could not begin it: {_last_line(error)}", mend=_ALIKE)
    if isinstance(error, RayTaskError):
        return JobResult("lost", f"a bug in Fiat: {_last_line(error)}")
    if isinstance(error, RayError):
        return JobResult("lost", f"the Ray worker that ran it died ({type(error).__name__})")
    if isinstance(error, EnvironmentFault):
        return JobResult("failed", error.message, mend=error.hint)
    return JobResult("lost", f"a bug in Fiat: {type(error).__name__}: {error}")
