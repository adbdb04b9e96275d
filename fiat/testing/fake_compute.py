"""A compute without processes of its own: for tests of what stands above the port, fast and without chance."""

import contextlib
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from importlib.metadata import entry_points
from json import loads

from fiat.errors import EnvironmentFault, FiatError
from fiat.journal import read_metric
from fiat.ports.compute import Capacity, Command, Job, JobResult, Resources
from fiat.ports.step import StepContext, StepKind
from fiat.run.model import Metric
from fiat.testing.compute_jobs import NO_GPU


class FakeCompute:
    """Runs each job inside `submit`, to its end, in the order of submission.

    It knows no signals, limits and cancels of running work; `told` stands in for these.

    Attributes:
        ran: ids of the jobs that were submitted, in order.
    """

    def __init__(
        self,
        *,
        told: Mapping[str, Iterable[JobResult]] | None = None,
        steps: Mapping[str, StepKind] | None = None,
        held: Iterable[str] = (),
        capacity: Capacity | None = None,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            told: step name to results that its next attempts end with, without running; then it runs.
            steps: kinds of trusted steps that need no entry point.
            held: names of steps whose jobs stay open until `release`, `cancel` or `close`.
            capacity: what to say of itself; four CPUs and two GPUs when None.
        """
        self.ran: list[str] = []
        self._told = {step: deque(results) for step, results in (told or {}).items()}
        self._steps = dict(steps or {})
        self._held = set(held)
        self._open: dict[str, tuple[Job, Future[JobResult]]] = {}
        self._capacity = capacity or Capacity(4.0, 2.0, 8 << 30, "the fake")

    def start(self, needs: Sequence[Resources]) -> Capacity:
        """Check the needs; see the port."""
        there = self._capacity
        for need in needs:
            for word, wanted, has in (("CPUs", need.cpus, there.cpus), ("GPUs", need.gpus, there.gpus)):
                if wanted > has:
                    raise EnvironmentFault(
                        f"a step asks for {wanted:g} {word} (there are {has:g}) on {there.name}",
                        hint="ask for less",
                    )
        return there

    def submit(self, job: Job) -> Future[JobResult]:
        """Run the job; the future is done already, except for a held step."""
        future: Future[JobResult] = Future()
        future.set_running_or_notify_cancel()
        self.ran.append(job.id)
        if job.step in self._held:
            self._open[job.id] = (job, future)
        else:
            future.set_result(self._run(job))
        return future

    def release(self, step: str) -> None:
        """Run the held jobs of a step now, and its later ones at once."""
        self._held.discard(step)
        for job, future in [entry for entry in self._open.values() if entry[0].step == step]:
            del self._open[job.id]
            future.set_result(self._run(job))

    def cancel(self, job_id: str) -> None:
        """End a held job; see the port."""
        _, future = self._open.pop(job_id, (None, None))
        if future is not None:
            future.set_result(JobResult("cancelled", "cancelled"))

    def close(self) -> None:
        """Cancel what is held; see the port."""
        for job_id in list(self._open):
            self.cancel(job_id)

    def _run(self, job: Job) -> JobResult:
        if self._told.get(job.step):
            return self._told[job.step].popleft()
        started = time.monotonic()
        result = _run_command(job, job.command) if job.command is not None else self._run_task(job, job.task)
        return replace(result, seconds=time.monotonic() - started)

    def _run_task(self, job: Job, context: StepContext | None) -> JobResult:
        if context is None:
            raise ValueError(f"job {job.id} has neither a command nor a task")
        with open(job.log_path, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            return self._call(context)

    def _call(self, context: StepContext) -> JobResult:
        try:
            outcome = self._find(context.kind).run(context)
        except FiatError as error:
            what = {"class": type(error).__name__, "message": error.message, "hint": error.hint}
            what |= {"where": str(error.where or "")}
            return JobResult("failed", str(error), result={"error": {**what, "exit_code": error.exit_code}})
        except Exception as error:
            traceback.print_exc(file=sys.stdout)
            return JobResult("failed", f"a bug: {type(error).__name__}: {error}")
        return JobResult("done", outcome=outcome, metrics=outcome.metrics)

    def _find(self, kind: str) -> StepKind:
        if kind not in self._steps:
            for entry in entry_points(group="fiat.step", name=kind):
                self._steps[kind] = entry.load()()
                break
            else:
                raise EnvironmentFault(f"there is no step plugin {kind!r}", hint="give it in `steps`")
        return self._steps[kind]


def _run_command(job: Job, command: Command) -> JobResult:
    env = {**command.env, **NO_GPU}
    try:
        done = subprocess.run(
            command.argv,
            cwd=command.cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=job.timeout_s,
        )
    except OSError as error:
        return JobResult(
            "failed", f"could not start: program {command.argv[0]!r}: {error.strerror}", exit_code=127
        )
    except subprocess.TimeoutExpired:
        return JobResult("failed", f"ran longer than its limit of {job.timeout_s:g} s")
    text = done.stdout.decode("utf-8", "replace")
    with open(job.log_path, "a", encoding="utf-8") as file:
        file.write(text)
    code = done.returncode
    path = command.result_path
    return JobResult(
        "failed" if code else "done",
        f"exited with code {code}" if code > 0 else f"killed by signal {-code}" if code else "",
        exit_code=code if code >= 0 else None,
        metrics=tuple(Metric(*found) for line in text.splitlines() if (found := read_metric(line))),
        result=loads(path.read_bytes()) if path is not None and path.exists() else {},
    )
