"""Confidence intervals: Wilson's for proportions, DeLong's for ROC AUC, percentile bootstrap for all else.

The bootstrap draws whole rows with replacement, 1,000 resamples. Where resamples x rows x classes would be above
WORK_LIMIT (RANK_WORK_LIMIT for metrics that need the rows in order), fewer are drawn, at least FEWEST_RESAMPLES: of so
many rows intervals are narrow anyway. Metrics that only need
counts by class always get all of them: their resamples are one multinomial draw over the pairs of true and predicted
class, which is the same distribution whatever the number of rows.

Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference"; Efron 1979, "Bootstrap
methods: another look at the jackknife".
"""

import zlib
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np

from fiat.evaluate.auc import auc_interval
from fiat.evaluate.catalog import metric_info
from fiat.evaluate.resampled import (
    FROM_COUNTS,
    cell_of,
    class_counts,
    from_means,
    from_weights,
    row_numbers,
)
from fiat.evaluate.rows import ClassRows, Floats, Rows

RESAMPLES = 1000
FEWEST_RESAMPLES = 100
WORK_LIMIT = 20_000_000
RANK_WORK_LIMIT = 8_000_000
CHUNK_NUMBERS = 2_000_000

Interval = tuple[float, float] | None


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


def random_stream(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that depend on the seed and names only, not on what else is drawn or in which order."""
    return np.random.default_rng([seed % 2**32, *(zlib.crc32(name.encode()) for name in names)])


def percentiles(drawn: Floats, confidence: float) -> Interval:
    """The central interval of resampled values, `(b,)`; None when fewer than half of them are numbers."""
    known = drawn[np.isfinite(drawn)]
    if len(known) == 0 or len(known) * 2 < len(drawn):
        return None
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resample_count(n_numbers: int, limit: int = WORK_LIMIT) -> int:
    """How many resamples are drawn when each costs that many numbers."""
    return int(np.clip(limit // max(1, n_numbers), FEWEST_RESAMPLES, RESAMPLES))


def row_weights(n_rows: int, n_resamples: int, generator: np.random.Generator) -> Iterator[Floats]:
    """How often each row is drawn, in pieces of `(b, n_rows)` that together have `n_resamples` rows."""
    step = max(1, CHUNK_NUMBERS // n_rows)
    for start in range(0, n_resamples, step):
        b = min(step, n_resamples - start)
        drawn = generator.integers(0, n_rows, size=(b, n_rows))
        drawn += n_rows * np.arange(b)[:, None]
        yield np.bincount(drawn.ravel(), minlength=b * n_rows).reshape(b, n_rows).astype(np.float64)


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
        n_columns = len(rows.classes) if isinstance(rows, ClassRows) and not rows.is_binary else 1
        weights = row_weights(
            rows.n_rows, resample_count(rows.n_rows * n_columns, RANK_WORK_LIMIT), generator
        )
        return np.concatenate([from_weights(name, rows, piece) for piece in weights])
    numbers = row_numbers(name, rows)
    weights = row_weights(rows.n_rows, resample_count(rows.n_rows), generator)
    means = np.concatenate([piece @ numbers for piece in weights]) / rows.n_rows
    return from_means(name, means)
