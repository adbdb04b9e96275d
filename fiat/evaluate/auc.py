"""Intervals of ROC AUC without resampling, from each row's own influence on it.

Source: DeLong, DeLong and Clarke-Pearson 1988, "Comparing the areas under two or more correlated ROC curves"; ranks as
in Sun and Xu 2014, "Fast implementation of DeLong's algorithm". The mean over classes has the mean influence.
"""

import math
from statistics import NormalDist

import numpy as np

from fiat.evaluate.metrics import judged_classes
from fiat.evaluate.rows import Bools, ClassRows, Floats, probabilities


def auc_interval(rows: ClassRows, confidence: float) -> tuple[float, float] | None:
    """The interval of ROC AUC, made on the logit scale so that it stays within 0..1; None when it is undefined."""
    found = _influence(rows)
    if found is None:
        return None
    area, influence = found
    if not 0 < area < 1:
        return area, area
    half = _half(influence, confidence) / (area * (1 - area))
    middle = math.log(area / (1 - area))
    return _logistic(middle - half), _logistic(middle + half)


def auc_drop_interval(
    candidate: ClassRows, baseline: ClassRows, confidence: float
) -> tuple[float, float] | None:
    """The interval of how far the candidate's ROC AUC is below the baseline's on the same rows."""
    mine, theirs = _influence(candidate), _influence(baseline)
    if mine is None or theirs is None:
        return None
    half = _half(theirs[1] - mine[1], confidence)
    return theirs[0] - mine[0] - half, theirs[0] - mine[0] + half


def _half(influence: Floats, confidence: float) -> float:
    error = math.sqrt(float(np.mean(influence**2)) / len(influence))
    return NormalDist().inv_cdf((1 + confidence) / 2) * error


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _influence(rows: ClassRows) -> tuple[float, Floats] | None:
    """The area and each row's influence on it, `(n_rows,)`."""
    scores = probabilities(rows)
    parts = [_class_influence(rows.labels == code, scores[:, code]) for code in judged_classes(rows)]
    if not parts:
        return None
    return float(np.mean([area for area, _ in parts])), np.mean([part for _, part in parts], axis=0)


def _class_influence(truth: Bools, scores: Floats) -> tuple[float, Floats]:
    own, rest = np.sort(scores[truth]), np.sort(scores[~truth])
    wins = np.empty(len(scores))
    wins[truth] = _below(rest, scores[truth]) / len(rest)
    wins[~truth] = 1 - _below(own, scores[~truth]) / len(own)
    area = float(wins[truth].mean())
    share = np.where(truth, len(own), len(rest)) / len(scores)
    return area, (wins - area) / share


def _below(ordered: Floats, values: Floats) -> Floats:
    """How many of `ordered` each value is above, equals counting half."""
    left = np.searchsorted(ordered, values, side="left")
    return np.asarray((left + np.searchsorted(ordered, values, side="right")) / 2, dtype=np.float64)
