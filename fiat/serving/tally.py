"""What a version counts while it answers: plain numbers that only grow, cheap to add to, turned into `Counts` when asked."""

from collections import Counter
from collections.abc import Mapping
from math import log2

import numpy as np

from fiat.serving.counts import BUCKETS_A_DOUBLING, FIRST_BUCKET_S, N_BUCKETS, Counts

MOST_NAMES = 1000
OTHER = "(other)"
_MOST_PENDING_ROWS = 4096
_A_DOUBLING = 4
_LONGEST_NAME = 200


class Tally:
    """Counts of one version; written by the event loop only, but for `shadow_*`, which its own thread writes."""

    def __init__(self) -> None:
        self.requests = 0
        self.failed = 0
        self.refused = 0
        self.rows = 0
        self.batches = 0
        self.shadowed = 0
        self.disagreed = 0
        self.distance = 0.0
        self.distance_squares = 0.0
        self.shadow_failed = 0
        self.shadow_dropped = 0
        self.seconds = 0.0
        self.latency = [0] * N_BUCKETS
        self._predictions: Counter[str] = Counter()
        self._pending: list[np.ndarray] = []
        self._pending_rows = 0

    def answered(self, seconds: float) -> None:
        """A request came to its end, well or by our fault."""
        self.requests += 1
        self.seconds += seconds
        if seconds <= FIRST_BUCKET_S:
            bucket = 0
        else:
            bucket = min(N_BUCKETS - 1, int(log2(seconds / FIRST_BUCKET_S) * BUCKETS_A_DOUBLING))
        self.latency[bucket] += 1

    def predicted(self, predictions: np.ndarray) -> None:
        """Rows were predicted.

        Args:
            predictions: `(n_rows,)` classes (texts, bytes or integers) or numbers; counted later, many at a time.
        """
        self._pending.append(predictions)
        self._pending_rows += len(predictions)
        if self._pending_rows >= _MOST_PENDING_ROWS or len(self._pending) >= _MOST_PENDING_ROWS:
            self._count_pending()

    def counted(self, found: Mapping[str, int]) -> None:
        """Rows were predicted, and counted already.

        Args:
            found: name to rows, see `named`.
        """
        self._add(found)

    def counts(self) -> Counts:
        """The counts until now."""
        self._count_pending()
        return Counts(
            requests=self.requests,
            failed=self.failed,
            refused=self.refused,
            rows=self.rows,
            batches=self.batches,
            latency={str(bucket): count for bucket, count in enumerate(self.latency) if count},
            predictions=dict(self._predictions),
            shadowed=self.shadowed,
            disagreed=self.disagreed,
            distance=self.distance,
            distance_squares=self.distance_squares,
            shadow_failed=self.shadow_failed,
            shadow_dropped=self.shadow_dropped,
        )

    def _count_pending(self) -> None:
        pending, self._pending, self._pending_rows = self._pending, [], 0
        for array in _joined(pending):
            self._add(named(array))

    def _add(self, found: Mapping[str, int]) -> None:
        for name, count in found.items():
            known = name in self._predictions or len(self._predictions) < MOST_NAMES
            self._predictions[name if known else OTHER] += count


def _joined(arrays: list[np.ndarray]) -> list[np.ndarray]:
    kinds: dict[np.dtype, list[np.ndarray]] = {}
    for array in arrays:
        kinds.setdefault(array.dtype, []).append(array)
    return [np.concatenate(same) for same in kinds.values()]


def named(predictions: np.ndarray) -> dict[str, int]:
    """How often each class or range of numbers was predicted.

    Args:
        predictions: `(n_rows,)`.

    Returns:
        Name to rows. Of floating numbers the name is the lower end (by size) of a range a quarter of a doubling wide.
    """
    if predictions.dtype.kind == "f":
        predictions = _ranges(predictions)
    elif predictions.dtype.kind == "O":
        return dict(Counter(_text(value) for value in predictions.tolist()))
    values, counts = np.unique(predictions, return_counts=True)
    return {_text(value): int(count) for value, count in zip(values.tolist(), counts.tolist(), strict=True)}


def _ranges(numbers: np.ndarray) -> np.ndarray:
    values = numbers.astype(np.float64)
    sizes = np.abs(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.clip(np.floor(np.log2(sizes) * _A_DOUBLING), -100 * _A_DOUBLING, 100 * _A_DOUBLING)
        ends = np.asarray(np.copysign(np.exp2(steps / _A_DOUBLING), values))
    ends[sizes == 0] = 0.0
    ends[~np.isfinite(values)] = values[~np.isfinite(values)]
    return ends


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")[:_LONGEST_NAME]
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)[:_LONGEST_NAME]
