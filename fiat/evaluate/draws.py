"""Random draws of rows for the bootstrap: seeded, in bounded memory, fewer of large data.

The bootstrap draws whole rows with replacement, RESAMPLES times. Where that would cost more than WORK_LIMIT numbers,
fewer resamples are drawn, at least FEWEST_RESAMPLES: of so many rows intervals are narrow anyway.
"""

import zlib
from collections.abc import Iterator

import numpy as np

from fiat.evaluate.rows import Floats

RESAMPLES = 1000
FEWEST_RESAMPLES = 100
WORK_LIMIT = 20_000_000
CHUNK_NUMBERS = 2_000_000

Interval = tuple[float, float] | None


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
