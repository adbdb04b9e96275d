"""Gather what the page of a run shows, from the run, its results and its artifacts."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from fiat.builtin.page_model import RunPage
from fiat.builtin.page_run import render_run
from fiat.errors import FiatError
from fiat.plan.build import Outside, build_plan
from fiat.run.model import Metric, Result, Run, StepResult
from fiat.spec.model import Spec
from fiat.store.store import Store
from fiat.wiring.shelf import Shelf
from fiat.wiring.trained import results_of, trained_of
from fiat.wiring.views import step_logs

LOG_LINES = 40
_SHOWN_PACKAGES = (
    "torch",
    "scikit-learn",
    "xgboost",
    "lightgbm",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "skl2onnx",
)


def run_page(shelf: Shelf, run: Run) -> str:
    """The HTML page of a run; what is gone from the store is left out."""
    return gather_page(shelf.store, shelf.state_dir, run)


def gather_page(store: Store, state_dir: Path, run: Run) -> str:
    """The same from a store and the folder with the logs."""
    return render_run(gather(store, state_dir, run))


def gather(store: Store, state_dir: Path, run: Run) -> RunPage:
    """Everything that is known of a run: from its record, its results and its artifacts.

    Args:
        store: that remembers it.
        state_dir: folder with the logs.
        run: the record.
    """
    results = results_of(store, run)
    trained = trained_of(store, state_dir, run, results)
    steps = {step.name: step for step in run.steps}
    baseline = steps.get("evaluate.baseline")
    return RunPage(
        run=run,
        inputs=_edges(run),
        curves=trained.curves,
        finals=trained.finals,
        usage=trained.usage,
        studies=trained.studies,
        plots=_read(store, steps.get("evaluate"), "evaluation", "plots.json"),
        evaluation=_read(store, steps.get("evaluate"), "evaluation", "evaluation.json"),
        baseline=_baseline(store, baseline, results.get("evaluate.baseline")),
        baseline_metrics=_finals(results.get("evaluate.baseline")),
        data={name: result.facts for name, result in results.items() if name.startswith(("data.", "check."))},
        manifest=_read(store, steps.get("package"), "package", "manifest.json"),
        signature=_read(store, steps.get("package"), "package", "signature.json"),
        logs=_failed_logs(store, state_dir, run),
        warnings=tuple(text for result in results.values() for text in result.warnings),
        versions=_versions(results),
    )


def _edges(run: Run) -> Mapping[str, tuple[str, ...]]:
    """Step to the steps that it reads, from the plan of the recorded spec."""
    try:
        plan = build_plan(Spec.model_validate(run.config), Outside())
    except (FiatError, ValueError):
        return {}
    names = {step.name for step in plan.steps}
    return {
        step.name: tuple(dict.fromkeys(ref.step for ref in step.inputs.values() if ref.step in names))
        for step in plan.steps
    }


def _baseline(store: Store, step: StepResult | None, result: Result | None) -> str:
    """Which released model the run was compared with, or why with none."""
    if result is None:
        return step.reason if step is not None and step.state == "skipped" else ""
    inputs = result.parts.get("inputs")
    digest = inputs.get("package") if isinstance(inputs, Mapping) else None
    for release in store.releases.newest():
        if release.digest == digest:
            return f"run {release.run}, released from {release.branch or 'no branch'}"
    return "a model released earlier"


def _finals(result: Result | None) -> tuple[Metric, ...] | None:
    if result is None:
        return None
    return tuple(metric for metric in result.metrics if metric.step is None)


def _read(store: Store, step: StepResult | None, output: str, name: str) -> Mapping[str, object]:
    """A JSON document out of a folder that a step made; empty when it is not there."""
    if step is None or output not in step.outputs:
        return {}
    try:
        path = store.artifacts.file_path(step.outputs[output].digest, name)
        document = json.loads(path.read_text("utf-8"))
    except (FiatError, OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _failed_logs(store: Store, state_dir: Path, run: Run) -> Mapping[str, tuple[str, ...]]:
    logs = {}
    for step in run.steps:
        if step.state in ("failed", "cancelled"):
            for name, path in step_logs(store, state_dir, run, step.name).items():
                logs[name] = tuple(path.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
    return logs


def _versions(results: Mapping[str, Result]) -> Mapping[str, str]:
    versions = {"fiat": version("fiat-ml")}
    train = results.get("train")
    if train is not None:
        versions["python"] = str(train.parts.get("python", ""))
        packages = train.parts.get("packages")
        if isinstance(packages, Mapping):
            versions |= {name: str(packages[name]) for name in _SHOWN_PACKAGES if name in packages}
    return versions
