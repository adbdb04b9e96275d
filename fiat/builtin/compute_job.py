"""Run one job to its end: what every compute does with a job once it has the resources for it."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fiat.builtin.compute_machine import visible_gpus
from fiat.builtin.gang_job import gang_job, gang_result
from fiat.builtin.gpu_device import Driver, NvmlDriver
from fiat.builtin.gpu_meter import GpuMeter, log_teller
from fiat.builtin.job_cancel import Cancellation
from fiat.builtin.job_child import Supervisor
from fiat.builtin.job_trusted import WarmWorker
from fiat.builtin.sandbox_probe import Probe, probe_sandbox
from fiat.builtin.sandbox_python import python_paths
from fiat.builtin.sandbox_view import View, make_view
from fiat.ports.compute import Command, Job, JobResult, Sandbox
from fiat.redaction import Redactor
from fiat.run.model import Metric

RESULT_BYTES = 64 * 1024 * 1024
_UNMADE = "`fiat doctor` tests the sandbox; the step's log has what bubblewrap said"


@dataclass(frozen=True)
class _Given:
    """GPUs of a job: their ids, and the descriptor of its claim to them."""

    ids: tuple[str, ...]
    held: tuple[int, ...]


class Workbench:
    """The warm processes of one worker: a supervisor for user code and idle workers for trusted steps.

    May be used from many threads.
    """

    def __init__(self, env: Mapping[str, str], driver: Driver | None = None) -> None:
        """Nothing is started before the first job.

        Args:
            env: environment of the warm workers; user code never sees it.
            driver: of the GPUs, for what jobs use of them; None is NVIDIA's.
        """
        self._env = dict(env)
        self._driver = driver or NvmlDriver()
        self._supervisor = Supervisor()
        self._idle: list[tuple[tuple[str, ...], WarmWorker]] = []
        self._lock = threading.Lock()
        self._probe: Probe | None = None
        self._python: tuple[Path, ...] = ()

    def run_job(
        self,
        job: Job,
        *,
        gpus: Sequence[str] = (),
        held: Sequence[int] = (),
        cancellation: Cancellation | None = None,
        cancel_path: Path | None = None,
        import_path: Sequence[str] = (),
    ) -> JobResult:
        """Run a job to its end.

        Args:
            job: what to run.
            gpus: ids of the GPUs that it got; user code sees exactly these. Several workers run on this machine, each
                with its part of them.
            held: the descriptor of their claim, see `Supervisor.start`.
            cancellation: a wish to end it from another thread.
            cancel_path: a file that means the same once it exists.
            import_path: `sys.path` for a trusted step; empty is ours.
        """
        cancellation = cancellation or Cancellation()
        path = None if cancel_path is None else str(cancel_path)
        if cancellation.asked or (path and os.access(path, os.F_OK)):
            return JobResult("cancelled", "cancelled before it started")
        given = _Given(tuple(gpus), tuple(held))
        if job.command is not None and job.resources.workers > 1:
            whole, command = gang_job(job, job.command)
            return gang_result(self._run_command(whole, command, given, cancellation, path), job)
        if job.command is not None:
            return self._run_command(job, job.command, given, cancellation, path)
        folders = tuple(str(Path(part).absolute()) for part in import_path or sys.path)
        return self._run_task(job, cancellation, path, folders)

    def close(self) -> None:
        """End the warm processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, worker in idle:
            worker.close()
        self._supervisor.close()

    def _run_command(
        self, job: Job, command: Command, given: _Given, cancellation: Cancellation, path: str | None
    ) -> JobResult:
        request: dict[str, Any] = {
            "argv": list(command.argv),
            "cwd": str(command.cwd),
            "env": {**command.env, **visible_gpus(given.ids)},
            "log": str(job.log_path),
            "timeout_s": job.timeout_s,
            "memory_bytes": job.resources.memory_bytes,
            "owner_pid": job.owner_pid,
            "cancel_path": path,
            "secrets": list(command.secrets),
            "stop_on_nan": job.stop_on_nan,
        }
        sandbox = command.sandbox
        if sandbox is None:
            return self._supervise(request, command, given, cancellation)
        request["limits"] = _limits(sandbox)
        request["notes"] = list(sandbox.notes)
        if sandbox.kind == "none":
            return self._supervise(request, command, given, cancellation)
        probe = self._probed()
        if not probe.ok:
            return JobResult("failed", f"no sandbox can be made: {probe.found}", mend=probe.mend)
        try:
            view = self._view(job, sandbox, command.env, given.ids)
        except (OSError, subprocess.SubprocessError) as error:
            return JobResult("failed", f"its sandbox could not be laid out: {error}", mend=_UNMADE)
        try:
            request["box"] = {"program": probe.program, "options": list(view.options)}
            return self._supervise(request, command, given, cancellation)
        finally:
            view.close()

    def _supervise(
        self, request: Mapping[str, Any], command: Command, given: _Given, cancellation: Cancellation
    ) -> JobResult:
        child = self._supervisor.start(request, held=given.held)
        try:
            tell = log_teller(Path(request["log"]))
            with GpuMeter(self._driver, given.ids, tell=tell) as meter, cancellation.bound(child.cancel):
                answer = child.wait() or {}
        finally:
            child.close()
        return replace(_command_result(answer, command, given.ids), usage=meter.usage())

    def _probed(self) -> Probe:
        """Whether sandboxes can be made here; asked once when they can, and each time as long as they can't."""
        with self._lock:
            if self._probe is None or not self._probe.ok:
                self._probe = probe_sandbox(self._env)
            return self._probe

    def _view(self, job: Job, sandbox: Sandbox, env: Mapping[str, str], gpus: tuple[str, ...]) -> View:
        limits = (sandbox.memory_bytes, job.resources.memory_bytes)
        with self._lock:
            self._python = self._python or python_paths()
        return make_view(
            sandbox,
            work_dir=job.work_dir,
            env=env,
            gpus=gpus,
            python=self._python,
            memory_bytes=min((limit for limit in limits if limit is not None), default=None),
        )

    def _run_task(
        self, job: Job, cancellation: Cancellation, path: str | None, folders: tuple[str, ...]
    ) -> JobResult:
        worker = self._idle_worker(folders) or WarmWorker(self._supervisor, self._env, folders)
        result = worker.run(job, cancellation, path)
        if worker.alive and not cancellation.asked:
            with self._lock:
                self._idle.append((folders, worker))
        else:
            worker.close()
        return result

    def _idle_worker(self, folders: tuple[str, ...]) -> WarmWorker | None:
        """A living idle worker that finds modules in these folders, or None."""
        with self._lock:
            fitting = [entry for entry in self._idle if entry[0] == folders]
            self._idle = [entry for entry in self._idle if entry[0] != folders]
            alive = [entry for entry in fitting if entry[1].alive]
            for entry in fitting:
                if entry not in alive:
                    entry[1].close()
            if not alive:
                return None
            self._idle.extend(alive[1:])
        return alive[0][1]


