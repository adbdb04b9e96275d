"""The number of each metric on given rows, by scikit-learn.

Where a number is undefined for the rows at hand (recall without a row of the class, an ROC curve of one class) it is
NaN, never a made-up 0. `resampled.py` computes the same numbers for many resamples at once; a test holds them equal.

Source: scikit-learn user guide, "Metrics and scoring".
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from sklearn import metrics as sk

from fiat.evaluate.catalog import metric_info
from fiat.evaluate.rows import ClassRows, Floats, Ints, Rows, ValueRows, probabilities

TINY = float(np.finfo(np.float32).eps)
"""Smallest probability in a logarithm: the resolution of the models' own numbers, as scikit-learn does for float32."""


def metric_value(name: str, rows: Rows) -> float:
    """A metric of these rows; NaN where it is undefined for them.

    Args:
        name: a metric of the catalog.
        rows: of the metric's task, with scores when it needs them.

    Raises:
        SpecError: there is no such metric.
        ValueError: the rows are of another task, or have no scores and the metric needs them.
    """
    info = metric_info(name)
    if rows.n_rows == 0:
        return math.nan
    if isinstance(rows, ClassRows):
        if info.task != "classification":
            raise ValueError(f"{name} judges numbers, these rows have classes")
        return float(_OF_CLASSES[name](rows))
    if info.task != "regression":
        raise ValueError(f"{name} judges classes, these rows have numbers")
    if rows.invalid_rows:
        return math.nan
    return float(_OF_VALUES[name](rows))


def true_class_rank(rows: ClassRows) -> Ints:
    """Place of the true class among the scores of its row, 0 for the highest, `(n_rows,)`.

    Of equal scores the later class comes first, as in scikit-learn's `top_k_accuracy_score`; where scores are not
    finite it is the number of classes, so that the row is in no top.
    """
    scores = probabilities(rows)
    at = np.arange(rows.n_rows)
    own = scores[at, rows.labels][:, None]
    later = np.arange(scores.shape[1])[None, :] > rows.labels[:, None]
    rank = ((scores > own) | ((scores == own) & later)).sum(axis=1)
    finite = np.isfinite(scores).all(axis=1)
    return np.asarray(np.where(finite, rank, scores.shape[1]), dtype=np.int64)


def judged_classes(rows: ClassRows) -> list[int]:
    """Classes that a curve can be drawn for: the positive one of two, else all; none that has no rows or all of them."""
    sizes = np.bincount(rows.labels, minlength=len(rows.classes))
    codes = [1] if rows.is_binary else range(len(rows.classes))
    return [code for code in codes if 0 < sizes[code] < rows.n_rows]


def row_log_loss(rows: ClassRows) -> Floats:
    """Minus the logarithm of the true class's probability, `(n_rows,)`, probabilities below TINY taken as TINY."""
    own = probabilities(rows)[np.arange(rows.n_rows), rows.labels]
    return np.asarray(-np.log(np.clip(own, TINY, 1.0)), dtype=np.float64)


def row_brier(rows: ClassRows) -> Floats:
    """Squared distance between scores and truth, `(n_rows,)`.

    Of two classes it is that of the positive one, of more the sum over them.

    Source: scikit-learn `brier_score_loss`, `scale_by_half="auto"`.
    """
    scores = probabilities(rows)
    if rows.is_binary:
        return np.asarray((scores[:, 1] - rows.labels) ** 2, dtype=np.float64)
    truth = np.eye(len(rows.classes))[rows.labels]
    return np.asarray(((scores - truth) ** 2).sum(axis=1), dtype=np.float64)


def _accuracy(rows: ClassRows) -> float:
    return float(sk.accuracy_score(rows.labels, rows.predicted))


def _recall_mean(rows: ClassRows) -> float:
    return float(sk.recall_score(rows.labels, rows.predicted, labels=np.unique(rows.labels), average="macro"))


_Scorer = Callable[..., float]


def _by_class(score: _Scorer, average: str, rows: ClassRows) -> float:
    """Precision, recall or F1, averaged over the classes that occur among the labels (`own`: of the positive class)."""
    if average == "own" and not rows.is_binary:
        average = "macro"
    if average == "own":
        return float(score(rows.labels == 1, rows.predicted == 1, zero_division=_empty(score, rows)))
    seen = np.unique(rows.labels)
    return float(score(rows.labels, rows.predicted, labels=seen, average=average, zero_division=0))


def _empty(score: _Scorer, rows: ClassRows) -> float:
    """What 0/0 is: undefined without a row of the class; 0 for precision when the class was never predicted."""
    return 0.0 if score is sk.precision_score and bool((rows.labels == 1).any()) else math.nan


def _mcc(rows: ClassRows) -> float:
    return float(sk.matthews_corrcoef(rows.labels, rows.predicted))


def _top(k: int, rows: ClassRows) -> float:
    return float(np.mean(true_class_rank(rows) < k))


_Curve = Callable[[Ints, Floats], float]


def _over_classes(score: _Curve, rows: ClassRows) -> float:
    """Of the positive class when there are two, else the mean over the classes that can be judged, one against the rest."""
    scores = probabilities(rows)
    if not np.isfinite(scores).all():
        return math.nan
    values = [score((rows.labels == code).astype(np.int64), scores[:, code]) for code in judged_classes(rows)]
    return float(np.mean(values)) if values else math.nan


def _r2(rows: ValueRows) -> float:
    return float(sk.r2_score(rows.labels, rows.predicted)) if rows.n_rows > 1 else math.nan


def _of(score: _Scorer, rows: ValueRows) -> float:
    return float(score(rows.labels, rows.predicted))


_OF_CLASSES: Mapping[str, Callable[[ClassRows], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _recall_mean,
    "f1_micro": _accuracy,
    "mcc": _mcc,
    "log_loss": lambda rows: float(row_log_loss(rows).mean()),
    "brier": lambda rows: float(row_brier(rows).mean()),
    "roc_auc": partial(_over_classes, sk.roc_auc_score),
    "average_precision": partial(_over_classes, sk.average_precision_score),
    **{f"top_{k}": partial(_top, k) for k in (2, 3, 5, 10)},
    **{
        name + suffix: partial(_by_class, score, average)
        for name, score in (
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
            ("f1", sk.f1_score),
        )
        for suffix, average in (("", "own"), ("_macro", "macro"), ("_weighted", "weighted"))
    },
}

_OF_VALUES: Mapping[str, Callable[[ValueRows], float]] = {
    "mae": partial(_of, sk.mean_absolute_error),
    "mse": partial(_of, sk.mean_squared_error),
    "rmse": partial(_of, sk.root_mean_squared_error),
    "mape": partial(_of, sk.mean_absolute_percentage_error),
    "median_ae": partial(_of, sk.median_absolute_error),
    "max_error": partial(_of, sk.max_error),
    "r2": _r2,
    "explained_variance": partial(_of, sk.explained_variance_score),
}
