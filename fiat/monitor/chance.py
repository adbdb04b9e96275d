"""How often chance alone makes two samples differ so much, and which of several differences are beyond chance.

Source: Pearson's chi-squared test of homogeneity of two samples, cells that hold too little joined (Cochran 1954, "Some
methods for strengthening the common chi-squared tests"); Holm 1979, "A simple sequentially rejective multiple test
procedure".
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import chdtrc

from fiat.profile.distance_bins import Floats

LEAST_EXPECTED = 5.0
"""Rows that a cell of the smaller sample must be expected to have."""


def p_value(first: Floats, second: Floats, n_first: float, n_second: float) -> float:
    """Probability that two samples of one distribution differ as much or more; 1 where nothing can be told.

    Args:
        first: shares of the first sample's rows in each bin, `(n_bins,)`.
        second: of the second's.
        n_first: independent rows of the first sample.
        n_second: of the second.
    """
    if n_first <= 0 or n_second <= 0 or len(first) < 2:
        return 1.0
    ones, others = _joined(first * n_first, second * n_second, min(n_first, n_second) / (n_first + n_second))
    if len(ones) < 2:
        return 1.0
    pooled = (ones + others) / (n_first + n_second)
    statistic = sum(
        float(((seen - n * pooled) ** 2 / (n * pooled)).sum())
        for seen, n in ((ones, n_first), (others, n_second))
    )
    return float(chdtrc(len(ones) - 1, statistic))


def beyond_chance(p_values: Sequence[float], level: float) -> list[bool]:
    """Which are beyond chance, so that the probability that any of them is not is at most `level` (Holm's steps)."""
    order = np.argsort(p_values, kind="stable")
    found = [False] * len(p_values)
    for step, place in enumerate(order.tolist()):
        if p_values[place] > level / (len(p_values) - step):
            break
        found[place] = True
    return found


def _joined(ones: Floats, others: Floats, share: float) -> tuple[Floats, Floats]:
    """Cells of both samples; those that expect too little are one cell, and with the smallest other if that is not enough.

    Neighbouring intervals stay apart where they can: a movement from one into the next shows only there.
    """
    expected = (ones + others) * share
    order = np.argsort(expected, kind="stable")
    held = np.cumsum(expected[order])
    n_small = int((expected < LEAST_EXPECTED).sum())
    if n_small and held[n_small - 1] < LEAST_EXPECTED:
        n_small = int(np.searchsorted(held, LEAST_EXPECTED)) + 1
    small, large = order[:n_small], order[n_small:]
    if not n_small:
        return ones, others
    return np.append(ones[large], ones[small].sum()), np.append(others[large], others[small].sum())
