"""Numbers of one column: counted exactly while different values are few, by moments and buckets after that."""

from dataclasses import replace

import numpy as np
import polars as pl

from fiat.profile.counting import ROWS, VALUE, Counting, steps
from fiat.profile.model import QUANTILES, Numbers, Sketch
from fiat.profile.moments import Moments, measure_moments, merge_moments
from fiat.profile.sketch import Buckets, Ints, count_buckets, merge_buckets, quantiles


class NumberTally:
    """Takes numbers, says how they are distributed.

    Attributes:
        counting: their values.
    """

    def __init__(self, divisor: float = 1) -> None:
        """Begin.

        Args:
            divisor: units of what comes in one of what is told: 1000 where milliseconds come and seconds are told.
        """
        self.counting = Counting()
        self._divisor = divisor
        self._moments = Moments()
        self._buckets: Buckets | None = None
        self._n_nan = self._n_pos_inf = self._n_neg_inf = 0

    def add(self, values: pl.Series) -> None:
        """Take integers, doubles without nulls, `(n,)`; always of one type."""
        for start, length in steps(len(values)):
            part = values.slice(start, length)
            if part.dtype.is_float():
                # Adding 0 makes -0.0 the same value as 0.0.
                part = self._finite(part) + 0.0
            left = self.counting.add(part)
            if left is not None:
                self._measure(*left)

    def finish(self) -> Numbers:
        """What was found."""
        if self.counting.is_exact:
            table = self.counting.counted().sort(VALUE)
            if table.height:
                self._measure(table[VALUE], table[ROWS])
        own, sketch = self._moments, self._buckets.sketch() if self._buckets else Sketch()
        return Numbers(
            own.n,
            own.mean,
            own.sd,
            own.min,
            own.max,
            own.n_zero,
            own.n_negative,
            self._n_nan,
            self._n_pos_inf,
            self._n_neg_inf,
            self._exact_quantiles() or quantiles(sketch, QUANTILES, own.min, own.max),
            sketch,
        )

    def _exact_quantiles(self) -> tuple[float, ...]:
        if not (self.counting.is_exact and self._moments.n):
            return ()
        table = self.counting.counted().sort(VALUE)
        ends = np.cumsum(table[ROWS].to_numpy())
        ranks = np.ceil(np.array(QUANTILES) * int(ends[-1])).clip(1)
        found = table[VALUE].gather(np.searchsorted(ends, ranks)).to_list()
        return tuple(found if self._divisor == 1 else (value / self._divisor for value in found))

    def _finite(self, values: pl.Series) -> pl.Series:
        finite = values.is_finite()
        if finite.all():
            return values
        others = values.filter(~finite)
        n_nan = int(others.is_nan().sum())
        n_pos_inf = int((others == float("inf")).sum())
        self._n_nan += n_nan
        self._n_pos_inf += n_pos_inf
        self._n_neg_inf += len(others) - n_nan - n_pos_inf
        return values.filter(finite)

    def _measure(self, values: pl.Series, rows: pl.Series | None) -> None:
        if not len(values):
            return
        numbers = values.cast(pl.Float64).to_numpy()
        if self._divisor != 1:
            numbers = numbers / self._divisor
        times: Ints | None = None if rows is None else rows.to_numpy()
        moments = measure_moments(numbers, times)
        if values.dtype.is_integer() and self._divisor == 1:
            # Exact also where a double is not.
            low, high = values.min(), values.max()
            moments = replace(moments, min=_whole(low), max=_whole(high))
        self._moments = merge_moments(self._moments, moments)
        if self._buckets is None:
            self._buckets = count_buckets(numbers, times)
        else:
            found = count_buckets(numbers, times, shift=self._buckets.shift)
            self._buckets = merge_buckets(self._buckets, found)


def _whole(value: object) -> int:
    """What Polars gives as the end of integers, which its types don't tell."""
    return value if isinstance(value, int) else 0
