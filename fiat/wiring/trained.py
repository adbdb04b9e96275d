"""What the trainings and searches of a run left behind: curves, final numbers, what they used, trials."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fiat.builtin.metric_series import MetricSeries
from fiat.errors import FiatError
from fiat.journal import read_metric
from fiat.plan.training import BEST, TRIALS, TUNE
from fiat.run.model import Artifact, Metric, Result, Run, StepResult
from fiat.store.store import Store

LOG_BYTES = 64 << 20
DOCUMENT_BYTES = 256 << 20
_AGAIN = "; trying again"


@dataclass(frozen=True)
class Trained:
    """What is known of the steps that trained; those of a run that goes on are known as far as they are.

    Attributes:
        curves: (step, metric) with a place on the x axis, in the order they were made.
        finals: step to its metrics without such a place.
        usage: step to what its work used; of a reused step when it was made.
        studies: step that searched to its documents `best` and `trials`.
    """

    curves: tuple[tuple[str, Metric], ...] = ()
    finals: Mapping[str, tuple[Metric, ...]] = field(default_factory=dict)
    usage: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    studies: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


def results_of(store: Store, run: Run) -> Mapping[str, Result]:
    """Step to the result of its work, of those that have one."""
    kept = {step.name: step.fingerprint for step in run.steps if step.fingerprint and step.outputs}
    found = store.results.find_many(kept.values())
    return {name: found[fingerprint] for name, fingerprint in kept.items() if fingerprint in found}


def trained_of(
    store: Store, state_dir: Path, run: Run, results: Mapping[str, Result] | None = None
) -> Trained:
    """Gather it; what is gone from the store is left out.

    Args:
        store: that remembers the run.
        state_dir: folder with the logs.
        run: the record.
        results: step to the result of its work, when the caller has them.
    """
    results = results_of(store, run) if results is None else results
    curves: list[tuple[str, Metric]] = []
    finals: dict[str, tuple[Metric, ...]] = {}
    for step in run.steps:
        metrics = _metrics(state_dir, run, step, results.get(step.name))
        curves.extend((step.name, metric) for metric in metrics if metric.step is not None)
        if whole := tuple(metric for metric in metrics if metric.step is None):
            finals[step.name] = whole
    makers: dict[str, Run | None] = {run.id: run}
    usage = {step.name: _usage(store, step, results.get(step.name), makers) for step in run.steps}
    studies = {
        step.name: {name: _document(store, step.outputs[name]) for name in (BEST, TRIALS)}
        for step in run.steps
        if step.name == TUNE and BEST in step.outputs and TRIALS in step.outputs
    }
    return Trained(tuple(curves), finals, {name: used for name, used in usage.items() if used}, studies)


def logged_metrics(path: Path) -> list[Metric]:
    """The metrics in a step's log. Where a later attempt went on, its values stand for those of the one before.

    Args:
        path: the log; of a longer one the last LOG_BYTES count.
    """
    series = MetricSeries()
    known: set[str] = set()
    fresh: set[str] = set()
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            for line in file:
                if line.startswith(b"--- ") and line.rstrip().endswith(_AGAIN.encode()):
                    fresh = set(known)
                metric = read_metric(line.decode("utf-8", "replace")) if line.startswith(b"FIAT_") else None
                if metric is None:
                    continue
                name, _, at = metric
                if name in fresh:
                    fresh.discard(name)
                    series.cut(name, at)
                known.add(name)
                series.add(*metric)
    except OSError:
        return []
    return [Metric(*metric) for metric in series.metrics()]


def _metrics(state_dir: Path, run: Run, step: StepResult, result: Result | None) -> list[Metric]:
    """Those of a step's result; from its log while it has none, and those before the checkpoint that it went on from."""
    path = state_dir / "runs" / run.id / f"{step.name}.log"
    if result is None:
        return logged_metrics(path) if step.state in ("running", "failed", "cancelled") else []
    metrics = list(result.metrics)
    if not step.resources.get("resumed"):
        return metrics
    begins: dict[str, int] = {}
    for metric in metrics:
        if metric.step is not None:
            begins[metric.name] = min(metric.step, begins.get(metric.name, metric.step))
    before = [
        metric
        for metric in logged_metrics(path)
        if metric.step is not None and metric.step < begins.get(metric.name, 0)
    ]
    return [*before, *metrics]


def _usage(
    store: Store, step: StepResult, result: Result | None, makers: dict[str, Run | None]
) -> Mapping[str, object]:
    """What a step used, or the run that made what it reuses; runs that were read are in `makers`."""
    if step.state != "reused" or result is None:
        return step.resources
    if result.run not in makers:
        try:
            makers[result.run] = store.runs.find(result.run)
        except FiatError:
            makers[result.run] = None
    maker = makers[result.run]
    used = next((item.resources for item in (maker.steps if maker else ()) if item.name == result.step), {})
    # Another repository may have made it: numbers of a machine are no secret, what its code said may be one.
    return {name: value for name, value in used.items() if name != "resumed"}


def _document(store: Store, artifact: Artifact) -> object:
    """A JSON document that a step made; None when it is gone or no JSON."""
    if artifact.size_bytes > DOCUMENT_BYTES:
        return None
    try:
        found: object = json.loads(store.artifacts.object_path(artifact.digest).read_text("utf-8"))
    except (FiatError, OSError, ValueError):
        return None
    return found
