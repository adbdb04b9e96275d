"""Distances between two descriptions are those that SciPy gives on the raw data."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance

from fiat.profile.distance import bins_of, distance, js, ks, linf, psi, wasserstein
from fiat.profile.distance_bins import MISSING, REST, interval_name
from fiat.profile.measure import profile_batches
from fiat.profile.model import MOST_TOP, ColumnProfile


def column(values: object, kind: pa.DataType | None = None) -> ColumnProfile:
    """The description of one column."""
    array = values if isinstance(values, pa.Array) else pa.array(values, kind)
    return profile_batches([pa.record_batch({"x": array})]).columns[0]


def shares(values: list[object], names: list[object]) -> np.ndarray:
    return np.array([values.count(name) for name in names]) / len(values)


def samples(seed: int, n_rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Incomes before and after: lognormal, the second moved and wider."""
    rng = np.random.default_rng(seed)
    return rng.lognormal(3, 0.5, n_rows), rng.lognormal(3.2, 0.6, n_rows + 500)


texts = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(texts, texts)
def test_categories_are_as_far_apart_as_scipy_says_with_missing_as_one(
    before: list[str | None], after: list[str | None]
) -> None:
    one, other = column(before, pa.string()), column(after, pa.string())
    names = ["a", "b", "c", None]
    mine, theirs = shares(before, names), shares(after, names)
    held = mine + theirs > 0
    root = jensenshannon(mine[held], theirs[held], base=2)
    assert js(one, other) == pytest.approx(0 if math.isnan(root) else root**2, abs=1e-12)
    assert linf(one, other) == pytest.approx(np.abs(mine - theirs).max(), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(texts, texts)
def test_distances_are_symmetric_and_bounded_and_0_to_themselves(
    before: list[str | None], after: list[str | None]
) -> None:
    one, other = column(before, pa.string()), column(after, pa.string())
    for measure in (js, linf):
        assert 0 <= measure(one, other) <= 1
        assert measure(one, other) == pytest.approx(measure(other, one), abs=1e-12)
    for measure in (js, linf, psi):
        assert measure(one, one) == 0


def test_numbers_are_as_far_apart_as_kolmogorov_smirnov_on_the_raw_data() -> None:
    before, after = samples(0)
    assert ks(column(before), column(after)) == pytest.approx(ks_2samp(before, after).statistic, abs=2e-3)


def test_whole_numbers_are_as_far_apart_exactly() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.integers(0, 40, 5000), rng.integers(0, 44, 4000)
    exact = ks_2samp(before, after).statistic
    assert ks(column(before), column(after)) == pytest.approx(exact, abs=1e-12)


def test_wasserstein_is_scipys_in_standard_deviations_of_the_first() -> None:
    before, after = samples(2)
    exact = wasserstein_distance(before, after) / before.std()
    assert wasserstein(column(before), column(after)) == pytest.approx(exact, rel=2e-3)
    small = column(pa.array([1.0, 2.0, 3.0])), column(pa.array([2.0, 3.0, 4.0]))
    assert wasserstein(*small) == pytest.approx(1 / np.std([1.0, 2.0, 3.0]), rel=1e-6)


def test_numbers_diverge_as_the_raw_numbers_counted_over_the_same_intervals() -> None:
    before, after = samples(3)
    bins = bins_of(column(before), column(after), "js")
    ends = [float(name.split(" to ")[1]) for name in bins.names]
    edges = [-np.inf, *ends[:-1], np.inf]
    mine, theirs = (np.histogram(values, edges)[0] / len(values) for values in (before, after))
    assert bins.first == pytest.approx(mine, abs=1e-3)  # names have four digits
    assert bins.second == pytest.approx(theirs, abs=1e-3)
    assert js(column(before), column(after)) == pytest.approx(
        jensenshannon(mine, theirs, base=2) ** 2, abs=1e-3
    )
    assert len(bins.names) in (21, 22)


def test_numbers_with_a_large_offset_are_told_apart() -> None:
    """Coordinates differ in their fourth digit."""
    rng = np.random.default_rng(4)
    before, after = 41.8 + 0.03 * rng.normal(size=20_000), 41.81 + 0.03 * rng.normal(size=20_000)
    assert ks(column(before), column(after)) == pytest.approx(ks_2samp(before, after).statistic, abs=5e-3)
    measured = distance(column(before), column(after))
    assert measured.beyond_noise


def test_psi_of_known_shares_is_its_formula() -> None:
    before, after = column(["a"] * 60 + ["b"] * 40), column(["a"] * 50 + ["b"] * 50)
    expected = (0.5 - 0.6) * math.log(0.5 / 0.6) + (0.5 - 0.4) * math.log(0.5 / 0.4)
    assert psi(before, after) == pytest.approx(expected)


def test_psi_with_a_value_that_is_new_is_finite() -> None:
    assert 1 < psi(column(["a"] * 100), column(["a"] * 50 + ["b"] * 50)) < 20


def test_a_value_that_goes_missing_moves_the_column_by_every_measure_of_bins() -> None:
    before = column(pa.array(np.arange(1000) / 7))
    after = column(pa.array([None if row % 2 else row / 7 for row in range(1000)], pa.float64()))
    for measure in (js, linf, psi):
        assert measure(before, after) > 0.1
    assert distance(before, after, "linf").moved[0].name == MISSING
    assert ks(before, after) < 0.01


def test_nan_and_infinity_are_bins_of_their_own() -> None:
    before = column([1.0, 2.0, 3.0, 4.0] * 100)
    after = column([1.0, float("nan"), float("inf"), float("-inf")] * 100)
    moved = {item.name for item in distance(before, after, "linf").moved}
    assert moved <= {"NaN", "+infinity", "-infinity"} | set(bins_of(before, after, "js").names)
    assert {"NaN", "+infinity", "-infinity"} <= set(bins_of(before, after, "js").names)
    assert js(before, after) > 0.5


def test_what_moved_most_comes_first_with_its_shares() -> None:
    before = column(["a"] * 50 + ["b"] * 30 + ["c"] * 20)
    after = column(["a"] * 20 + ["b"] * 35 + ["c"] * 45)
    moved = distance(before, after).moved
    assert [(item.name, item.before, item.after) for item in moved] == [
        ("a", 0.5, 0.2),
        ("c", 0.2, 0.45),
        ("b", 0.3, 0.35),
    ]


def test_the_metric_is_chosen_by_what_the_column_holds() -> None:
    words, numbers = column(["a", "b"] * 9), column(np.arange(18) / 3)
    assert distance(words, words).metric == "linf"
    assert distance(numbers, numbers).metric == "js"
    assert distance(column([True, False]), column([True, True])).metric == "linf"
    assert distance(words, words, "ks").metric == "linf"
    assert distance(numbers, numbers, "wasserstein").metric == "wasserstein"


def test_a_column_that_lost_all_values_has_nothing_in_common_with_before() -> None:
    before = column(np.arange(1000.0))
    after = column(pa.nulls(1000, pa.float64()))
    assert js(before, after) == pytest.approx(1)
    assert distance(before, after, "ks").metric == "js"
    assert js(column(["a"] * 50), column(pa.nulls(50, pa.string()))) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_ids_that_are_new_in_each_row_have_not_moved(seed: int) -> None:
    n_rows = 12_000
    before = column([f"id-{seed}-{row}" for row in range(n_rows)])
    after = column([f"id-{seed + 10}-{row}" for row in range(n_rows)])
    assert linf(before, after) <= MOST_TOP / n_rows


def test_a_frequent_value_among_very_many_is_told_when_it_goes() -> None:
    rest = [f"rare {row}" for row in range(15_000)]
    before, after = column(["big"] * 5_000 + rest), column(["other"] * 5_000 + rest)
    measured = distance(before, after)
    assert measured.value == pytest.approx(0.25, abs=0.001)
    assert {item.name for item in measured.moved[:2]} == {"big", "other"}
    assert REST in bins_of(before, after, "linf").names


def test_constants_are_0_apart_when_equal_and_far_when_not() -> None:
    seven, eight = column([7.5] * 100), column([8.5] * 100)
    for metric in ("js", "linf", "psi", "ks", "wasserstein"):
        assert distance(seven, seven, metric).value == 0
    assert js(seven, eight) == pytest.approx(1)
    assert ks(seven, eight) == 1
    assert wasserstein(seven, eight) == pytest.approx(1)


@pytest.mark.parametrize("metric", ["js", "linf", "psi", "ks", "wasserstein"])
@pytest.mark.parametrize("kind", ["numbers", "categories"])
def test_chance_alone_rarely_goes_beyond_the_noise(metric: str, kind: str) -> None:
    rng = np.random.default_rng(5)
    beyond = 0
    values: list[float] = []
    for _ in range(60):
        one, other = (rng.normal(size=400), rng.normal(size=250)) if kind == "numbers" else (
            rng.choice(list("aabbbcdefg"), 400), rng.choice(list("aabbbcdefg"), 250)
        )  # fmt: skip
        measured = distance(column(one), column(other), metric)
        beyond += measured.beyond_noise
        values.append(measured.value / measured.noise)
    assert beyond <= 1
    assert max(values) > 0.25, "a noise that nothing comes near says nothing"


def test_a_real_movement_is_beyond_the_noise_by_every_metric() -> None:
    rng = np.random.default_rng(6)
    one, other = column(rng.normal(size=2_000)), column(rng.normal(0.5, size=2_000))
    for metric in ("js", "linf", "psi", "ks", "wasserstein"):
        assert distance(one, other, metric).beyond_noise, metric


def test_tensors_are_compared_by_their_values_and_their_rows_count() -> None:
    rng = np.random.default_rng(7)
    shape = pa.fixed_shape_tensor(pa.float32(), (8, 8))

    def pictures(mean: float) -> ColumnProfile:
        flat = pa.array(rng.normal(mean, 1, 200 * 64).astype(np.float32))
        storage = pa.FixedSizeListArray.from_arrays(flat, 64)
        return column(pa.ExtensionArray.from_storage(shape, storage))

    same, moved = distance(pictures(0), pictures(0)), distance(pictures(0), pictures(3))
    assert same.metric == "js"
    assert not same.beyond_noise
    assert moved.value > 0.5
    assert moved.beyond_noise


def test_columns_without_a_finite_number_are_compared_by_what_else_they_hold() -> None:
    nan, both = float("nan"), pa.array([float("nan"), None], pa.float64())
    assert distance(column(pa.array([nan, nan])), column(both)).value > 0
    assert distance(column(both), column(both)).value == 0.0


def test_names_of_intervals_tell_their_ends_apart() -> None:
    assert interval_name(0.0, 5e-324) == "0"
    assert interval_name(-87.6312, -87.6308) == "-87.6312 to -87.6308"
    assert interval_name(1.0, 2.0) == "1 to 2"
    assert interval_name(5.0, 5.000000001) == "5"
    assert interval_name(17_031_081_500.0, 17_031_081_500.5) == "1.70310815e+10"


def test_texts_that_are_another_in_nearly_each_row_have_not_moved() -> None:
    rng = np.random.default_rng(5)
    before = [f"note {number}" for number in rng.integers(0, 4000, 3000)]
    after = [f"note {number}" for number in rng.integers(0, 4000, 700)]
    one, other = column(before), column(after)
    assert one.n_distinct > 1000 > other.n_distinct  # the values of the second alone are all known
    for first, second in ((one, other), (other, one)):
        assert linf(first, second) < 0.05
        assert not distance(first, second, "js").beyond_noise
