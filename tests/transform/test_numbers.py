import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from graph_runs import Ran

from fiat.errors import SpecError
from fiat.transform.numbers import Bucketize, Clip, Log1p, MinMax, Scale, Standardize

NAN, INF = math.nan, math.inf
numbers = st.lists(
    st.one_of(
        st.floats(-1e6, 1e6),
        st.integers(-3, 3).map(float),
        st.sampled_from([NAN, INF, -INF, 1e308, -1e308, 5e-324, 0.1]),
    ),
    min_size=1,
    max_size=30,
)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64).reshape(-1, 1)


def through(operation: Any, setting: Any, train: np.ndarray, served: np.ndarray | None = None) -> list[float]:
    found: list[float] = Ran([(operation, setting)], "number", train)(train if served is None else served)
    return np.asarray(found).reshape(-1).tolist()


def test_standardize_has_mean_0_and_sd_1_over_the_known_rows_and_leaves_missing_ones_missing() -> None:
    found = through(Standardize(), True, column(1, 2, NAN, 6, INF))
    known = np.array([1.0, 2.0, 6.0])
    assert found[:2] == pytest.approx(((known - 3) / known.std())[:2].tolist())
    assert math.isnan(found[2])
    assert found[4] == INF


def test_what_does_not_vary_becomes_0() -> None:
    assert through(Standardize(), True, column(0.1, 0.1, 0.1), column(0.1, 1.1)) == pytest.approx([0, 1])
    assert through(MinMax(), True, column(7, 7), column(7, 9)) == [0, 2]


def test_the_largest_numbers_there_are_do_not_break_learning() -> None:
    train = column(-1.7e308, 1.7e308)
    assert through(Standardize(), True, train) == pytest.approx([-1, 1])
    assert through(MinMax(), True, train, column(-1.7e308, 0, 1.7e308)) == pytest.approx([0, 0.5, 1])


@settings(max_examples=60, deadline=None)
@given(numbers, numbers)
def test_standardize_and_min_max_agree_with_numpy_in_extended_precision(
    train: list[float], served: list[float]
) -> None:
    rows = np.array(train, np.longdouble)
    known = rows[np.isfinite(rows)]
    if not len(known):
        with pytest.raises(SpecError, match="no row of train has a value"):
            Ran([(Standardize(), True)], "number", column(*train))
        return
    asked = np.array(served, np.longdouble)
    spread = known.max() > known.min()
    sd = known.std() if spread else np.longdouble(1)
    span = known.max() - known.min() if spread else np.longdouble(1)
    for operation, expected in (
        (Standardize(), (asked - known.mean()) / sd),
        (MinMax(), (asked - known.min()) / span),
    ):
        found = np.array(through(operation, True, column(*train), column(*served)))
        bound = np.finfo(np.float32).max
        np.testing.assert_allclose(
            np.clip(found, -bound, bound),
            np.clip(expected, -bound, bound).astype(float),
            rtol=1e-6,
            atol=1e-6,
        )


def test_log1p_is_numpys_and_what_has_no_logarithm_counts_as_the_next_that_has_one() -> None:
    train = column(0, 1e-3, NAN, 1e300)
    np.testing.assert_allclose(through(Log1p(), True, train), np.log1p(train.reshape(-1)), rtol=1e-9)
    found = through(Log1p(), True, train, column(-1, -5, -INF, INF))
    assert found == pytest.approx([-52 * math.log(2)] * 3 + [INF])


def test_log1p_refuses_a_column_that_has_no_logarithm_in_train() -> None:
    with pytest.raises(SpecError, match=r"2 rows of column 'x' are -1 or less, the least is -4") as caught:
        Ran([(Log1p(), True)], "number", column(-1, -4, NAN, 3))
    assert "clip" in caught.value.hint


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"min": 0, "max": 1}, [0, 0.5, 1, 1, 0, NAN]),
        ({"min": 0}, [0, 0.5, 2, INF, 0, NAN]),
        ({"max": 1}, [-3, 0.5, 1, 1, -INF, NAN]),
    ],
)
def test_clip_holds_to_one_limit_or_both(limits: dict[str, float], expected: list[float]) -> None:
    found = through(Clip(), limits, column(-3, 0.5, 2, INF, -INF, NAN))
    np.testing.assert_array_equal(found, expected)


def test_an_edge_belongs_to_the_bucket_behind_it_and_missing_has_the_last_bucket() -> None:
    ran = Ran([(Bucketize(), {"edges": [0, 10, 20]})], "number", column(1))
    assert ran(column(-5, 0, 9.9, 10, 20, 1e308, INF, -INF, NAN)).reshape(-1).tolist() == [
        0,
        1,
        1,
        2,
        3,
        3,
        3,
        0,
        4,
    ]
    assert ran.value.n_categories == 5


def test_buckets_hold_as_many_rows_each() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 1))
    found = Ran([(Bucketize(), {"buckets": 10})], "number", rows)(rows)
    assert np.bincount(found.reshape(-1)).tolist() == [100] * 10


def test_equal_numbers_stay_in_one_bucket_and_the_first_bucket_is_never_empty() -> None:
    ran = Ran([(Bucketize(), {"buckets": 4})], "number", column(0, 0, 0, 0, 0, 0, 1, 2))
    assert ran.states == [{"edges": [1.0]}]
    assert ran(column(-1, 0, 1, NAN)).reshape(-1).tolist() == [0, 0, 1, 2]
    constant = Ran([(Bucketize(), {"buckets": 4})], "number", column(5, 5))
    assert constant(column(4, 5, NAN)).reshape(-1).tolist() == [0, 0, 1]


@settings(max_examples=60, deadline=None)
@given(numbers, numbers, st.integers(1, 12))
def test_buckets_are_those_of_searchsorted(train: list[float], served: list[float], n_buckets: int) -> None:
    rows, asked = column(*train), np.array(served)
    if not np.isfinite(rows).any():
        return
    ran = Ran([(Bucketize(), {"buckets": n_buckets})], "number", rows)
    edges = ran.states[0]["edges"]
    assert len(edges) < n_buckets
    assert edges == sorted(set(edges))
    expected = np.where(np.isnan(asked), len(edges) + 1, np.searchsorted(edges, asked, "right"))
    assert ran(column(*served)).reshape(-1).tolist() == expected.tolist()


def test_scale_multiplies_numbers_and_tensors() -> None:
    assert through(Scale(), 0.5, column(3, -4)) == [1.5, -2]
    image = np.array([[[0, 255]], [[10, 20]]], np.uint8)
    ran = Ran([(Scale(), 1 / 255)], "tensor", image, shape=(1, 2), dtype="uint8")
    found = ran(image)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, image / 255, rtol=1e-6)
