"""The bounds hold at the levels that rollouts look at: shown by drawing, with numbers that are fixed by a seed."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom, norm
from scipy.stats import t as student

from fiat.serving.counts import bucket_of
from fiat.serving.rollout_intervals import (
    difference_low,
    divergence_low,
    mean_low,
    quantile_bounds_s,
    share_high,
    share_low,
)

ALPHA = 0.01
DRAWS = 4000


@pytest.mark.parametrize(("n", "share"), [(50, 0.01), (50, 0.2), (500, 0.002), (500, 0.05), (5000, 0.001)])
def test_a_share_is_rarely_below_its_low_bound_exactly(n: int, share: float) -> None:
    hits = np.arange(n + 1)
    below = [share_low(int(k), n, ALPHA) > share for k in hits]
    assert binom.pmf(hits, n, share)[below].sum() <= ALPHA
    above = [share_high(int(k), n, ALPHA) < share for k in hits]
    assert binom.pmf(hits, n, share)[above].sum() <= ALPHA


def test_one_failure_proves_little_at_a_small_level() -> None:
    assert share_low(1, 100, 1e-4) == pytest.approx(1e-6, rel=0.01)
    assert share_low(0, 100, 1e-4) == 0.0
    assert share_high(100, 100, 1e-4) == 1.0


@pytest.mark.parametrize(
    ("n_one", "n_two", "share"), [(50, 450, 0.01), (500, 500, 0.01), (100, 9900, 0.002), (300, 300, 0.3)]
)
def test_equal_shares_are_rarely_told_apart(n_one: int, n_two: int, share: float) -> None:
    generator = np.random.default_rng(1)
    first, second = generator.binomial(n_one, share, DRAWS), generator.binomial(n_two, share, DRAWS)
    wrong = sum(
        difference_low((int(one), n_one), (int(two), n_two), ALPHA) > 0
        for one, two in zip(first, second, strict=True)
    )
    assert wrong / DRAWS <= ALPHA


def test_a_clear_difference_is_seen() -> None:
    assert difference_low((60, 1000), (10, 1000), 1e-4) > 0.01
    assert difference_low((6, 100), (1, 100), 1e-4) < 0


def test_a_mean_is_bounded_as_student_says() -> None:
    values = np.random.default_rng(2).exponential(2.0, 80)
    expected = values.mean() + student.ppf(ALPHA, 79) * values.std(ddof=1) / math.sqrt(80)
    assert mean_low(values.sum(), (values**2).sum(), 80, ALPHA) == pytest.approx(expected)
    assert mean_low(3.0, 9.0, 1, ALPHA) == -math.inf


@pytest.mark.parametrize("n", [20, 50, 400])
def test_a_quantile_is_within_its_bounds_as_often_as_stated(n: int) -> None:
    generator = np.random.default_rng(3)
    true_s = 0.01 * math.exp(norm.ppf(0.95))
    outside = [0, 0]
    draws = 2000
    for times in 0.01 * np.exp(generator.standard_normal((draws, n))):
        latency = Counter(str(bucket_of(float(time))) for time in times)
        low, middle, high = quantile_bounds_s(latency, 0.95, ALPHA)
        outside[0] += low > true_s
        outside[1] += high < true_s
        assert low <= middle <= high
    assert max(outside) / draws <= ALPHA


def test_few_times_bound_no_quantile_from_above() -> None:
    latency = {str(bucket_of(0.01)): 30}
    low, middle, high = quantile_bounds_s(latency, 0.95, ALPHA)
    assert low <= 0.01 <= middle * 1.1
    assert high == math.inf


@pytest.mark.parametrize("n_bins", [2, 10, 200])
def test_two_samples_of_one_distribution_have_no_sure_divergence(n_bins: int) -> None:
    generator = np.random.default_rng(4)
    shares = generator.dirichlet(np.ones(n_bins))
    wrong, estimates = 0, []
    draws = 1000
    for _ in range(draws):
        first, second = generator.multinomial(200, shares), generator.multinomial(1800, shares)
        low, estimate = divergence_low(_named(first), _named(second), ALPHA)
        wrong += low > 0
        estimates.append(estimate)
    assert wrong / draws <= ALPHA
    assert np.mean(estimates) < 0.02


def test_distributions_far_apart_have_a_sure_divergence() -> None:
    low, estimate = divergence_low({"a": 900, "b": 100}, {"a": 100, "b": 900}, 1e-5)
    assert 0.3 < low < estimate < 0.6
    assert divergence_low({"a": 50}, {"a": 70}, ALPHA) == (0.0, 0.0)


def _named(counts: np.ndarray) -> dict[str, int]:
    return {f"c{place}": int(count) for place, count in enumerate(counts) if count}
