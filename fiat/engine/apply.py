"""The loop: walk a plan, run what must run as many at a time as the compute allows, remember each result."""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from fiat.engine.collect import Collector
from fiat.engine.decide import Decided, Decider
from fiat.engine.jobs import Bench, Prepared, prepare, resources_of
from fiat.engine.release import Releaser
from fiat.engine.tail import Tails
from fiat.engine.walk import Walk
from fiat.errors import EnvironmentFault, Fenced, FiatError, Interrupted
from fiat.plan.fingerprint import resume_key
from fiat.plan.model import Plan
from fiat.ports.compute import Compute, JobResult
from fiat.ports.report import Reporter
from fiat.run.model import Run, StepResult
from fiat.store.faults import disk_faults
from fiat.store.store import Store

TICK_S = 0.1
CANCEL_GRACE_S = 15.0
WORKER_LOSSES = 3


@dataclass
class Running:
    """A step that runs now."""

    decided: Decided
    prepared: Prepared
    attempt: int
    losses: int
    started_at: datetime


@dataclass
class Apply:
    """Walks one plan once.

    Attributes:
        store: where results and runs are remembered.
        walk: the state of the walk.
        decider: what the walk decides with; asked again when a step ends.
        bench: where jobs work.
        releaser: judges, releases, deploys.
        start_compute: gives a compute; called only when a step must run.
        reporter: hears everything.
        now: the clock, aware UTC.
        stop: asked ten times a second: why the run shall end now, empty to go on.
        again: the run was begun before by a process that is gone; its record is begun anew.
    """

    store: Store
    walk: Walk
    decider: Decider
    bench: Bench
    releaser: Releaser
    start_compute: Callable[[], Compute]
    reporter: Reporter
    now: Callable[[], datetime]
    stop: Callable[[], str] = lambda: ""
    again: bool = False
    _running: dict[Future[JobResult], Running] = field(default_factory=dict)
    _compute: Compute | None = None

    def run(self, run: Run, plan: Plan) -> Run:
        """Walk the plan to its end and record the run.

        Raises:
            SpecError: a source or module is missing, or a step asks for what can't be.
            EnvironmentFault: the compute, the store or the disk is at fault.
            Interrupted: Ctrl-C, or `stop` said so; the run is recorded as interrupted first.
        """
        self.reporter.planned(run, plan)
        self.decider.look_ahead()
        ready = self.walk.advance()
        for step in self.walk.steps():
            if step.state in ("reused", "skipped"):
                self._found(run, step)
        if not ready:
            return self._end(run, recorded=False)
        self.store.runs.add(replace(run, steps=self.walk.steps()), again=self.again)
        try:
            self._start(plan)
            self._loop(run, ready)
        except KeyboardInterrupt:
            self._cancel(run)
            self._interrupted(run, "interrupted by the user")
            raise Interrupted(
                f"run {run.id} was interrupted", hint="run again: finished steps are kept"
            ) from None
        except Fenced:
            raise  # nothing may be written any more: the run belongs to another process
        except FiatError as error:
            self._cancel(run)
            self._interrupted(run, error.message)
            raise
        finally:
            if self._compute is not None:
                self._compute.close()
        ended = self._end(run, recorded=True)
        self._tidy(run)
        return ended

    def _tidy(self, run: Run) -> None:
        """Remove the run's scratch folders, and those of runs whose process was killed."""
        for run_id in (run.id, *(path.name for path in self.store.work.abandoned())):
            self.store.work.remove(run_id)

    def _start(self, plan: Plan) -> None:
        pending = [
            step for step in plan.steps if step.name not in self.walk.settled and step.kind != "deploy"
        ]
        compute = self.start_compute()
        self._compute = compute
        compute.start(tuple(dict.fromkeys(resources_of(step.limits) for step in pending)))

    def _loop(self, run: Run, ready: list[Decided]) -> None:
        tails = Tails()
        while ready or self._running:
            for decided in ready:
                self._submit(run, decided, attempt=1, losses=0, tails=tails)
            done, _ = wait(self._running, timeout=TICK_S, return_when=FIRST_COMPLETED)
            for line in tails.read():
                self.reporter.printed(run, line)
            if reason := self.stop():
                raise Interrupted(reason)
            before = set(self.walk.settled)
            for future in done:
                self._ended(run, self._running[future], future.result(), tails)
                del self._running[future]
            ready = self.walk.advance() if done else []
            for step in self.walk.steps():
                if step.name not in before and step.state in ("reused", "skipped"):
                    self.store.runs.save_step(run.id, step)
                    self._found(run, step)

    def _submit(self, run: Run, decided: Decided, *, attempt: int, losses: int, tails: Tails) -> None:
        assert self._compute is not None  # noqa: S101 - _start ran
        prepared = prepare(self.bench, decided, attempt + losses)
        now = self.now()
        tails.follow(decided.step.name, prepared.job.log_path)
        self._running[self._compute.submit(prepared.job)] = Running(decided, prepared, attempt, losses, now)
        step = decided.step
        reason = "; ".join(decided.reasons)
        running = StepResult(
            step.name,
            step.kind,
            "running",
            reason,
            attempt=attempt,
            fingerprint=decided.fingerprint,
            started_at=now,
        )
        self.store.runs.save_step(run.id, running)
        self.reporter.stepped(run, running)

    def _ended(self, run: Run, running: Running, result: JobResult, tails: Tails) -> None:
        step = running.decided.step
        if result.state == "lost" and running.losses < WORKER_LOSSES:
            again = replace(running, losses=running.losses + 1)
            self._again(run, again, result, tails)
            return
        if result.state in ("failed", "lost") and running.attempt <= step.limits.retries:
            self._again(run, replace(running, attempt=running.attempt + 1), result, tails)
            return
        for line in tails.finish(step.name):
            self.reporter.printed(run, line)
        collector = Collector(self.store, self.decider, self.bench, self.now)
        outcome, made = collector.collect(run, running.decided, running.prepared, result, running.started_at)
        outcome = replace(
            outcome, attempt=running.attempt, started_at=running.started_at, ended_at=self.now()
        )
        if made is None:
            self.store.runs.save_step(run.id, outcome)
        else:
            made = self.store.save_work(
                run.id, outcome, made, metrics=made.metrics, replace=running.decided.replaces
            )
            outcome = replace(outcome, outputs=made.outputs)
            self._forget(running.decided)
        self.walk.settle(outcome, made)
        self.reporter.stepped(run, outcome)

    def _found(self, run: Run, step: StepResult) -> None:
        if step.state == "reused":  # whoever made it may have been killed before they forgot its checkpoints
            self._forget(self.walk.decided[step.name])
        self.reporter.stepped(run, step)

    def _forget(self, decided: Decided) -> None:
        """A result is remembered: nobody goes on from checkpoints of this work any more."""
        if decided.step.limits.checkpoint is not None:
            with suppress(EnvironmentFault):  # a result is not lost for what `gc` removes later
                self.store.resume.forget(resume_key(decided.parts))

    def _again(self, run: Run, running: Running, result: JobResult, tails: Tails) -> None:
        step = running.decided.step
        path = self.bench.log_path(step.name)
        with disk_faults(path), path.open("a", encoding="utf-8") as log:
            log.write(f"--- {result.reason}; trying again\n")
        for line in tails.finish(step.name):  # what this attempt said is not taken for words of the next one
            self.reporter.printed(run, line)
        self._submit(run, running.decided, attempt=running.attempt, losses=running.losses, tails=tails)

    def _cancel(self, run: Run) -> None:
        if self._compute is None:
            return
        for running in self._running.values():
            self._compute.cancel(running.prepared.job.id)
        wait(self._running, timeout=CANCEL_GRACE_S)
        now = self.now()
        for running in self._running.values():
            step = running.decided.step
            outcome = StepResult(
                step.name,
                step.kind,
                "cancelled",
                "the run was stopped",
                seconds=(now - running.started_at).total_seconds(),
                attempt=running.attempt,
                fingerprint=running.decided.fingerprint,
                started_at=running.started_at,
                ended_at=now,
            )
            self.walk.settle(outcome, None)
            self.store.runs.save_step(run.id, outcome)
            self.reporter.stepped(run, outcome)
        self._running.clear()

    def _interrupted(self, run: Run, reason: str) -> None:
        self.store.runs.finish(
            run.id,
            verdict="error",
            reason=reason,
            state="interrupted",
            ended_at=self.now(),
            metrics=(),
            gates=(),
            model_digest="",
        )

    def _end(self, run: Run, *, recorded: bool) -> Run:
        ended = self.releaser.judge(run, self.walk)
        if recorded:
            self.store.runs.finish(
                run.id,
                verdict=ended.verdict or "error",
                reason=ended.reason,
                state=ended.state,
                ended_at=ended.ended_at or self.now(),
                metrics=ended.metrics,
                gates=ended.gates,
                model_digest=ended.model_digest,
            )
            for step in ended.steps:
                if step.kind == "deploy" or step.state == "waiting":
                    self.store.runs.save_step(run.id, step)
        else:
            self.store.runs.add(ended, again=self.again)
        self.reporter.ended(ended)
        return ended
