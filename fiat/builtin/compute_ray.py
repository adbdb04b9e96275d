"""Compute `ray`, the default: jobs as Ray tasks, on a Ray that is there or on one that is started for them.

This module does not import Ray: the Ray host does, in a process of its own (see `ray_host.py`).
"""

import contextlib
import os
import shutil
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from fiat.builtin.compute_machine import check_needs
from fiat.builtin.job_child import RunningChild, Supervisor
from fiat.builtin.job_wire import receive_message, send_message
from fiat.builtin.ray_launch import launch, make_temp_dir
from fiat.builtin.ray_state import build_id, status, sweep
from fiat.builtin.ray_up import dial
from fiat.data.dvc_carry import Carrier
from fiat.ports.compute import Capacity, Job, JobResult, Resources

_CLOSING_S = 12.0


class _Host:
    """The connection to one Ray host, and the jobs it was given."""

    def __init__(self, link: socket.socket, capacity: Capacity, child: RunningChild | None) -> None:
        self.capacity = capacity
        self.lost = False
        self._link = link
        self._child = child
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # apart from the other, so that results are read while a send waits
        self._futures: dict[str, Future[JobResult]] = {}
        self._ending = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def submit(self, job: Job, future: Future[JobResult]) -> bool:
        """Hand over a job; False when the host is gone."""
        with self._lock:
            if self.lost or self._ending:
                return False
            self._futures[job.id] = future
        try:
            self._send("submit", job, tuple(sys.path))
        except OSError:
            with self._lock:
                self.lost = True
                return self._futures.pop(job.id, None) is None
        return True

    def equip(self, carrier: Carrier) -> None:
        """Say how large files travel; a host that is gone is found out with the first job."""
        with contextlib.suppress(OSError):
            self._send("carrier", carrier)

    def cancel(self, job_id: str) -> None:
        """End one of its jobs."""
        with self._lock:
            known = job_id in self._futures
        if known:
            with contextlib.suppress(OSError):
                self._send("cancel", job_id)

    def close(self) -> None:
        """End the jobs; a host that was started for us ends too."""
        with self._lock:
            self._ending = True
        with contextlib.suppress(OSError):
            self._send("end")
        self._listener.join(_CLOSING_S)
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._listener.join(1)
        self._link.close()
        if self._child is not None:
            if self._child.wait(3) is None:
                self._child.cancel()
                self._child.wait(5)
            self._child.close()

    def _send(self, *message: object) -> None:
        with self._sending:
            send_message(self._link, message)

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                message = receive_message(self._link)
                if message[0] != "result":
                    continue
                with self._lock:
                    future = self._futures.pop(message[1], None)
                if future is not None:
                    future.set_result(message[2])
        with self._lock:
            self.lost = True
            left, self._futures = self._futures, {}
        result = JobResult("lost", "Ray died") if not self._ending else JobResult("cancelled", "cancelled")
        for future in left.values():
            future.set_result(result)


class RayCompute:
    """Jobs as Ray tasks. Ray's own scheduler decides what runs when; GPUs of this machine are given by its ledger."""

    def __init__(
        self,
        state_dir: Path,
        *,
        address: str | None = None,
        cpus: float | None = None,
        gpus: int | None = None,
        env: Mapping[str, str] | None = None,
        ledger: Path | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        """Nothing is started before `start`.

        Args:
            state_dir: where `fiat up` records the Ray that it started.
            address: a Ray to use; None is the one in `state_dir`, or else one is started and ended with us.
            cpus: CPU cores that a started Ray gives out; None is what there is.
            gpus: GPUs that a started Ray gives out; None is what there is.
            env: our whole environment, of which the harmless part and RAY_AUTH_* are used; None is that of
                this process.
            ledger: folder of the ledger of GPUs; None is the one that this user's processes share.
            carrier: how large files come to nodes at `address` that do not see the store; None sends them piece by piece.
        """
        self._state_dir = state_dir
        self._ledger = ledger
        self._carrier = carrier
        self._address = address
        self._cpus = cpus
        self._gpus = gpus
        self._env = dict(os.environ if env is None else env)
        self._supervisor = Supervisor()
        self._host: _Host | None = None
        self._temp_dirs: list[Path] = []
        self._closed = False

    def start(self, needs: Sequence[Resources]) -> Capacity:
        """Find or start a Ray; see the port."""
        host = self._attached()
        check_needs(needs, host.capacity)
        return host.capacity

    def submit(self, job: Job) -> Future[JobResult]:
        """Queue a job; see the port. A Ray that died meanwhile is started again."""
        future: Future[JobResult] = Future()
        future.set_running_or_notify_cancel()
        if self._closed:
            future.set_result(JobResult("cancelled", "the compute is closed"))
        elif not self._attached().submit(job, future) and not self._attached().submit(job, future):
            future.set_result(JobResult("lost", "Ray died twice"))
        return future

    def cancel(self, job_id: str) -> None:
        """End a job; see the port."""
        if self._host is not None:
            self._host.cancel(job_id)

    def close(self) -> None:
        """End what still runs; see the port."""
        self._closed = True
        if self._host is not None:
            self._host.close()
            self._host = None
        self._supervisor.close()
        for folder in self._temp_dirs:
            shutil.rmtree(folder, ignore_errors=True)

    def _attached(self) -> _Host:
        if self._host is not None and self._host.lost:
            self._host.close()
            self._host = None
        if self._host is None:
            self._host = self._warm_host() or self._own_host()
        return self._host

    def _warm_host(self) -> _Host | None:
        info = status(self._state_dir) if self._address is None else None
        if info is None or info.build != build_id():
            return None
        try:
            link = dial(info)
            _, capacity, *_ = receive_message(link)
        except (OSError, EOFError):
            return None
        return _Host(link, capacity, None)

    def _own_host(self) -> _Host:
        """Start a host of our own."""
        sweep()
        temp_dir = make_temp_dir()
        self._temp_dirs.append(temp_dir)
        launched = launch(
            self._supervisor,
            temp_dir,
            self._env,
            address=self._address,
            cpus=self._cpus,
            gpus=self._gpus,
            ledger=self._ledger,
        )
        host = _Host(launched.link, launched.capacity, launched.child)
        if self._carrier is not None:
            host.equip(self._carrier)
        return host
