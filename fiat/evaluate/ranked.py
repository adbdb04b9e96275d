"""Resamples of metrics that need the rows in order: average precision, median error."""

import math
from collections.abc import Sequence

import numpy as np

from fiat.evaluate.draws import resample_count, row_weights
from fiat.evaluate.metrics import metric_value
from fiat.evaluate.resampled import from_weights
from fiat.evaluate.rows import ClassRows, Floats, Rows

RANK_WORK_LIMIT = 8_000_000
MOST_NUMBERS = 100_000
FEWEST_ROWS = 1000


def resample_ranked(name: str, models: Sequence[Rows], generator: np.random.Generator) -> Floats:
    """A metric of the family `ranks` on resamples, the same draws for each model, `(n_models, b)`.

    Above MOST_NUMBERS rows (rows times classes where each class has a curve) the bootstrap runs on that many of them,
    chosen by chance, and its spread is scaled to the real number of rows around the real value.

    Args:
        name: the metric.
        models: predictions of the same rows, one or more models.
        generator: where draws come from.

    Source: Bickel, Goetze and van Zwet 1997, "Resampling fewer than n observations".
    """
    n_rows = models[0].n_rows
    n_columns = max(_columns(rows) for rows in models)
    most = max(FEWEST_ROWS, MOST_NUMBERS // n_columns)
    parts = models
    if n_rows > most:
        chosen = np.sort(generator.choice(n_rows, most, replace=False))
        parts = [rows.take(chosen) for rows in models]
    n = parts[0].n_rows
    weights = row_weights(n, resample_count(n * n_columns * len(models), RANK_WORK_LIMIT), generator)
    pieces = [np.stack([from_weights(name, rows, piece) for rows in parts]) for piece in weights]
    drawn = np.concatenate(pieces, axis=1)
    if n == n_rows:
        return drawn
    known = np.isfinite(drawn)
    middle = np.where(known, drawn, 0.0).sum(axis=1, keepdims=True) / np.maximum(
        known.sum(axis=1, keepdims=True), 1
    )
    values = np.array([[metric_value(name, rows)] for rows in models])
    return np.asarray(values + (drawn - middle) * math.sqrt(n / n_rows), dtype=np.float64)


def _columns(rows: Rows) -> int:
    return len(rows.classes) if isinstance(rows, ClassRows) and not rows.is_binary else 1
