"""Take over what a job made: outputs into the store, its result under its fingerprint."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from fiat.engine.decide import ABSENT, Decided, Decider
from fiat.engine.jobs import Bench, Prepared
from fiat.engine.sandbox import digests_of, stray_output
from fiat.errors import EnvironmentFault, FiatError
from fiat.ports.compute import JobResult
from fiat.ports.step import StepOutcome
from fiat.redaction import Redactor
from fiat.run.model import Artifact, Metric, Result, Run, StepResult
from fiat.store.store import Store

_OURS = {"SpecError", "EnvironmentFault", "FiatError", "StepFailure"}
METRICS_LIMIT_BYTES = 4 << 20
RESUMED_CHARS = 200


class Collector:
    """Turns an ended job into a step result and, when it may be reused, a stored result."""

    def __init__(self, store: Store, decider: Decider, bench: Bench, now: Callable[[], datetime]) -> None:
        self._store = store
        self._decider = decider
        self._bench = bench
        self._now = now
        names = {name for step in decider.plan.steps for name in step.secrets}
        self._redactor = Redactor([value for name in sorted(names) if (value := bench.secret(name))])

    def collect(
        self, run: Run, decided: Decided, prepared: Prepared, job: JobResult, started_at: datetime
    ) -> tuple[StepResult, Result | None]:
        """Judge how a job ended that started then.

        Returns:
            The step's result, and what to remember of its work: None unless it made every output from inputs that
            stayed as they were.

        Raises:
            EnvironmentFault: the disk or the store refused, or the machine has no sandbox; that is no failure of the
                step.
        """
        try:
            if job.mend:
                raise EnvironmentFault(job.reason, hint=job.mend)
            if job.state != "done":
                return self._failed(decided, prepared, job, _said(job, self._bench.root)), None
            if decided.step.call and not job.result:
                return self._failed(
                    decided, prepared, job, "ended without saying what it read (os._exit?)"
                ), None
            missing = [name for name, path in prepared.outputs.items() if not path.exists()]
            if missing:
                names = ", ".join(missing)
                return self._failed(
                    decided, prepared, job, f"ended well but did not write its output {names}"
                ), None
            stray = self._stray(decided, prepared)
            if stray:
                return self._failed(
                    decided, prepared, job, f"output {stray} has a link that leads out of it"
                ), None
            observed = self._observed(decided, job)
            edited = self._decider.edited(decided) or self._touched(observed, started_at)
            if edited:
                reason = (
                    f"its inputs were edited while it ran ({edited[0]}): its result is not kept; run again"
                )
                return self._failed(decided, prepared, job, reason), None
            return self._keep(run, decided, prepared, job, observed)
        except EnvironmentFault:
            raise
        except FiatError as error:
            return self._failed(decided, prepared, job, str(error)), None
        finally:
            self._store.work.remove(run.id, decided.step.name, prepared.attempt)

    def _keep(
        self, run: Run, decided: Decided, prepared: Prepared, job: JobResult, observed: dict[str, str]
    ) -> tuple[StepResult, Result]:
        step, outcome, resumed = decided.step, job.outcome, _resumed(job)
        metrics = job.metrics + (outcome.metrics if outcome else ()) + _written(step.params, prepared)
        metrics = tuple(self._masked(metric) for metric in metrics)
        outputs: dict[str, Artifact] = {
            name: self._store.artifacts.put(path) for name, path in prepared.outputs.items()
        }
        result = Result(
            fingerprint=decided.fingerprint,
            step=step.name,
            spec=run.spec,
            run=run.id,
            outputs=outputs,
            parts=decided.parts,
            observed=observed,
            metrics=metrics,
            facts=self._facts(outcome),
            warnings=tuple(map(self._redactor.text, outcome.warnings)) if outcome else (),
            seconds=job.seconds,
            made_at=self._now(),
        )
        kept = StepResult(
            step.name,
            step.kind,
            "ran",
            "; ".join((*decided.reasons, *([resumed] if resumed else ()))),
            seconds=job.seconds,
            fingerprint=decided.fingerprint,
            outputs=outputs,
            resources=_used(decided, job, prepared),
        )
        return kept, result

    def _observed(self, decided: Decided, job: JobResult) -> dict[str, str]:
        seen = job.result.get("observed")
        if not isinstance(seen, Mapping):
            return {}
        observed = self._decider.digest_observed(seen, decided.step)
        return {name: digest for name, digest in observed.items() if self._redactor.text(name) == name}

    def _stray(self, decided: Decided, prepared: Prepared) -> str:
        command = prepared.job.command
        if command is None or command.sandbox is None:
            return ""
        inputs = digests_of(self._store, decided.inputs)
        return stray_output(prepared.outputs, prepared.job.work_dir, inputs)

    def _masked(self, metric: Metric) -> Metric:
        return replace(metric, name=self._redactor.text(metric.name), slice=self._redactor.text(metric.slice))

    def _facts(self, outcome: StepOutcome | None) -> Mapping[str, object]:
        return {key: self._redactor.values(fact) for key, fact in outcome.facts.items()} if outcome else {}

    def _touched(self, observed: Mapping[str, str], started_at: datetime) -> tuple[str, ...]:
        """Undeclared files that the step read and that changed after its start."""
        start = started_at.timestamp()
        for name, digest in observed.items():
            if name.endswith("/") or digest == ABSENT:
                continue
            if (self._bench.root / name).stat().st_mtime >= start:
                return (f"code: {name} changed",)
        return ()

    def _failed(self, decided: Decided, prepared: Prepared, job: JobResult, reason: str) -> StepResult:
        step = decided.step
        return StepResult(
            step.name,
            step.kind,
            "cancelled" if job.state == "cancelled" else "failed",
            self._redactor.text(reason),
            seconds=job.seconds,
            fingerprint=decided.fingerprint,
            resources=_used(decided, job, prepared),
        )


def _said(job: JobResult, root: Path) -> str:
    error = job.result.get("error")
    if isinstance(error, Mapping) and error.get("message") and "class" not in error:  # a child's own words
        place = f" ({_within(str(error['file']), root)}:{error.get('line')})" if error.get("file") else ""
        kind = "" if error.get("type") in _OURS else f"{error.get('type', 'Error')}: "
        return f"{kind}{error['message']}{place}"
    return job.reason or job.state


def _resumed(job: JobResult) -> str:
    """From what it went on; the user's process said it, so it may be anything."""
    line = "".join(char if char.isprintable() else " " for char in job.resumed)
    return line[:RESUMED_CHARS].strip()


