"""Metrics of many resamples of the rows at once, without a loop over resamples.

Three families, by what a resample is described with: how often each pair of true and predicted class was drawn
(`from_cells`), means of per-row numbers (`from_means`), or how often each row was drawn (`from_weights`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from fiat.evaluate.metrics import judged_classes, row_brier, row_log_loss, true_class_rank
from fiat.evaluate.rows import NO_CLASS, Bools, ClassRows, Floats, Ints, Rows, ValueRows, probabilities


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Drawn rows by class, for `b` resamples.

    Attributes:
        right: rows of each class that were predicted as it, `(b, n_classes)`.
        true: rows of each class, `(b, n_classes)`.
        predicted: rows predicted as each class, and last those without a prediction, `(b, n_classes + 1)`.
    """

    right: Floats
    true: Floats
    predicted: Floats


def cell_of(rows: ClassRows) -> Ints:
    """Number of each row's pair of true and predicted class, `(n_rows,)`: `true * (n_classes + 1) + predicted`."""
    width = len(rows.classes) + 1
    predicted = np.where(rows.predicted == NO_CLASS, width - 1, rows.predicted)
    return np.asarray(rows.labels * width + predicted, dtype=np.int64)


def class_counts(drawn: Floats, cells: Ints, n_classes: int) -> ClassCounts:
    """Sum drawn rows by class.

    Args:
        drawn: how often each cell was drawn, `(b, n_cells)`.
        cells: the number of each cell, as `cell_of` gives, `(n_cells,)`.
        n_classes: how many classes there are.
    """
    true, predicted = np.divmod(cells, n_classes + 1)
    right = np.where(true == predicted, true, n_classes)
    return ClassCounts(
        _sum_by(drawn, right, n_classes + 1)[:, :n_classes],
        _sum_by(drawn, true, n_classes),
        _sum_by(drawn, predicted, n_classes + 1),
    )


def _sum_by(drawn: Floats, group: Ints, n_groups: int) -> Floats:
    total = np.zeros((len(drawn), n_groups))
    order = np.argsort(group, kind="stable")
    groups, starts = np.unique(group[order], return_index=True)
    total[:, groups] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return total


def _divide(top: Floats, bottom: Floats) -> Floats:
    ratio = np.full(np.broadcast(top, bottom).shape, np.nan)
    np.divide(top, bottom, out=ratio, where=bottom > 0)
    return ratio


def _own_values(name: str, counts: ClassCounts) -> Floats:
    """Precision, recall or F1 of each class, `(b, n_classes)`; NaN where undefined."""
    predicted = counts.predicted[:, :-1]
    if name == "recall":
        return _divide(counts.right, counts.true)
    if name == "f1":
        return _divide(2 * counts.right, counts.true + predicted)
    never = np.where(counts.true > 0, 0.0, np.nan)
    return np.where(predicted > 0, _divide(counts.right, predicted), never)


def _averaged(name: str, average: str, counts: ClassCounts) -> Floats:
    own = _own_values(name, counts)
    if average == "own" and own.shape[1] == 2:
        return own[:, 1]
    weights = counts.true if average == "weighted" else (counts.true > 0).astype(np.float64)
    return _divide(np.where(weights > 0, own * weights, 0.0).sum(axis=1), weights.sum(axis=1))


def _mcc(counts: ClassCounts) -> Floats:
    n = counts.true.sum(axis=1)
    right = counts.right.sum(axis=1)
    both = (counts.true * counts.predicted[:, :-1]).sum(axis=1)
    spread = (n**2 - (counts.true**2).sum(axis=1)) * (n**2 - (counts.predicted**2).sum(axis=1))
    return np.where(spread > 0, _divide(n * right - both, np.sqrt(np.maximum(spread, 0))), 0.0)


_AVERAGES = {"": "own", "_macro": "macro", "_weighted": "weighted"}

FROM_COUNTS: Mapping[str, Callable[[ClassCounts], Floats]] = {
    "mcc": _mcc,
    "balanced_accuracy": partial(_averaged, "recall", "macro"),
    **{
        name + suffix: partial(_averaged, name, average)
        for name in ("precision", "recall", "f1")
        for suffix, average in _AVERAGES.items()
    },
}
"""Metrics of the family `counts`: class counts of `b` resamples to `(b,)`."""


