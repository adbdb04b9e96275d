"""Confidence intervals: Wilson's for proportions, DeLong's for ROC AUC, percentile bootstrap for all else.

Metrics that only need counts by class get all resamples of however many rows: these are one multinomial draw over the
pairs of true and predicted class. `draws.py` says how many resamples the others get.

Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference"; Efron 1979, "Bootstrap
methods: another look at the jackknife".
"""

from statistics import NormalDist

import numpy as np

from fiat.evaluate.auc import auc_interval
from fiat.evaluate.catalog import metric_info
from fiat.evaluate.draws import (
    CHUNK_NUMBERS,
    Interval,
    percentiles,
    random_stream,
    resample_count,
    row_weights,
)
from fiat.evaluate.ranked import resample_ranked
from fiat.evaluate.resampled import (
    FROM_COUNTS,
    cell_of,
    class_counts,
    from_means,
    row_numbers,
)
from fiat.evaluate.rows import ClassRows, Floats, Rows


def wilson(successes: float, n_rows: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    Args:
        successes: how many rows were right, 0 to n_rows.
        n_rows: how many rows there were, 1 or more.
        confidence: level, between 0 and 1.

    Returns:
        Lower and upper end, both in 0..1.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n_rows
    middle = (share + z * z / (2 * n_rows)) / (1 + z * z / n_rows)
    half = z / (1 + z * z / n_rows) * (share * (1 - share) / n_rows + z * z / (4 * n_rows * n_rows)) ** 0.5
    low = 0.0 if successes <= 0 else max(0.0, middle - half)
    high = 1.0 if successes >= n_rows else min(1.0, middle + half)
    return low, high


def interval(name: str, rows: Rows, *, confidence: float, seed: int, stream: str = "") -> Interval:
    """The confidence interval of a metric on these rows.

    Args:
        name: a metric of the catalog.
        rows: rows that `metric_value` takes.
        confidence: level, between 0 and 1.
        seed: same seed, same interval.
        stream: tells parallel draws apart, such as the slice's name.

    Returns:
        Lower and upper end, or None when there is no interval: fewer than two rows, rows without a usable prediction
        in a metric that needs all of them, a metric of the family `extreme`, or one undefined on most resamples.
    """
    info = metric_info(name)
    if rows.n_rows < 2 or info.family == "extreme":
        return None
    share = _proportion(name, rows)
    if share is not None:
        return wilson(*share, confidence) if share[1] else None
    if info.family == "auc" and isinstance(rows, ClassRows):
        return None if rows.invalid_rows else auc_interval(rows, confidence)
    generator = random_stream(seed, stream, name)
    if info.family == "counts" and isinstance(rows, ClassRows):
        drawn = _resampled_counts(name, rows, generator)
    else:
        if rows.invalid_rows:
            return None
        drawn = _resampled_rows(name, rows, generator)
    return percentiles(drawn, confidence)


def _proportion(name: str, rows: Rows) -> tuple[float, int] | None:
    """Successes and rows of a metric that is a plain proportion of rows here, else None."""
    if not isinstance(rows, ClassRows):
        return None
    if metric_info(name).family == "proportion":
        return float(row_numbers(name, rows).sum()), rows.n_rows
    if not rows.is_binary or name not in ("precision", "recall"):
        return None
    among = rows.labels == 1 if name == "recall" else rows.predicted == 1
    right = (rows.labels == 1) & (rows.predicted == 1)
    return float(np.count_nonzero(right)), int(np.count_nonzero(among))


def _resampled_counts(name: str, rows: ClassRows, generator: np.random.Generator) -> Floats:
    cells, times = np.unique(cell_of(rows), return_counts=True)
    n_classes = len(rows.classes)
    n_resamples = resample_count(max(len(cells), n_classes))
    pieces = []
    step = max(1, CHUNK_NUMBERS // max(len(cells), n_classes))
    for start in range(0, n_resamples, step):
        b = min(step, n_resamples - start)
        drawn = generator.multinomial(rows.n_rows, times / rows.n_rows, size=b).astype(np.float64)
        pieces.append(FROM_COUNTS[name](class_counts(drawn, cells, n_classes)))
    return np.concatenate(pieces)


def _resampled_rows(name: str, rows: Rows, generator: np.random.Generator) -> Floats:
    if metric_info(name).family == "ranks":
        return np.asarray(resample_ranked(name, [rows], generator)[0], dtype=np.float64)
    numbers = row_numbers(name, rows)
    weights = row_weights(rows.n_rows, resample_count(rows.n_rows), generator)
    means = np.concatenate([piece @ numbers for piece in weights]) / rows.n_rows
    return from_means(name, means)
