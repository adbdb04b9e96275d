"""Buckets of numbers: the same for the same numbers in any order, and close to the numbers themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.profile.model import Sketch
from fiat.profile.sketch import (
    COARSE_BUCKETS,
    MOST_BUCKETS,
    align,
    bucket_edges,
    cdf,
    coarsen,
    histogram,
    make_sketch,
    merge_sketches,
    quantiles,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)


@settings(max_examples=200, deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=60))
def test_each_number_lies_in_its_bucket_and_buckets_ascend(numbers: list[float]) -> None:
    values = np.sort(np.array(numbers))
    sketch = make_sketch(values)
    lower, upper = bucket_edges(np.array(sketch.keys, np.int64), sketch.shift)
    assert list(sketch.keys) == sorted(set(sketch.keys))
    assert (upper[:-1] <= lower[1:]).all()
    places = np.repeat(np.arange(len(lower)), sketch.counts)
    assert ((lower[places] <= values) & (values <= upper[places])).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(FINITE, max_size=60), st.randoms(use_true_random=False), st.integers(0, 60))
def test_sketches_of_parts_merge_into_that_of_all_in_any_order(
    numbers: list[float], chance: object, at: int
) -> None:
    whole = make_sketch(np.array(numbers))
    shuffled = list(numbers)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    first, other = (make_sketch(np.array(part, np.float64)) for part in (shuffled[:at], shuffled[at:]))
    assert merge_sketches(first, other) == whole
    assert merge_sketches(other, first) == whole


def test_many_numbers_have_no_more_buckets_than_allowed_and_the_same_in_any_pieces() -> None:
    draws = np.random.default_rng(1)
    numbers = np.concatenate(
        [draws.normal(size=30_000), draws.lognormal(0, 20, 30_000), [1e308, -1e308, 5e-324]]
    )
    whole = make_sketch(numbers)
    assert len(whole.keys) <= MOST_BUCKETS
    merged = Sketch()
    for part in np.array_split(draws.permutation(numbers), 17):
        merged = merge_sketches(merged, make_sketch(part))
    assert merged == whole
    assert sum(whole.counts) == len(numbers)


def test_numbers_far_from_zero_are_told_apart() -> None:
    """All latitudes of a city and all times of a year are within 2 % of each other."""
    numbers = 41.7 + np.random.default_rng(2).random(100_000) * 0.3
    sketch = make_sketch(numbers)
    lower, upper = bucket_edges(np.array(sketch.keys, np.int64), sketch.shift)
    assert (upper - lower).max() < 0.3 / 500
    found = quantiles(sketch, (0.1, 0.5, 0.9), float(numbers.min()), float(numbers.max()))
    assert found == pytest.approx(np.quantile(numbers, (0.1, 0.5, 0.9)), abs=0.3 / 500)


def test_few_values_are_exact() -> None:
    sketch = make_sketch(np.array([-3.0, 0.0, 2.5, 2.5, 7.0]))
    assert histogram(sketch, [-3.5, 0, 2.5, 5, 10]).tolist() == pytest.approx([1, 1, 2, 1])
    assert cdf(sketch, [-4, -1, 1, 100]).tolist() == pytest.approx([0, 0.2, 0.4, 1])
    assert quantiles(sketch, (0, 0.5, 1), -3.0, 7.0) == pytest.approx((-3.0, 2.5, 7.0))
    weighted = make_sketch(np.array([7.0, 2.5, -3.0, 0.0]), np.array([1, 2, 1, 1]))
    assert weighted == sketch


def test_numbers_outside_the_edges_count_in_the_outer_bins() -> None:
    sketch = make_sketch(np.array([1.0, 2.0, 3.0, 4.0]))
    assert histogram(sketch, [2, 3, 3.5]).tolist() == pytest.approx([2, 2])
    assert histogram(Sketch(), [0, 1, 2]).tolist() == [0, 0]
    assert quantiles(Sketch(), (0.5,), math.nan, math.nan) == ()


def test_a_coarse_sketch_has_few_buckets_with_the_same_numbers_in_them() -> None:
    numbers = np.random.default_rng(3).normal(10, 5, 20_000)
    sketch = make_sketch(numbers)
    coarse = coarsen(sketch)
    assert len(coarse.keys) <= COARSE_BUCKETS < len(sketch.keys)
    assert sum(coarse.counts) == 20_000
    both = align(sketch, coarse)
    assert both.first.tolist() == both.second.tolist()
    found = quantiles(coarse, (0.25, 0.5, 0.75), float(numbers.min()), float(numbers.max()))
    assert found == pytest.approx(np.quantile(numbers, (0.25, 0.5, 0.75)), abs=0.2)