def _limits(sandbox: Sandbox) -> dict[str, object]:
    """For the runner of the job: see `sandbox_limits.Usage`."""
    return {
        "processes": sandbox.processes,
        "memory_bytes": sandbox.memory_bytes,
        "disk_bytes": sandbox.disk_bytes,
        "file_bytes": sandbox.file_bytes,
        "log_bytes": sandbox.log_bytes,
        "folders": [str(path) for path in sandbox.writable],
    }


def _command_result(answer: Mapping[str, Any], command: Command, gpus: tuple[str, ...]) -> JobResult:
    state, reason = answer["state"], answer["reason"]
    redactor = Redactor(command.secrets)
    result: Mapping[str, object] = {}
    try:
        result = {redactor.text(key): redactor.values(item) for key, item in _read_result(command).items()}
        if answer.get("lost_loss"):  # what it made of that itself does not say the step
            result = {key: item for key, item in result.items() if key != "error"}
    except (OSError, ValueError) as error:
        if state == "done":
            state, reason = "failed", f"its result file can't be read: {error}"
    return JobResult(
        state,
        redactor.text(reason),
        seconds=answer.get("seconds", 0.0),
        exit_code=answer.get("exit_code"),
        metrics=tuple(Metric(name, value, step) for name, value, step in answer.get("metrics", ())),
        result=result,
        peak_memory_bytes=answer.get("peak_memory_bytes", 0),
        gpus=gpus,
        resumed=str(result.get("resumed") or ""),
        mend=_UNMADE if answer.get("unmade") and "execvp" not in reason else "",
    )


def _read_result(command: Command) -> Mapping[str, object]:
    """The JSON object that the child wrote; {} when it wrote none.

    Raises:
        OSError: it is a link, or can't be read.
        ValueError: it is too large, no plain file, or no JSON object.
    """
    path = command.result_path
    if path is None:
        return {}
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    with open(fd, "rb") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_size > RESULT_BYTES:
            raise ValueError("no plain file of at most 64 MiB")
        result = json.loads(file.read())
    if not isinstance(result, dict):
        raise ValueError("no JSON object")
    return result
