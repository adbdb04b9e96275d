"""Compare two models on the same rows: how much worse the candidate is, and whether that is beyond chance."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from fiat.evaluate.auc import auc_drop_interval
from fiat.evaluate.catalog import metric_info
from fiat.evaluate.draws import (
    CHUNK_NUMBERS,
    Interval,
    percentiles,
    random_stream,
    resample_count,
    row_weights,
)
from fiat.evaluate.metrics import metric_value
from fiat.evaluate.ranked import resample_ranked
from fiat.evaluate.resampled import (
    FROM_COUNTS,
    cell_of,
    class_counts,
    from_means,
    row_numbers,
)
from fiat.evaluate.rows import ClassRows, Floats, Rows, ValueRows

EXACT_ROWS = 2000


@dataclass(frozen=True)
class Comparison:
    """A candidate against a baseline, on the same rows.

    Attributes:
        name: the metric.
        candidate: its value for the candidate.
        baseline: its value for the baseline.
        drop: how much worse the candidate is, below 0 when it is better: `baseline - candidate` where higher values
            are better, `candidate - baseline` where lower ones are; NaN when either is.
        low: lower end of the drop's interval, None without one.
        high: upper end.
        significant: the interval does not hold 0.
        p_value: of McNemar's test, for metrics that count right rows; else None.
        n_rows: rows compared.
    """

    name: str
    candidate: float
    baseline: float
    drop: float
    low: float | None
    high: float | None
    significant: bool
    p_value: float | None
    n_rows: int


def compare(name: str, candidate: Rows, baseline: Rows, *, confidence: float, seed: int) -> Comparison:
    """Compare a metric of two models that predicted the same rows.

    Rows are drawn in pairs: what both models find easy cancels out, so that the interval is that of the difference.
    Metrics that count right rows have a paired normal interval, with half a row added to each way of disagreeing so
    that few disagreements don't look certain; ROC AUC has DeLong's; all others a percentile bootstrap of 1,000 paired
    resamples (fewer for large data, see `draws.py`).

    Source: Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions"; McNemar
    1947; Efron 1979.

    Raises:
        ValueError: the rows are not the same ones.
    """
    if type(candidate) is not type(baseline) or not np.array_equal(candidate.labels, baseline.labels):
        raise ValueError("the candidate and the baseline were not measured on the same rows")
    info = metric_info(name)
    sign = 1.0 if info.direction == "higher" else -1.0
    values = metric_value(name, candidate), metric_value(name, baseline)
    drop = sign * (values[1] - values[0])
    p_value = None
    ends: Interval = None
    if math.isfinite(drop) and candidate.n_rows > 1:
        if info.family == "proportion":
            ends, p_value = _paired_proportions(name, candidate, baseline, confidence)
        elif info.family == "auc" and isinstance(candidate, ClassRows) and isinstance(baseline, ClassRows):
            ends = auc_drop_interval(candidate, baseline, confidence)
        elif info.family != "extreme":
            generator = random_stream(seed, "compare", name)
            ends = percentiles(sign * _resampled_drop(name, candidate, baseline, generator), confidence)
    low, high = ends if ends else (None, None)
    beyond = low is not None and high is not None and (low > 0 or high < 0)
    return Comparison(name, *values, drop, low, high, beyond, p_value, candidate.n_rows)


def _paired_proportions(
    name: str, candidate: Rows, baseline: Rows, confidence: float
) -> tuple[tuple[float, float], float]:
    mine, theirs = row_numbers(name, candidate)[:, 0], row_numbers(name, baseline)[:, 0]
    lost = int(np.count_nonzero(theirs > mine))
    won = int(np.count_nonzero(mine > theirs))
    n = len(mine) + 2
    lost_share, won_share = (lost + 0.5) / n, (won + 0.5) / n
    middle = lost_share - won_share
    spread = math.sqrt(max(0.0, lost_share + won_share - middle**2) / n)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * spread
    return (middle - half, middle + half), mcnemar(lost, won)


def mcnemar(lost: int, won: int) -> float:
    """Two-sided p-value of McNemar's test: that two models differ as much by chance.

    Args:
        lost: rows that only the baseline has right.
        won: rows that only the candidate has right.

    Returns:
        Exact up to EXACT_ROWS disagreements, above by the normal approximation with continuity correction.
    """
    n = lost + won
    if n == 0:
        return 1.0
    if n > EXACT_ROWS:
        z = (abs(lost - won) - 1) / math.sqrt(n)
        return math.erfc(max(0.0, z) / math.sqrt(2))
    tail = sum(math.comb(n, k) for k in range(min(lost, won) + 1))
    return min(1.0, 2 * tail / (1 << n))


def _resampled_drop(name: str, candidate: Rows, baseline: Rows, generator: np.random.Generator) -> Floats:
    """Baseline minus candidate on paired resamples, `(b,)`."""
    family = metric_info(name).family
    if family == "counts" and isinstance(candidate, ClassRows) and isinstance(baseline, ClassRows):
        return _drop_by_cells(name, candidate, baseline, generator)
    n = candidate.n_rows
    if family == "mean":
        mine, theirs = row_numbers(name, candidate), row_numbers(name, baseline)
        both = np.concatenate([mine, theirs], axis=1)
        weights = row_weights(n, resample_count(n), generator)
        means = np.concatenate([piece @ both for piece in weights]) / n
        return from_means(name, means[:, mine.shape[1] :]) - from_means(name, means[:, : mine.shape[1]])
    mine, theirs = resample_ranked(name, [candidate, baseline], generator)
    return np.asarray(theirs - mine, dtype=np.float64)


def _drop_by_cells(
    name: str, candidate: ClassRows, baseline: ClassRows, generator: np.random.Generator
) -> Floats:
    """Draw how often each triple of truth, candidate's and baseline's class occurs: all that these metrics depend on."""
    n_classes = len(candidate.classes)
    mine, theirs = cell_of(candidate), cell_of(baseline)
    width = n_classes * (n_classes + 1)
    pairs, times = np.unique(mine * width + theirs, return_counts=True)
    my_cells, their_cells = np.divmod(pairs, width)
    n_resamples = resample_count(max(len(pairs), n_classes))
    step = max(1, CHUNK_NUMBERS // max(len(pairs), n_classes))
    pieces = []
    for start in range(0, n_resamples, step):
        b = min(step, n_resamples - start)
        drawn = generator.multinomial(len(mine), times / len(mine), size=b).astype(np.float64)
        score = FROM_COUNTS[name]
        pieces.append(
            score(class_counts(drawn, their_cells, n_classes))
            - score(class_counts(drawn, my_cells, n_classes))
        )
    return np.concatenate(pieces)


def same_rows(candidate: Rows, baseline: Rows) -> tuple[Rows, Rows] | None:
    """Both models' rows with their classes numbered alike, or None when their true labels differ.

    Models may know different classes: the union of both stands, and a class that a model lacks has score 0.
    """
    if isinstance(candidate, ValueRows) or isinstance(baseline, ValueRows):
        alike = isinstance(candidate, ValueRows) and isinstance(baseline, ValueRows)
        return (candidate, baseline) if alike and np.array_equal(candidate.labels, baseline.labels) else None
    classes = tuple(dict.fromkeys([*candidate.classes, *baseline.classes]))
    mine, theirs = renumber(candidate, classes), renumber(baseline, classes)
    return (mine, theirs) if np.array_equal(mine.labels, theirs.labels) else None


def renumber(rows: ClassRows, classes: tuple[object, ...]) -> ClassRows:
    """The same rows with their classes as indexes of `classes`, which has all of theirs."""
    if rows.classes == classes:
        return rows
    place = np.array([classes.index(name) for name in rows.classes] + [-1], dtype=np.int64)
    scores = rows.scores
    if scores is not None:
        wide = np.zeros((len(scores), len(classes)), dtype=scores.dtype)
        wide[:, place[:-1]] = scores
        scores = wide
    return ClassRows(place[rows.labels], place[rows.predicted], scores, classes)
