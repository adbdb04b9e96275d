"""Data of the plots in the report, as JSON values; drawing is the report's work."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn import metrics as sk

from fiat.errors import SpecError
from fiat.evaluate.catalog import DEFAULT_PLOTS
from fiat.evaluate.rows import NO_CLASS, Bools, ClassRows, Floats, Ints, Rows, ValueRows, probabilities
from fiat.evaluate.slices import show_value

MOST_POINTS = 200
N_BINS = 10
MOST_CURVES = 20
MOST_RESIDUALS = 1000

Json = dict[str, object]


def plot_data(rows: Rows, names: Sequence[str], *, seed: int) -> Json:
    """The data of each plot by name; the usual ones of the task when none is asked for.

    Plots that this model can't have (a ROC curve without scores) are left out when nobody asked for them by name.

    Args:
        rows: the judged rows, one or more.
        names: some of `confusion`, `roc`, `precision_recall`, `calibration`, `scores`, `residuals`.
        seed: chooses the rows of the residual scatter.

    Raises:
        SpecError: a plot is of the other task, or needs scores that the model doesn't give.
    """
    if isinstance(rows, ValueRows):
        makers: Mapping[str, Callable[[], Json]] = {"residuals": lambda: residuals(rows, seed=seed)}
        task = "regression"
    else:
        makers, task = _of_classes(rows), "classification"
    for name in names:
        if name not in makers:
            raise SpecError(
                f"there is no {name} plot for this {task}",
                hint="it can have " + ", ".join(makers),
            )
    return {name: makers[name]() for name in names or DEFAULT_PLOTS[task] if name in makers}


def _of_classes(rows: ClassRows) -> Mapping[str, Callable[[], Json]]:
    makers: dict[str, Callable[[], Json]] = {"confusion": lambda: confusion(rows)}
    if rows.scores is not None:
        finite = np.flatnonzero(np.isfinite(rows.scores).all(axis=1))
        scored = rows.take(finite)
        makers |= {
            "roc": lambda: roc(scored),
            "precision_recall": lambda: precision_recall(scored),
            "calibration": lambda: calibration(scored),
            "scores": lambda: score_histogram(scored),
        }
    return makers


def confusion(rows: ClassRows) -> Json:
    """Counts by true class (rows) and predicted class (columns): `labels`, `counts`, and `unpredicted` rows."""
    k = len(rows.classes)
    valid = rows.predicted != NO_CLASS
    flat = np.bincount(rows.labels[valid] * k + rows.predicted[valid], minlength=k * k)
    return {
        "labels": [show_value(name) for name in rows.classes],
        "counts": flat.reshape(k, k).tolist(),
        "unpredicted": rows.invalid_rows,
    }


def roc(rows: ClassRows) -> Json:
    """ROC `curves`: `label`, `fpr` and `tpr` (at most MOST_POINTS each), `auc`; of the largest MOST_CURVES classes."""
    curves = []
    for code, truth, scores in _judged_classes(rows):
        fpr, tpr, _ = sk.roc_curve(truth, scores)
        keep = _thin(len(fpr))
        curves.append(
            {
                "label": show_value(rows.classes[code]),
                "fpr": _round(fpr[keep]),
                "tpr": _round(tpr[keep]),
                "auc": float(sk.auc(fpr, tpr)),
            }
        )
    return {"curves": curves}


def precision_recall(rows: ClassRows) -> Json:
    """Precision-recall `curves`: `label`, `recall`, `precision`, `average_precision`; recall ascends."""
    curves = []
    for code, truth, scores in _judged_classes(rows):
        precision, recall, _ = sk.precision_recall_curve(truth, scores, drop_intermediate=True)
        keep = _thin(len(recall))[::-1]
        curves.append(
            {
                "label": show_value(rows.classes[code]),
                "recall": _round(recall[keep]),
                "precision": _round(precision[keep]),
                "average_precision": float(sk.average_precision_score(truth, scores)),
            }
        )
    return {"curves": curves}


def _judged_classes(rows: ClassRows) -> list[tuple[int, Bools, Floats]]:
    """The positive class of two, else each class that has rows and is not all of them, the largest first."""
    if rows.n_rows == 0:
        return []
    scores = probabilities(rows)
    sizes = np.bincount(rows.labels, minlength=len(rows.classes))
    codes = [1] if rows.is_binary else np.argsort(-sizes, kind="stable")[:MOST_CURVES].tolist()
    return [
        (code, rows.labels == code, scores[:, code])
        for code in sorted(codes)
        if 0 < sizes[code] < rows.n_rows
    ]


def calibration(rows: ClassRows) -> Json:
    """Reliability: `bins` of equal width with `low`, `high`, `n_rows`, mean `confidence` and share `right`; and `ece`.

    Of two classes the positive one's score is taken and how often it is true; of more, the highest score and how often
    that class is right.

    Source: Guo et al. 2017, "On calibration of modern neural networks" (expected calibration error).
    """
    scores = probabilities(rows)
    if rows.is_binary:
        confidence, right = scores[:, 1], rows.labels == 1
    else:
        best = scores.argmax(axis=1) if rows.n_rows else np.zeros(0, dtype=np.int64)
        confidence, right = scores.max(axis=1, initial=0.0), best == rows.labels
    place = np.clip((confidence * N_BINS).astype(np.int64), 0, N_BINS - 1)
    size = np.bincount(place, minlength=N_BINS)
    said = np.bincount(place, weights=confidence, minlength=N_BINS) / np.maximum(size, 1)
    was = np.bincount(place, weights=right, minlength=N_BINS) / np.maximum(size, 1)
    bins = [
        {
            "low": number / N_BINS,
            "high": (number + 1) / N_BINS,
            "n_rows": int(size[number]),
            "confidence": float(said[number]) if size[number] else None,
            "right": float(was[number]) if size[number] else None,
        }
        for number in range(N_BINS)
    ]
    return {"bins": bins, "ece": float((size * np.abs(said - was)).sum() / max(1, rows.n_rows))}


def score_histogram(rows: ClassRows) -> Json:
    """How scores spread: `edges` (21) and `counts` by group.

    Of two classes it is the positive one's score by truth, of more the highest score by whether it is right.
    """
    edges = np.linspace(0, 1, 21)
    scores = probabilities(rows)
    own = scores[:, 1] if rows.is_binary else scores.max(axis=1, initial=0.0)
    true = rows.labels == 1 if rows.is_binary else rows.labels == rows.predicted
    names = ("positive", "negative") if rows.is_binary else ("right", "wrong")
    counts = {
        name: np.histogram(own[group], bins=edges)[0].tolist()
        for name, group in zip(names, (true, ~true), strict=True)
    }
    return {"edges": _round(edges), "counts": counts}


def residuals(rows: ValueRows, *, seed: int) -> Json:
    """Residuals (label minus prediction): `points` of [prediction, residual] and a `histogram` of `edges` and `counts`.

    The points are at most MOST_RESIDUALS rows, chosen by the seed; the histogram has all.
    """
    finite = np.flatnonzero(np.isfinite(rows.predicted))
    predicted = rows.predicted[finite]
    gaps = rows.labels[finite] - predicted
    chosen = np.arange(len(gaps))
    if len(gaps) > MOST_RESIDUALS:
        chosen = np.sort(np.random.default_rng(seed % 2**32).choice(len(gaps), MOST_RESIDUALS, replace=False))
    counts, edges = np.histogram(gaps, bins=30)
    return {
        "points": [[float(x), float(y)] for x, y in zip(predicted[chosen], gaps[chosen], strict=True)],
        "histogram": {"edges": [float(edge) for edge in edges], "counts": counts.tolist()},
    }


def _thin(n_points: int) -> Ints:
    """At most MOST_POINTS positions spread evenly, with both ends."""
    if n_points <= MOST_POINTS:
        return np.arange(n_points)
    return np.unique(np.round(np.linspace(0, n_points - 1, MOST_POINTS)).astype(np.int64))


def _round(numbers: Floats) -> list[float]:
    return [round(float(number), 6) for number in numbers]
