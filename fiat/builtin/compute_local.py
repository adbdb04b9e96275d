"""Compute `local`: jobs on this machine, in processes of its own, without Ray."""

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from fiat.builtin.compute_job import Workbench
from fiat.builtin.compute_machine import check_needs, count_cpus, list_gpus, memory_total_bytes, scrubbed
from fiat.builtin.compute_room import Room, Share
from fiat.builtin.job_cancel import Cancellation
from fiat.ports.compute import Capacity, Job, JobResult, Resources

_CLOSING_S = 8.0


@dataclass
class _Entry:
    """A job on its way."""

    job: Job
    future: Future[JobResult]
    cancellation: Cancellation = field(default_factory=Cancellation)


class LocalCompute:
    """A thread for each running job; the work itself is in supervised processes."""

    def __init__(
        self,
        *,
        cpus: float | None = None,
        gpus: int | Sequence[str] | None = None,
        memory_bytes: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is measured or started before `start`.

        Args:
            cpus: CPU cores to give out; None is what this process may use.
            gpus: ids, or a number of GPUs named from 0; None is what the machine has.
            memory_bytes: memory to give out; None is what the machine has.
            env: our own environment, to find GPUs and to pass its harmless part to trusted steps; None is
                that of this process.
        """
        self._env = dict(os.environ if env is None else env)
        self._asked = (cpus, gpus, memory_bytes)
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._running: dict[str, _Entry] = {}
        self._idle = threading.Condition(self._lock)
        self._room: Room | None = None
        self._bench = Workbench(scrubbed(self._env))
        self._closed = False

    def start(self, needs: Sequence[Resources]) -> Capacity:
        """Measure the machine; see the port."""
        cpus, gpus, memory_bytes = self._asked
        if gpus is None:
            gpus = list_gpus(self._env)
        ids = tuple(str(index) for index in range(gpus)) if isinstance(gpus, int) else tuple(gpus)
        capacity = Capacity(
            cpus=count_cpus() if cpus is None else cpus,
            gpus=float(len(ids)),
            memory_bytes=memory_total_bytes() if memory_bytes is None else memory_bytes,
            name="this machine",
        )
        check_needs(needs, capacity)
        with self._lock:
            if self._room is None:
                self._room = Room(capacity.cpus, ids, capacity.memory_bytes)
        return capacity

    def submit(self, job: Job) -> Future[JobResult]:
        """Queue a job; see the port."""
        future: Future[JobResult] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed or self._room is None:
                future.set_result(JobResult("cancelled", "the compute is closed"))
                return future
            self._waiting.append(_Entry(job, future))
        self._give_out()
        return future

    def cancel(self, job_id: str) -> None:
        """End a job; see the port."""
        with self._lock:
            queued = [entry for entry in self._waiting if entry.job.id == job_id]
            self._waiting = [entry for entry in self._waiting if entry.job.id != job_id]
            running = self._running.get(job_id)
        for entry in queued:
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
            given = self._room.take([entry.job.resources for entry in self._waiting])
            started = [(self._waiting[position], share) for position, share in given]
            positions = {position for position, _ in given}
            self._waiting = [entry for at, entry in enumerate(self._waiting) if at not in positions]
            for entry, _ in started:
                self._running[entry.job.id] = entry
        for entry, share in started:
            threading.Thread(target=self._run, args=(entry, share), name=entry.job.id, daemon=True).start()

    def _run(self, entry: _Entry, share: Share) -> None:
        try:
            result = self._bench.run_job(entry.job, gpus=share.gpus, cancellation=entry.cancellation)
        except Exception as error:
            result = JobResult("lost", f"a bug in Fiat: {type(error).__name__}: {error}")
        with self._idle:
            if self._room is not None:
                self._room.give_back(share)
            del self._running[entry.job.id]
            self._idle.notify_all()
        self._give_out()
        entry.future.set_result(result)
