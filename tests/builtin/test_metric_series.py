import random
from itertools import pairwise

import pytest

from fiat.builtin.metric_series import MetricSeries


def test_what_fits_is_kept_whole_and_in_order() -> None:
    series = MetricSeries(most=100)
    told = [("loss", 0.5, 1), ("accuracy", 0.1, None), ("loss", 0.4, 1), ("accuracy", 0.9, None)]
    for metric in told:
        series.add(*metric)
    assert series.metrics() == told


def test_a_long_curve_is_thinned_evenly_and_keeps_its_first_and_newest_value() -> None:
    series = MetricSeries(most=100)
    for at in range(10_003):
        series.add("loss", 1.0 / (at + 1), at)
    steps = [step for _, _, step in series.metrics() if step is not None]
    assert 50 <= len(steps) <= 101
    assert steps[0] == 0
    assert steps[-1] == 10_002
    assert len({b - a for a, b in pairwise(steps[:-1])}) == 1


def test_what_comes_behind_very_many_values_is_not_lost() -> None:
    series = MetricSeries(most=100)
    for at in range(5_000):
        series.add("loss", 0.5, at)
    series.add("accuracy", 0.9, None)
    series.add("accuracy", 0.95, None)
    assert series.metrics()[-2:] == [("accuracy", 0.9, None), ("accuracy", 0.95, None)]


def test_short_curves_stay_whole_beside_long_ones() -> None:
    series = MetricSeries(most=400)
    for at in range(4_000):
        series.add("loss", 0.5, at)
        if at % 400 == 0:
            series.add("eval_loss", 0.5, at)
    assert [step for name, _, step in series.metrics() if name == "eval_loss"] == list(range(0, 4_000, 400))


@pytest.mark.parametrize("seed", range(5))
def test_memory_is_bounded_whatever_is_logged(seed: int) -> None:
    chance = random.Random(seed)
    series = MetricSeries(most=200)
    for at in range(20_000):
        name = f"m{int(chance.expovariate(1 / 40))}"
        series.add(name, at, chance.choice([None, at]))
    assert len(series.metrics()) <= 200 + 10


def test_a_later_attempt_stands_for_what_it_did_again() -> None:
    series = MetricSeries(most=60)
    for at in range(1_000):
        series.add("loss", 1.0, at)
    series.add("loss", 9.0, None)
    series.add("other", 1.0, 5)
    series.cut("loss", 500)
    for at in range(500, 800):
        series.add("loss", 2.0, at)
    found = [metric for metric in series.metrics() if metric[0] == "loss"]
    steps = [step for _, _, step in found if step is not None]
    assert steps == sorted(steps)
    assert all(value == (1.0 if step < 500 else 2.0) for _, value, step in found if step is not None)
    assert (steps[0], steps[-1], len(found)) == (0, 799, len(steps))
    assert ("other", 1.0, 5) in series.metrics()
    series.cut("loss", None)
    assert series.metrics() == [("other", 1.0, 5)]