def row_numbers(name: str, rows: Rows) -> Floats:
    """The per-row numbers that a metric of the family `mean` (or `proportion`) is made of, `(n_rows, n_numbers)`.

    Raises:
        KeyError: the metric is not made of means.
    """
    if isinstance(rows, ClassRows):
        return np.asarray(_CLASS_NUMBERS[name](rows)[:, None], dtype=np.float64)
    numbers: Floats = _VALUE_NUMBERS[name](rows)
    return numbers


def _right(rows: ClassRows) -> Floats:
    return np.asarray(rows.labels == rows.predicted, dtype=np.float64)


def _in_top(k: int, rows: ClassRows) -> Floats:
    return (true_class_rank(rows) < k).astype(np.float64)


_CLASS_NUMBERS: Mapping[str, Callable[[ClassRows], Floats]] = {
    "accuracy": _right,
    "f1_micro": _right,
    "log_loss": row_log_loss,
    "brier": row_brier,
    **{f"top_{k}": partial(_in_top, k) for k in (2, 3, 5, 10)},
}


def _relative(rows: ValueRows) -> Floats:
    scale = np.maximum(np.abs(rows.labels), np.finfo(np.float64).eps)
    return (np.abs(rows.labels - rows.predicted) / scale)[:, None]


def _variances(rows: ValueRows) -> Floats:
    # Centred first: a sum of squares of large labels would lose their spread to rounding.
    label = rows.labels - rows.labels.mean()
    error = rows.labels - rows.predicted
    return np.stack([error**2, error, label**2, label], axis=1)


_VALUE_NUMBERS: Mapping[str, Callable[[ValueRows], Floats]] = {
    "mae": lambda rows: np.abs(rows.labels - rows.predicted)[:, None],
    "mse": lambda rows: ((rows.labels - rows.predicted) ** 2)[:, None],
    "rmse": lambda rows: ((rows.labels - rows.predicted) ** 2)[:, None],
    "mape": _relative,
    "r2": _variances,
    "explained_variance": _variances,
}


def from_means(name: str, means: Floats) -> Floats:
    """The metric of resamples, `(b,)`, from the means of its per-row numbers, `(b, n_numbers)`."""
    if name == "rmse":
        return np.sqrt(means[:, 0])
    if name == "r2":
        return 1 - _divide(means[:, 0], means[:, 2] - means[:, 3] ** 2)
    if name == "explained_variance":
        return 1 - _divide(means[:, 0] - means[:, 1] ** 2, means[:, 2] - means[:, 3] ** 2)
    return means[:, 0]


def from_weights(name: str, rows: Rows, weights: Floats) -> Floats:
    """A metric of the family `ranks` of resamples, `(b,)`, from how often each row was drawn, `(b, n_rows)`."""
    # One row's draws side by side: sorting rows then moves whole lines of memory.
    drawn = np.ascontiguousarray(weights.T)
    if isinstance(rows, ValueRows):
        return _median(np.abs(rows.labels - rows.predicted), drawn)
    scores = probabilities(rows)
    values = [
        _average_precision(rows.labels == code, scores[:, code], drawn) for code in judged_classes(rows)
    ]
    if not values:
        return np.full(len(weights), np.nan)
    table = np.stack(values, axis=1)
    known = np.isfinite(table)
    return _divide(np.where(known, table, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def _median(errors: Floats, drawn: Floats) -> Floats:
    """Weighted median: the mean of the two middle draws, as NumPy's median of the drawn rows."""
    order = np.argsort(errors, kind="stable")
    reached = np.cumsum(drawn[order], axis=0)
    n = reached[-1]
    low = (reached < np.floor((n + 1) / 2)).sum(axis=0)
    high = (reached < np.floor(n / 2) + 1).sum(axis=0)
    ordered = errors[order]
    return np.asarray((ordered[low] + ordered[high]) / 2, dtype=np.float64)


def _average_precision(truth: Bools, scores: Floats, drawn: Floats) -> Floats:
    """Precision at each distinct score, from the highest, weighted by the share of the class that it adds."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(scores[order]) < 0, True])
    own = truth[order]
    everyone = np.cumsum(drawn[order], axis=0)
    found = np.cumsum(drawn[order[own]], axis=0)
    # Rows of the class up to each distinct score; scores that add none of them weigh nothing.
    upto = np.cumsum(own)[ends]
    ends, upto = ends[np.diff(upto, prepend=0) > 0], np.unique(upto[upto > 0])
    at = found[upto - 1]
    precision = _divide(at, everyone[ends])
    gained = np.diff(at, axis=0, prepend=0.0)
    return _divide(np.where(gained > 0, gained * precision, 0.0).sum(axis=0), at[-1])
