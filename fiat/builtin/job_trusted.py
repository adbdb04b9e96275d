"""Run trusted steps in a warm worker: the client's side of `job_worker.py`."""

import json
import os
import select
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from fiat.builtin import job_tree
from fiat.builtin.compute_machine import visible_gpus
from fiat.builtin.job_cancel import Cancellation
from fiat.builtin.job_child import Supervisor
from fiat.builtin.job_death import seconds_text, size_text
from fiat.builtin.job_wire import receive_message, send_message
from fiat.builtin.job_worker import TrustedAnswer, TrustedRequest
from fiat.ports.compute import Job, JobResult

_TICK_S = 0.1
_PROGRAM = "import sys; sys.path[:] = {path}; from fiat.builtin import job_worker; job_worker.main()"


class WarmWorker:
    """One warm worker process; runs one step at a time."""

    def __init__(self, supervisor: Supervisor, env: Mapping[str, str], path: tuple[str, ...]) -> None:
        """Start it.

        Args:
            supervisor: starts and watches the process.
            env: its environment.
            path: its `sys.path`: where Fiat and the plugins are.
        """
        self._link, theirs = socket.socketpair()
        program = _PROGRAM.format(path=json.dumps(path))
        with theirs:
            self._child = supervisor.start(
                {
                    "argv": [sys.executable, "-I", "-c", program],
                    "cwd": "/",
                    "env": {**env, **visible_gpus(())},
                    "log": os.devnull,
                },
                theirs,
            )
        self._pid = 0

    def run(self, job: Job, cancellation: Cancellation, cancel_path: str | None = None) -> JobResult:
        """Run the job's task to its end. After anything but `alive` the worker is of no more use."""
        started = time.monotonic()
        with cancellation.bound(self._child.cancel):
            try:
                return self._run(job, cancellation, cancel_path, started)
            except (EOFError, OSError):
                return self._died(started)

    @property
    def alive(self) -> bool:
        """Whether it can run another step."""
        return self._child.wait(0) is None

    def close(self) -> None:
        """End the process."""
        self._link.close()
        self._child.close()

    def _run(
        self, job: Job, cancellation: Cancellation, cancel_path: str | None, started: float
    ) -> JobResult:
        if cancellation.asked:
            return JobResult("cancelled", "cancelled before it started")
        if not self._pid:
            self._pid = receive_message(self._link)
        assert job.task is not None  # noqa: S101 (run_job checked it)
        send_message(self._link, TrustedRequest(job.task, str(job.log_path)))
        ending, peak_bytes = self._watch(job, cancel_path, started)
        if ending is not None:
            self._child.cancel()
            self._child.wait(10)
            return JobResult(*ending, seconds=time.monotonic() - started, peak_memory_bytes=peak_bytes)
        answer: TrustedAnswer = receive_message(self._link)
        return JobResult(
            "done" if answer.outcome is not None else "failed",
            answer.reason,
            seconds=answer.seconds,
            outcome=answer.outcome,
            metrics=answer.outcome.metrics if answer.outcome else (),
            result={"error": answer.error} if answer.error else {},
            peak_memory_bytes=max(peak_bytes, answer.peak_memory_bytes),
        )

    def _watch(self, job: Job, cancel_path: str | None, started: float) -> tuple[tuple[Any, str] | None, int]:
        """Wait for the answer or for a limit: ((state, reason) to end it with or None, peak memory)."""
        poll = select.poll()
        for fd in (self._link.fileno(), self._child.fileno()):
            poll.register(fd, select.POLLIN)
        owner_fd = -1
        peak_bytes = 0
        limit_bytes = job.resources.memory_bytes
        try:
            if job.owner_pid:
                owner_fd = os.pidfd_open(job.owner_pid)
                poll.register(owner_fd, select.POLLIN)
            while True:
                ready = {fd for fd, _ in poll.poll(_TICK_S * 1000)}
                if owner_fd in ready:
                    return ("cancelled", "the process that owned it has ended"), peak_bytes
                if ready:
                    return None, peak_bytes
                if cancel_path and os.access(cancel_path, os.F_OK):
                    return ("cancelled", "cancelled"), peak_bytes
                if job.timeout_s is not None and time.monotonic() - started > job.timeout_s:
                    return (
                        "failed",
                        f"ran longer than its limit of {seconds_text(job.timeout_s)}",
                    ), peak_bytes
                if limit_bytes is not None:
                    tree = [self._pid, *job_tree.descendants(self._pid)]
                    peak_bytes = max(peak_bytes, job_tree.memory_bytes(tree, limit_bytes))
                    if peak_bytes > limit_bytes:
                        used, limit = size_text(peak_bytes), size_text(limit_bytes)
                        return (
                            "failed",
                            f"used {used} of memory, more than its limit of {limit}",
                        ), peak_bytes
        except ProcessLookupError:
            return ("cancelled", "the process that owned it has ended"), peak_bytes
        finally:
            if owner_fd >= 0:
                os.close(owner_fd)

    def _died(self, started: float) -> JobResult:
        answer = self._child.wait(10) or {"state": "lost", "reason": "its worker does not answer"}
        seconds = time.monotonic() - started
        if answer["state"] == "cancelled":
            return JobResult("cancelled", "cancelled", seconds=seconds)
        reason = answer["reason"] or "ended too early"
        lost = answer["state"] == "lost" or "SIGKILL" in reason
        return JobResult("lost" if lost else "failed", f"the step's worker was {reason}", seconds=seconds)
