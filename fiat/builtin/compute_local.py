"""Compute `local`: jobs on this machine, in processes of its own, without Ray."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fiat.builtin.compute_job import Workbench
from fiat.builtin.compute_machine import check_needs, count_cpus, memory_total_bytes, scrubbed
from fiat.builtin.compute_room import Room
from fiat.builtin.gpu_device import Driver, NvmlDriver
from fiat.builtin.gpu_ledger import ledger_folder
from fiat.builtin.gpu_place import Grant, Place, pause_s
from fiat.builtin.gpu_pool import GpuPool, make_pool
from fiat.builtin.job_cancel import Cancellation
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Capacity, Job, JobResult, Resources

_CLOSING_S = 8.0
_NEEDS_RAY = (
    "set FIAT_COMPUTE=ray, or `compute: ray` in a runner's settings; one is started when there is none"
)


@dataclass
class _Entry:
    """A job on its way."""

    job: Job
    future: Future[JobResult]
    place: Place | None = None
    grant: Grant | None = None
    fault: EnvironmentFault | None = None
    cancellation: Cancellation = field(default_factory=Cancellation)

    def has_gpus(self, *, could_begin: bool) -> bool | None:
        """Take its GPUs, if it is its turn and all else is there; what goes wrong is told as its end.

        One that has waited for long takes them first, and then waits for the rest: else it might never find both at once.

        Returns:
            Whether it has them; None when it did not ask, since others shall have them meanwhile.
        """
        if self.place is None or self.grant is not None:
            return self.grant is not None
        try:
            if could_begin or self.place.has_waited_long:
                self.grant = self.place.take()
            else:
                self.place.rest()
                return None
        except EnvironmentFault as error:
            self.fault = error
        return self.grant is not None

    def leave(self) -> None:
        """Give its GPUs back, or its place in their queue."""
        if self.place is not None:
            with suppress(EnvironmentFault):  # the end of this process gives them back at the latest
                self.place.leave()


class LocalCompute:
    """A thread for each running job; the work itself is in supervised processes."""

    def __init__(
        self,
        *,
        cpus: float | None = None,
        gpus: int | Sequence[str] | None = None,
        memory_bytes: int | None = None,
        env: Mapping[str, str] | None = None,
        ledger: Path | None = None,
        driver: Driver | None = None,
    ) -> None:
        """Nothing is measured or started before `start`.

        Args:
            cpus: CPU cores to give out; None is what this process may use.
            gpus: ids, or a number of GPUs; None is what the machine has.
            memory_bytes: memory to give out; None is what the machine has.
            env: our own environment, to find GPUs and to pass its harmless part to trusted steps; None is
                that of this process.
            ledger: folder of the ledger of GPUs; None is the one that this user's processes share.
            driver: of the GPUs; None is NVIDIA's.
        """
        self._env = dict(os.environ if env is None else env)
        self._ledger = ledger or ledger_folder(self._env)
        self._driver = driver or NvmlDriver()
        self._pool: GpuPool | None = None
        self._looking = False
        self._asked = (cpus, gpus, memory_bytes)
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._running: dict[str, _Entry] = {}
        self._idle = threading.Condition(self._lock)
        self._room: Room | None = None
        self._bench = Workbench(scrubbed(self._env), self._driver)
        self._closed = False

    def start(self, needs: Sequence[Resources]) -> Capacity:
        """Measure the machine; see the port."""
        cpus, gpus, memory_bytes = self._asked
        pool = self._pool or make_pool(gpus, self._env, self._ledger, self._driver)
        capacity = Capacity(
            cpus=count_cpus() if cpus is None else cpus,
            gpus=float(len(pool.ids)),
            memory_bytes=memory_total_bytes() if memory_bytes is None else memory_bytes,
            name="this machine",
        )
        check_needs(needs, capacity)
        with self._lock:
            if self._room is None:
                self._room, self._pool = Room(capacity.cpus, capacity.memory_bytes), pool
        return capacity

    def submit(self, job: Job) -> Future[JobResult]:
        """Queue a job; see the port."""
        future: Future[JobResult] = Future()
        future.set_running_or_notify_cancel()
        if job.study is not None:
            future.set_result(
                JobResult("failed", "a search runs on Ray, not on compute `local`", mend=_NEEDS_RAY)
            )
            return future
        entry = _Entry(job, future)
        with self._lock:
            if self._closed or self._room is None or self._pool is None:
                future.set_result(JobResult("cancelled", "the compute is closed"))
                return future
            try:
                entry.place = self._pool.enter(job) if job.resources.gpus > 0 else None
            except EnvironmentFault as error:
                future.set_result(_fault_result(error))
                return future
            self._waiting.append(entry)
        self._give_out()
        return future

    def cancel(self, job_id: str) -> None:
        """End a job; see the port."""
        with self._lock:
            queued = [entry for entry in self._waiting if entry.job.id == job_id]
            self._waiting = [entry for entry in self._waiting if entry.job.id != job_id]
            running = self._running.get(job_id)
        for entry in queued:
            entry.leave()
            entry.future.set_result(JobResult("cancelled", "cancelled before it started"))
        if running is not None:
            running.cancellation.ask()
        elif queued:
            self._give_out()

    def close(self) -> None:
        """End what still runs; see the port."""
        with self._lock:
            self._closed = True
            ids = [entry.job.id for entry in self._waiting] + list(self._running)
        for job_id in ids:
            self.cancel(job_id)
        with self._idle:
            self._idle.wait_for(lambda: not self._running, timeout=_CLOSING_S)
        self._bench.close()

    def _give_out(self) -> None:
        """Start whatever fits now."""
        with self._lock:
            if self._room is None:
                return
            queue = list(self._waiting)
            given = self._room.take(
                [entry.job.resources for entry in queue],
                lambda position, could_begin: queue[position].has_gpus(could_begin=could_begin),
            )
            started = [queue[position] for position in given]
            faulty = [(entry, entry.fault) for entry in queue if entry.fault is not None]
            settled = {entry.job.id for entry in (*started, *(entry for entry, _ in faulty))}
            self._waiting = [entry for entry in queue if entry.job.id not in settled]
            for entry in started:
                self._running[entry.job.id] = entry
        for entry in started:
            threading.Thread(target=self._run, args=(entry,), name=entry.job.id, daemon=True).start()
        for entry, fault in faulty:
            entry.leave()
            entry.future.set_result(_fault_result(fault))
        self._look_again()

    def _look_again(self) -> None:
        """Follow the queue of GPUs as long as a job waits there: other processes give back without telling us."""
        with self._lock:
            if self._looking or all(entry.place is None for entry in self._waiting):
                return
            self._looking = True
        threading.Thread(target=self._follow_queue, name="gpus", daemon=True).start()

    def _follow_queue(self) -> None:
        look_s = 0.0
        while True:
            time.sleep(pause_s(look_s))
            with self._lock:
                self._looking = any(entry.place is not None for entry in self._waiting)
                if not self._looking:
                    return
            began_s = time.monotonic()
            self._give_out()
            look_s = time.monotonic() - began_s

    def _run(self, entry: _Entry) -> None:
        ids = () if entry.grant is None else entry.grant.ids
        held = () if entry.place is None else (entry.place.fd,)
        try:
            result = self._bench.run_job(entry.job, gpus=ids, held=held, cancellation=entry.cancellation)
        except Exception as error:
            result = JobResult("lost", f"a bug in Fiat: {type(error).__name__}: {error}")
        entry.leave()
        with self._idle:
            if self._room is not None:
                self._room.give_back(entry.job.resources)
            del self._running[entry.job.id]
            self._idle.notify_all()
        self._give_out()
        entry.future.set_result(result)


def _fault_result(fault: EnvironmentFault) -> JobResult:
    return JobResult("failed", fault.message, mend=fault.hint)
