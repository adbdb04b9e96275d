"""Measure rows: every metric, on all rows and on every slice, each with its interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fiat.errors import SpecError
from fiat.evaluate.catalog import DEFAULT_METRICS, metric_info
from fiat.evaluate.intervals import interval
from fiat.evaluate.metrics import metric_value
from fiat.evaluate.rows import REST, ClassRows, Rows
from fiat.evaluate.slices import Slice


@dataclass(frozen=True)
class Measured:
    """One number.

    Attributes:
        name: the metric.
        value: the number; NaN where it is undefined.
        slice: such as `label=7`, empty for all rows.
        low: lower end of its interval, None without one.
        high: upper end.
        n_rows: rows it was computed on; on a slice by label, the rows with that label.
    """

    name: str
    value: float
    slice: str = ""
    low: float | None = None
    high: float | None = None
    n_rows: int = 0


def measure(
    rows: Rows, names: Sequence[str], slices: Sequence[Slice], *, confidence: float, seed: int
) -> tuple[Measured, ...]:
    """Every metric on all rows, then on every slice.

    On a slice by label (alone or crossed), precision, recall, F1 (in every averaging), MCC, ROC AUC and average precision
    are that class's own, one against the rest, among the rows that share the slice's other values: among its own rows
    alone precision would always be 1.

    Args:
        rows: the rows to judge.
        names: metrics of the catalog, such as `check_metrics` gives.
        slices: parts of these rows.
        confidence: level of the intervals, between 0 and 1.
        seed: same seed, same intervals.
    """
    found = [_one(name, rows, "", rows.n_rows, confidence, seed) for name in names]
    for part in slices:
        own = rows.take(part.rows)
        rest = _against_rest(rows, part, names)
        for name in names:
            judged = rest if rest is not None and metric_info(name).by_class else own
            found.append(_one(name, judged, part.name, len(part.rows), confidence, seed))
    return tuple(found)


def _against_rest(rows: Rows, part: Slice, names: Sequence[str]) -> ClassRows | None:
    """The slice's class against the rest, where it has one and a metric needs it."""
    if part.own_class is None or not isinstance(rows, ClassRows):
        return None
    if not any(metric_info(name).by_class for name in names):
        return None
    return rows.take(part.context).against_rest(part.own_class)


def _one(name: str, rows: Rows, part: str, n_rows: int, confidence: float, seed: int) -> Measured:
    # A class against the rest is not averaged: its own value counts, as of any positive class.
    single = isinstance(rows, ClassRows) and rows.classes[:1] == (REST,)
    judged = name.removesuffix("_macro").removesuffix("_weighted") if single else name
    value = metric_value(judged, rows)
    if math.isnan(value):
        return Measured(name, value, part, None, None, n_rows)
    ends = interval(judged, rows, confidence=confidence, seed=seed, stream=part)
    low, high = ends if ends else (None, None)
    return Measured(name, value, part, low, high, n_rows)


def check_metrics(names: Sequence[str], rows: Rows) -> tuple[str, ...]:
    """The metrics to compute on rows: those asked for, or the usual ones of the task when none is.

    Raises:
        SpecError: one does not exist, is of the other task, or needs scores that the model doesn't give.
    """
    task = "classification" if isinstance(rows, ClassRows) else "regression"
    scored = not isinstance(rows, ClassRows) or rows.scores is not None
    if not names:
        usual = DEFAULT_METRICS[task]
        return tuple(name for name in usual if scored or not metric_info(name).needs_scores)
    for name in names:
        info = metric_info(name)
        if info.task != task:
            raise SpecError(
                f"{name} is a metric of {info.task}, but the task is {task}",
                hint=f"usual ones are {', '.join(DEFAULT_METRICS[task])}",
            )
        if info.needs_scores and not scored:
            raise SpecError(
                f"{name} needs class scores, but the model gives predicted labels only",
                hint="export a model that also gives probabilities, or leave the metric out",
            )
    return tuple(dict.fromkeys(names))


def undefined_warnings(measured: Sequence[Measured], invalid_rows: int) -> tuple[str, ...]:
    """A sentence for each metric of all rows that is no number, and one for rows without a usable prediction."""
    said = []
    if invalid_rows:
        said.append(f"the model gave no finite prediction for {invalid_rows} rows")
    undefined = [item for item in measured if item.slice == "" and math.isnan(item.value)]
    said += [
        f"{item.name} is undefined on {item.n_rows} rows: {_why(item.name, invalid_rows)}"
        for item in undefined
    ]
    return tuple(said)


def _why(name: str, invalid_rows: int) -> str:
    if invalid_rows:
        return "some predictions are not finite"
    if name in ("roc_auc", "average_precision"):
        return "only one class occurs among the labels"
    if metric_info(name).task == "classification":
        return "no row has the class that it is about"
    return "there are too few rows"