def _within(file: str, root: Path) -> str:
    """A path as the repository knows it; where the checkout lies is nobody's business who reads a check."""
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


def _used(decided: Decided, job: JobResult, prepared: Prepared) -> dict[str, object]:
    limits = decided.step.limits
    used: dict[str, object] = {"cpus": limits.cpus, "gpus": limits.gpus}
    if job.peak_memory_bytes:
        used["peak_memory_bytes"] = job.peak_memory_bytes
    if job.gpus:
        used["gpu_ids"] = list(job.gpus)
    if limits.workers > 1:
        used["workers"] = limits.workers
    used.update(job.usage)
    if resumed := _resumed(job):
        used["resumed"] = resumed
    command = prepared.job.command
    if command is not None:
        used["sandbox"] = command.sandbox.kind if command.sandbox else "none"
    return used


def _written(params: Mapping[str, object], prepared: Prepared) -> tuple[Metric, ...]:
    """Metrics of the outputs that the spec declares as metrics: JSON files of name to number."""
    found: list[Metric] = []
    names = params.get("metric_outputs")
    for name in names if isinstance(names, (list, tuple)) else ():
        path = prepared.outputs[str(name)]
        if not path.is_file():
            raise FiatError(f"metrics output {name} is no file")
        if path.stat().st_size > METRICS_LIMIT_BYTES:
            raise FiatError(f"metrics file {name} is larger than {METRICS_LIMIT_BYTES >> 20} MiB")
        try:
            values = json.loads(path.read_text())
            pairs = [(str(key), float(value)) for key, value in values.items()]
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise FiatError(
                f"output {name} is declared as metrics but is no JSON object of name to number"
            ) from None
        found.extend(Metric(key, value if math.isfinite(value) else math.nan) for key, value in pairs)
    return tuple(found)
