"""The one table of metrics: task, direction, and what each needs. Imports nothing heavy, so that anyone may read it."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fiat.errors import SpecError

Task = Literal["classification", "regression"]
Direction = Literal["higher", "lower"]
Family = Literal["proportion", "counts", "mean", "auc", "ranks", "extreme"]


@dataclass(frozen=True)
class MetricInfo:
    """What is known about a metric before any row is seen.

    Attributes:
        name: as in specs, such as `f1_macro`.
        task: kind of prediction it judges.
        direction: which values are better.
        needs_scores: needs class scores, not only predicted labels.
        family: how its interval is made: `proportion` (Wilson), `counts` (from correct, true and predicted rows by
            class), `mean` (from means of per-row numbers), `auc` (DeLong), `ranks` (from the order of rows), `extreme`
            (none: resampling says nothing about a maximum).
        by_class: on a slice of one label it is that class's own, one against the rest.
    """

    name: str
    task: Task
    direction: Direction
    needs_scores: bool
    family: Family
    by_class: bool = False


_Row = tuple[str, Task, Direction, bool, Family, bool]
_ROWS: tuple[_Row, ...] = (
    ("accuracy", "classification", "higher", False, "proportion", False),
    ("balanced_accuracy", "classification", "higher", False, "counts", False),
    ("precision", "classification", "higher", False, "counts", True),
    ("recall", "classification", "higher", False, "counts", True),
    ("f1", "classification", "higher", False, "counts", True),
    ("precision_macro", "classification", "higher", False, "counts", True),
    ("recall_macro", "classification", "higher", False, "counts", True),
    ("f1_macro", "classification", "higher", False, "counts", True),
    ("precision_weighted", "classification", "higher", False, "counts", True),
    ("recall_weighted", "classification", "higher", False, "counts", True),
    ("f1_weighted", "classification", "higher", False, "counts", True),
    ("f1_micro", "classification", "higher", False, "proportion", False),
    ("mcc", "classification", "higher", False, "counts", True),
    ("log_loss", "classification", "lower", True, "mean", False),
    ("brier", "classification", "lower", True, "mean", False),
    ("roc_auc", "classification", "higher", True, "auc", True),
    ("average_precision", "classification", "higher", True, "ranks", True),
    ("top_2", "classification", "higher", True, "proportion", False),
    ("top_3", "classification", "higher", True, "proportion", False),
    ("top_5", "classification", "higher", True, "proportion", False),
    ("top_10", "classification", "higher", True, "proportion", False),
    ("mae", "regression", "lower", False, "mean", False),
    ("mse", "regression", "lower", False, "mean", False),
    ("rmse", "regression", "lower", False, "mean", False),
    ("mape", "regression", "lower", False, "mean", False),
    ("r2", "regression", "higher", False, "mean", False),
    ("explained_variance", "regression", "higher", False, "mean", False),
    ("median_ae", "regression", "lower", False, "ranks", False),
    ("max_error", "regression", "lower", False, "extreme", False),
)

METRICS: Mapping[str, MetricInfo] = {row[0]: MetricInfo(*row) for row in _ROWS}

DEFAULT_METRICS: Mapping[str, tuple[str, ...]] = {
    "classification": ("accuracy", "f1_macro", "log_loss"),
    "regression": ("mae", "rmse", "r2"),
}

DEFAULT_PLOTS: Mapping[str, tuple[str, ...]] = {
    "classification": ("confusion", "roc", "calibration"),
    "regression": ("residuals",),
}


def metric_info(name: str) -> MetricInfo:
    """What is known about a metric.

    Raises:
        SpecError: there is no metric of that name; the hint has the nearest one.
    """
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, n=1)
    hint = f"did you mean {near[0]}?" if near else "known metrics: " + ", ".join(METRICS)
    raise SpecError(f"there is no metric named {name}", hint=hint)


def direction_of(name: str) -> Direction | None:
    """Which values of a metric are better, or None for one that the table doesn't have (a metric that users log)."""
    info = METRICS.get(name)
    return info.direction if info else None
