"""What chance alone makes of two samples, held against SciPy and against simulation."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from fiat.monitor.chance import beyond_chance, p_value

DRAW = np.random.default_rng(4)


def test_the_p_value_is_that_of_scipy_where_no_cell_is_small() -> None:
    first, second = np.array([400, 300, 200, 100]), np.array([90, 80, 60, 40])
    table = np.array([first, second])
    expected = chi2_contingency(table, correction=False).pvalue
    assert p_value(first / 1000, second / 270, 1000, 270) == pytest.approx(expected, rel=1e-12)


def test_small_cells_are_judged_together() -> None:
    first = np.array([900.0, 60, 20, *[2] * 10])
    second = np.array([180.0, 15, 5, *[0] * 10])
    joined = np.array([[900, 60, 40], [180, 15, 5]])
    expected = chi2_contingency(joined, correction=False).pvalue
    assert p_value(first / 1000, second / 200, 1000, 200) == pytest.approx(expected, rel=1e-9)


def test_two_samples_that_are_too_small_say_nothing() -> None:
    assert p_value(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 2, 2) == 1.0
    assert p_value(np.array([1.0]), np.array([1.0]), 100, 100) == 1.0
    assert p_value(np.array([0.5, 0.5]), np.array([0.5, 0.5]), 0, 10) == 1.0


@pytest.mark.parametrize("n_second", [100, 1000])
def test_samples_of_one_distribution_are_hardly_ever_beyond_chance(n_second: int) -> None:
    shares = DRAW.dirichlet(np.ones(25))  # with cells that are very small
    found = []
    for _ in range(2000):
        first, second = DRAW.multinomial(5000, shares), DRAW.multinomial(n_second, shares)
        found.append(p_value(first / 5000, second / n_second, 5000, n_second))
    assert np.mean(np.array(found) <= 0.01) < 0.018
    assert np.mean(np.array(found) <= 0.05) < 0.065
    assert np.mean(np.array(found) <= 0.5) > 0.4  # and it is not that nothing ever is


def test_of_many_columns_those_are_told_that_holm_tells() -> None:
    # 0.01/4, 0.01/3, 0.01/2, 0.01/1: the third fails, so that the fourth does not count.
    assert beyond_chance([0.002, 0.0051, 0.003, 0.0052], 0.01) == [True, False, True, False]
    assert beyond_chance([0.9, 0.0001], 0.01) == [False, True]
    assert beyond_chance([], 0.01) == []


def test_the_chance_that_any_of_fifty_clean_columns_alarms_is_what_was_asked_for() -> None:
    alarms = sum(any(beyond_chance(DRAW.uniform(size=50).tolist(), 0.05)) for _ in range(4000))
    assert 0.035 < alarms / 4000 < 0.065
