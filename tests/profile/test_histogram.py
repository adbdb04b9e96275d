"""The same column of several splits over common bars."""

import numpy as np
import pyarrow as pa
import pytest

from fiat.profile.distance_bins import REST
from fiat.profile.histogram import MOST_BARS, histograms
from fiat.profile.measure import profile_batches
from fiat.profile.model import ColumnProfile


def column(values: object) -> ColumnProfile:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return profile_batches([pa.record_batch({"x": array})]).columns[0]


def test_numbers_of_two_splits_share_edges_and_are_counted_as_numpy_does() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(0, 1, 4000), rng.normal(1, 1, 1000)
    found = histograms([column(train), column(test)], bins=12)
    assert found.kind == "numbers"
    assert len(found.edges) == 13
    assert len(found.names) == 12
    for counts, values in zip(found.counts, (train, test), strict=True):
        assert sum(counts) == pytest.approx(len(values))
        assert counts == pytest.approx(np.histogram(values, found.edges)[0], abs=0.01 * len(values))
    assert [sum(part) for part in found.shares] == pytest.approx([1, 1])


def test_a_few_far_values_do_not_flatten_the_rest() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0, 1, 5000), [1e9]])
    (counts,) = histograms([column(values)]).counts
    assert sum(count > 0 for count in counts) > 15
    assert sum(counts) == pytest.approx(5001)


def test_whole_numbers_of_few_values_have_a_bar_each_in_order() -> None:
    found = histograms([column([10, 2, 2, 10, 10, -3]), column([2, 7])])
    assert found.kind == "values"
    assert found.names == ("-3", "2", "7", "10")
    assert found.counts == ((1, 2, 0, 3), (0, 1, 1, 0))


def test_texts_have_a_bar_each_most_frequent_first_and_one_for_the_rest() -> None:
    values = [f"v{row % 50}" for row in range(5000)] + ["big"] * 900
    found = histograms([column(values)])
    assert found.names[0] == "big"
    assert found.names[-1] == REST
    assert len(found.names) == MOST_BARS + 1
    assert sum(found.counts[0]) == 5900


def test_missing_values_and_nan_have_no_bar_and_are_counted() -> None:
    found = histograms(
        [column(pa.array([1.5, None, float("nan"), 2.5] * 25, pa.float64(), from_pandas=False))]
    )
    assert found.missing == (25,)
    assert found.n_values == (75,)
    assert sum(found.counts[0]) == pytest.approx(50)
    assert sum(found.shares[0]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "values",
    [
        pa.nulls(5, pa.float64()),
        pa.array([3.25] * 9),
        pa.array([-1e308, 1e308]),
        pa.array([1.0, np.nextafter(1.0, 2)]),
        pa.array([0.0]),
        pa.array([], pa.float64()),
        pa.array([float("inf")] * 3),
        pa.array([True, False, None]),
    ],
)
def test_odd_columns_give_bars_that_add_up(values: pa.Array) -> None:
    described = column(values)
    found = histograms([described, column([1.0, 2.0])] if values.type == pa.float64() else [described])
    finite = described.numbers.n if described.numbers else 0
    if values.type == pa.float64():
        assert sum(found.counts[0]) == pytest.approx(finite)
    else:
        assert sum(found.counts[0]) == 2
    assert list(found.edges) == sorted(set(found.edges))
    assert len(found.names) == len(found.counts[0])


def test_a_place_without_the_column_s_values_has_empty_bars() -> None:
    found = histograms([column([1.0, 2.5]), column(pa.nulls(4, pa.float64()))])
    assert set(found.counts[1]) == {0.0}
    assert found.shares[1] == found.counts[1]
