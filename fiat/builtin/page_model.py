"""What a report page is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fiat.run.model import Metric, Run


@dataclass(frozen=True)
class RunPage:
    """Everything the page of a run can show; what is left out has no section.

    Attributes:
        run: with its steps, metrics, gates and composed spec.
        inputs: step to the steps that it reads, for the graph.
        curves: (step, metric) with a place on the x axis, in the order they were made.
        finals: step to its metrics without such a place.
        usage: step to what its work used, as `StepResult.resources` has it; of a reused step when it was made.
        studies: step that searched to what it found: `best` (`params`, `value`, `trial`) and `trials`, a list of `number`,
            `params`, `state`, `value`, `seconds`, `curve`.
        plots: `plots.json` of the evaluation: `confusion`, `roc`, `precision_recall`, `calibration`, `scores`, `residuals`.
        evaluation: `evaluation.json`: `task`, `split`, `n_rows`, `scores`, `parity`, `model_size_bytes`.
        baseline: which model the run was compared with, such as `run 2026..., released from branch main`.
        baseline_metrics: that model's metrics on the same rows; None when there is none.
        data: data step to its facts: `rows` by split, `columns`, `class_rows` by split, `source_digest`, `format`, ...;
            check step to its `anomalies` and `n_anomalies`.
        manifest: `manifest.json` of the package, its `files` with sizes and digests.
        signature: `signature.json` of the package.
        logs: step that failed to its last lines of output.
        warnings: what steps warned about.
        versions: name to version of what the run worked with (python, fiat, packages).
    """

    run: Run
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    curves: tuple[tuple[str, Metric], ...] = ()
    finals: Mapping[str, tuple[Metric, ...]] = field(default_factory=dict)
    usage: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    studies: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    plots: Mapping[str, object] = field(default_factory=dict)
    evaluation: Mapping[str, object] = field(default_factory=dict)
    baseline: str = ""
    baseline_metrics: tuple[Metric, ...] | None = None
    data: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    manifest: Mapping[str, object] = field(default_factory=dict)
    signature: Mapping[str, object] = field(default_factory=dict)
    logs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
