"""One-sided bounds for the numbers that rollouts are judged by, at levels far out in the tails.

Rollouts look often, so each look may spend little: levels of 1e-4 and less. Wilson's bound, right on average, is far too
bold there when failures are few (one failure in n requests "shows" 0.07/n at a level of 1e-4, which happens in one of
fifteen cases), so the exact binomial bound takes its place, also within Newcombe's interval of a difference.
"""

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import bdtr, betaincinv, chdtri, stdtrit

from fiat.serving.counts import BUCKETS_A_DOUBLING, bucket_end_s

_FEWEST_IN_BIN = 5


def share_low(hits: int, n: int, alpha: float) -> float:
    """What a share is above, but for a chance of alpha.

    Source: Clopper and Pearson 1934.
    """
    return float(betaincinv(hits, n - hits + 1, alpha)) if hits > 0 else 0.0


def share_high(hits: int, n: int, alpha: float) -> float:
    """What a share is below, but for a chance of alpha."""
    return float(betaincinv(hits + 1, n - hits, 1 - alpha)) if hits < n else 1.0


def difference_low(first: tuple[int, int], second: tuple[int, int], alpha: float) -> float:
    """What the first share minus the second is above, but for a chance of alpha.

    Args:
        first: hits, and of how many.
        second: the same.
        alpha: between 0 and 1.

    Source: Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10, with
    exact limits of the shares (Zou and Donner 2008 show that any limits may be combined so).
    """
    one, two = first[0] / first[1], second[0] / second[1]
    below, above = one - share_low(*first, alpha), share_high(*second, alpha) - two
    return one - two - math.hypot(below, above)


def mean_low(total: float, squares: float, n: int, alpha: float) -> float:
    """What a mean is above, but for a chance of about alpha; -infinity for fewer than two values.

    Args:
        total: sum of the values.
        squares: sum of their squares.
        n: how many.
        alpha: between 0 and 1.

    Source: Student 1908.
    """
    if n < 2:
        return -math.inf
    mean = total / n
    variance = max(0.0, squares - n * mean * mean) / (n - 1)
    return mean + float(stdtrit(n - 1, alpha)) * math.sqrt(variance / n)


def quantile_bounds_s(latency: Mapping[str, int], share: float, alpha: float) -> tuple[float, float, float]:
    """A quantile of times that are known by bucket only.

    Args:
        latency: bucket, as text, to how many.
        share: 0.95 for the 95th percentile.
        alpha: chance that the quantile is below the low end, and the same for above the high one.

    Returns:
        The low end, the middle of the quantile's own bucket, the high end (infinity where n is too small to tell), seconds.

    Source: order statistics: the number of values below a quantile is binomial; the ends of buckets are outside them.
    """
    buckets = sorted((int(bucket), number) for bucket, number in latency.items() if number > 0)
    n = sum(number for _, number in buckets)
    ranks = np.cumsum([number for _, number in buckets])

    def bucket_at(rank: int) -> int:
        return buckets[int(np.searchsorted(ranks, rank))][0]

    low_rank, high_rank = _rank_low(n, share, alpha), n + 1 - _rank_low(n, 1 - share, alpha)
    middle = bucket_at(max(1, math.ceil(share * n)))
    return (
        _begin_s(bucket_at(low_rank)) if low_rank >= 1 else 0.0,
        bucket_end_s(middle) * math.pow(2.0, -0.5 / BUCKETS_A_DOUBLING),
        bucket_end_s(bucket_at(high_rank)) if high_rank <= n else math.inf,
    )


def divergence_low(first: Mapping[str, int], second: Mapping[str, int], alpha: float) -> tuple[float, float]:
    """Jensen-Shannon divergence of two samples' distributions, in bits.

    The root of the divergence keeps the triangle inequality, so the true one is at least the measured one less what
    either sample may be away from its own distribution.

    Returns:
        What the divergence is above, but for a chance of about alpha; and the estimate without its bias.

    Source: Endres and Schindelin 2003 (it is the square of a metric); n times a sample's divergence from its own
    distribution is chi-squared over 8 ln 2, as in `fiat.profile.distance_noise`.
    """
    one, two = _binned(first, second)
    n_one, n_two, n_bins = one.sum(), two.sum(), len(one)
    if n_bins < 2:
        return 0.0, 0.0
    measured = _divergence(one / n_one, two / n_two)
    far = float(chdtri(n_bins - 1, alpha / 2)) / (8 * math.log(2))
    root = math.sqrt(measured) - math.sqrt(far / n_one) - math.sqrt(far / n_two)
    bias = (n_bins - 1) * (1 / n_one + 1 / n_two) / (8 * math.log(2))
    return max(0.0, root) ** 2, max(0.0, measured - bias)


def _rank_low(n: int, share: float, alpha: float) -> int:
    """The largest rank whose value is above the quantile with a chance of at most alpha; 0 for none."""
    below, above = 0, n
    while below < above:
        middle = (below + above + 1) // 2
        if bdtr(middle - 1, n, share) <= alpha:
            below = middle
        else:
            above = middle - 1
    return below


def _begin_s(bucket: int) -> float:
    return bucket_end_s(bucket - 1) if bucket > 0 else 0.0


def _binned(
    first: Mapping[str, int], second: Mapping[str, int]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Counts by bin, with bins that would hold fewer than five of the smaller sample thrown together."""
    names = sorted(first.keys() | second.keys())
    one = np.array([first.get(name, 0) for name in names], float)
    two = np.array([second.get(name, 0) for name in names], float)
    pooled = (one + two) / (one.sum() + two.sum())
    rare = pooled * min(one.sum(), two.sum()) < _FEWEST_IN_BIN
    if not rare.any():
        return one, two
    return np.append(one[~rare], one[rare].sum()), np.append(two[~rare], two[rare].sum())


def _divergence(
    first: np.ndarray[tuple[int], np.dtype[np.float64]], second: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    middle = (first + second) / 2

    def relative(shares: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        there = shares > 0
        return float((shares[there] * np.log2(shares[there] / middle[there])).sum())

    return max(0.0, (relative(first) + relative(second)) / 2)
