"""One pass over rows: the numbers are those that NumPy and pandas give, whatever comes and in whatever pieces."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.data.stream import tensor_array
from fiat.profile.document import profile_text
from fiat.profile.measure import profile_batches
from fiat.profile.model import MOST_TOP, QUANTILES, ColumnProfile, DataProfile, Profile
from fiat.profile.sketch import cdf

EXTREMES = [0.0, -0.0, 1e308, -1e308, 5e-324, -2.2e-308, 1.0, math.nan, math.inf, -math.inf]
FLOATS = st.one_of(st.none(), st.sampled_from(EXTREMES), st.floats(), st.floats(-100, 100))
INTS = st.one_of(st.none(), st.sampled_from([2**63 - 1, -(2**63), 0, 2**53 + 1]), st.integers(-50, 50))
TEXTS = st.one_of(
    st.none(), st.sampled_from(["", "a", "12", " -1.5e3 ", "Zürich", "名前"]), st.text(max_size=5)
)


def cut(values: pa.Array, sizes: Sequence[int], name: str = "x") -> Iterator[pa.RecordBatch]:
    """Batches of these sizes, over and over; empty ones too."""
    start = place = 0
    schema = pa.schema([pa.field(name, values.type)])
    while start < len(values):
        size = sizes[place % len(sizes)]
        yield pa.record_batch([values.slice(start, size)], schema)
        start, place = start + size, place + 1
    yield pa.record_batch([values.slice(len(values))], schema)


def column(values: pa.Array, *sizes: int) -> ColumnProfile:
    return profile_batches(cut(values, sizes or (1 << 20,))).columns[0]


@settings(max_examples=150, deadline=None)
@given(st.lists(FLOATS, max_size=40), st.integers(1, 7))
def test_doubles_are_described_as_numpy_does(values: list[float | None], size: int) -> None:
    found = column(pa.array(values, pa.float64()), size, 0)
    present = np.array([value for value in values if value is not None], np.float64)
    finite = present[np.isfinite(present)]
    assert (found.n_rows, found.n_missing) == (len(values), values.count(None))
    if not len(present):
        assert found.kind == "empty"
        return
    numbers = found.numbers
    assert found.kind == "float"
    assert numbers is not None
    assert (numbers.n, numbers.n_nan) == (len(finite), int(np.isnan(present).sum()))
    assert (numbers.n_pos_inf, numbers.n_neg_inf) == (
        int(np.isposinf(present).sum()),
        int(np.isneginf(present).sum()),
    )
    assert (numbers.n_zero, numbers.n_negative) == (int((finite == 0).sum()), int((finite < 0).sum()))
    assert found.n_distinct == len(np.unique(finite))
    if len(finite):
        assert (numbers.min, numbers.max) == (finite.min(), finite.max())
        scale = np.abs(finite).max()
        wide = finite.astype(np.longdouble)
        assert numbers.mean == pytest.approx(float(wide.mean()), rel=1e-9, abs=1e-9 * scale)
        assert numbers.sd == pytest.approx(float(wide.std()), rel=1e-9, abs=1e-9 * scale)
        # -0.0 and 0.0 are one number, whose sign is of no matter.
        assert numbers.quantiles == tuple(np.quantile(finite, QUANTILES, method="inverted_cdf"))
        assert sum(numbers.sketch.counts) == len(finite)


@settings(max_examples=100, deadline=None)
@given(st.lists(INTS, max_size=40), st.sampled_from([pa.int64(), pa.int8(), pa.uint64()]), st.integers(1, 7))
def test_whole_numbers_keep_their_exact_ends_and_counts(
    values: list[int | None], kind: pa.DataType, size: int
) -> None:
    low, high = {"int64": (-(2**63), 2**63 - 1), "int8": (-128, 127), "uint64": (0, 2**64 - 1)}[str(kind)]
    kept = [value if value is None else min(max(value, low), high) for value in values]
    found = column(pa.array(kept, kind), size)
    known = Counter(value for value in kept if value is not None)
    if not known:
        assert found.kind == "empty"
        return
    assert found.kind == "int"
    assert found.numbers is not None
    assert (found.numbers.min, found.numbers.max) == (min(known), max(known))
    assert found.counts == {str(value): rows for value, rows in known.items()}
    assert found.top == tuple(sorted(known.items(), key=lambda item: (-item[1], item[0]))[:MOST_TOP])
    expected = np.array(list(known.elements()), np.float64)
    scale = float(np.abs(expected).max())
    assert found.numbers.mean == pytest.approx(expected.mean(), rel=1e-9, abs=1e-9 * scale)
    assert found.numbers.sd == pytest.approx(expected.std(), rel=1e-9, abs=1e-9 * scale)


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, max_size=40), st.sampled_from(["string", "large_string", "string_view", "dictionary"]))
def test_texts_are_described_as_pandas_does(values: list[str | None], kind: str) -> None:
    plain = pa.array(values, pa.string())
    given_as = plain.dictionary_encode() if kind == "dictionary" else plain.cast(pa.type_for_alias(kind))
    found = column(given_as, 7)
    series = pd.Series(values, dtype=object).dropna()
    assert (found.n_rows, found.n_missing) == (len(values), values.count(None))
    if not len(series):
        assert found.kind == "empty"
        return
    assert found.kind == "text"
    assert found.counts == series.value_counts().to_dict()
    lengths = series.str.len()
    assert found.lengths is not None
    assert (found.lengths.n, found.lengths.min, found.lengths.max) == (
        len(series),
        lengths.min(),
        lengths.max(),
    )
    assert found.lengths.mean == pytest.approx(lengths.mean())
    assert found.lengths.n_zero == (lengths == 0).sum()
    assert found.n_invalid_utf8 == 0


def test_shares_of_texts_that_are_numbers_are_told() -> None:
    found = column(pa.array(["1", "-2.5", " 3e5 ", ".5", "1,5", "nan", "", "12 km", None]))
    assert found.share_numeric == 4 / 8


def test_texts_and_bytes_that_are_no_utf8_are_counted_and_not_raised() -> None:
    raw = pa.array([b"caf\xc3\xa9", b"caf\xe9", b"\xff\xfe", b"plain", None, b"caf\xe9"])
    for kind in (pa.string(), pa.binary()):
        found = column(raw.view(kind) if kind == pa.string() else raw)
        assert (found.n_invalid_utf8, found.n_missing, found.n_distinct) == (3, 1, 4)
        assert found.counts["caf\ufffd"] == 2
    found = column(raw.view(pa.string()))
    assert found.lengths is not None
    assert (found.lengths.min, found.lengths.max) == (2, 5)


def many(n_rows: int = 600_000) -> pa.Table:
    draws = np.random.default_rng(3)
    return pa.table(
        {
            "wide": pa.array(draws.lognormal(2, 3, n_rows), mask=draws.random(n_rows) < 0.1),
            "narrow": 41.7 + draws.random(n_rows) * 0.3,
            "id": np.arange(n_rows) + 10**12,
            "skewed": np.where(draws.random(n_rows) < 0.4, 0, draws.integers(0, 10**9, n_rows)),
            "name": pa.array([f"user {number:x}" for number in draws.integers(0, 50_000, n_rows)]),
            "hour": pa.array(draws.integers(0, 24, n_rows), pa.int8()),
        }
    )


@pytest.fixture(scope="module")
def big() -> tuple[pa.Table, Profile]:
    table = many()
    return table, profile_batches(table.to_batches())


def test_columns_of_many_values_are_estimated_closely(big: tuple[pa.Table, Profile]) -> None:
    table, found = big
    for name in ("wide", "narrow", "id", "skewed"):
        one = found.column(name)
        values = table.column(name).drop_null().to_numpy()
        assert one is not None
        assert one.numbers is not None
        assert not one.distinct_exact
        assert one.n_distinct == pytest.approx(len(np.unique(values)), rel=0.07)
        assert one.numbers.mean == pytest.approx(values.mean(), rel=1e-9)
        assert one.numbers.sd == pytest.approx(values.std(), rel=1e-9)
        assert (one.numbers.min, one.numbers.max) == (values.min(), values.max())
        reached = [float((values <= value).mean()) for value in one.numbers.quantiles[1:-1]]
        assert reached == pytest.approx(QUANTILES[1:-1], abs=0.005 if name != "skewed" else 0.4)
        points = np.quantile(values, [0.1, 0.5, 0.9])
        assert cdf(one.numbers.sketch, points)[1:] == pytest.approx([0.5, 0.9], abs=0.005)
    name_column = found.column("name")
    assert name_column is not None
    assert name_column.n_distinct == pytest.approx(50_000, rel=0.07)


def test_a_value_that_is_frequent_among_many_is_counted_exactly(big: tuple[pa.Table, Profile]) -> None:
    table, found = big
    skewed, ids = found.column("skewed"), found.column("id")
    assert skewed is not None
    assert ids is not None
    assert skewed.top[0] == (0, int((table.column("skewed").to_numpy() == 0).sum()))
    assert skewed.top_exact is False
    assert ids.top == ()


def test_the_same_rows_give_the_same_bytes_whatever_batches_they_come_in(
    big: tuple[pa.Table, Profile],
) -> None:
    table, found = big
    wanted = profile_text(DataProfile((found,)))
    for size in (10_007, 262_144, 600_000):
        again = profile_batches(table.to_batches(max_chunksize=size))
        assert profile_text(DataProfile((again,))) == wanted


def test_rows_that_are_large_give_the_same_counts_in_other_batches() -> None:
    draws = np.random.default_rng(5)
    texts = pa.array([bytes(draws.integers(97, 123, 200_000).astype(np.uint8)).decode() for _ in range(600)])
    numbers = pa.array(draws.normal(size=600))
    table = pa.table({"text": texts, "number": numbers})
    one, other = (profile_batches(table.to_batches(max_chunksize=size)) for size in (600, 77))
    assert one.columns[0] == other.columns[0]
    assert one.columns[0].lengths is not None
    assert one.columns[0].lengths.min == 200_000
    assert one.columns[1].numbers is not None
    assert other.columns[1].numbers is not None
    assert one.columns[1].numbers.mean == pytest.approx(other.columns[1].numbers.mean, rel=1e-9)


@pytest.mark.parametrize(
    ("values", "low_s", "shown"),
    [
        (pa.array([date(1970, 1, 2), date(2020, 2, 29)], pa.date32()), 86_400, "1970-01-02"),
        (
            pa.array([datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC).replace(tzinfo=None)], pa.timestamp("ms")),
            1.5,
            "1970-01-01T00:00:01.500",
        ),
        (
            pa.array([datetime(1970, 1, 1, tzinfo=UTC)], pa.timestamp("s", "Europe/Berlin")),
            0,
            "1970-01-01T00:00:00Z",
        ),
        (pa.array([time(1, 0, 5)], pa.time32("s")), 3605, "01:00:05"),
        (pa.array([time(0, 0, 5)], pa.time64("us")), 5, "00:00:05.000000"),
        (pa.array([90], pa.duration("s")), 90, 90),
    ],
)
def test_times_are_numbers_of_seconds_and_shown_in_iso_8601(
    values: pa.Array, low_s: float, shown: object
) -> None:
    found = column(values)
    assert found.kind == "time"
    assert found.numbers is not None
    assert found.numbers.min == low_s
    assert found.top[0] == (shown, 1)


def test_bools_are_counted_as_true_and_false() -> None:
    found = column(pa.array([True, None, False, True]), 3)
    assert (found.kind, found.counts, found.top) == ("bool", {"true": 2, "false": 1}, ((True, 2), (False, 1)))
    assert found.numbers is not None
    assert found.numbers.mean == pytest.approx(2 / 3)


def test_lists_have_lengths_and_their_elements_numbers() -> None:
    found = column(pa.array([[1.0, 2.0], None, [], [3.0, None, math.nan]]), 2)
    assert (found.kind, found.n_missing) == ("list", 1)
    assert found.lengths is not None
    assert (found.lengths.n, found.lengths.min, found.lengths.max, found.lengths.n_zero) == (3, 0, 3, 1)
    assert found.numbers is not None
    assert (found.numbers.n, found.numbers.mean, found.numbers.n_nan) == (3, 2.0, 1)
    words = column(pa.array([["a", "b"], ["a"]]))
    assert words.counts == {"a": 2, "b": 1}
    empty = column(pa.array([[], []], pa.list_(pa.int64())))
    assert (empty.kind, empty.n_rows, empty.n_missing) == ("list", 2, 0)


def test_tensors_have_a_shape_and_pixels_are_images() -> None:
    vectors = tensor_array(np.arange(12, dtype=np.float32).reshape(4, 3))
    found = column(vectors.slice(1), 2)
    assert (found.kind, found.shape) == ("tensor", (3,))
    assert found.numbers is not None
    assert (found.numbers.n, found.numbers.min, found.numbers.mean) == (9, 3.0, 7.0)
    pixels = column(tensor_array(np.full((5, 28, 14, 3), 7, np.uint8)))
    assert (pixels.kind, pixels.shape) == ("image", (28, 14, 3))
    assert pixels.images is not None
    assert (pixels.images.formats, pixels.images.sizes) == ({"raw": 5}, {"14x28x3": 5})
    assert pixels.numbers is not None
    assert (pixels.numbers.n, pixels.numbers.sd) == (5 * 28 * 14 * 3, 0.0)


@pytest.mark.parametrize("kind", [pa.decimal128(10, 2), pa.float16(), pa.float32()])
def test_other_widths_of_numbers_are_doubles(kind: pa.DataType) -> None:
    found = column(pa.array([0.5, 1.5, 0.5]).cast(kind))
    assert found.kind == "float"
    assert (found.dtype, found.top) == (str(kind), ((0.5, 2), (1.5, 1)))


def test_values_of_several_fields_are_described_as_json() -> None:
    found = column(pa.array([{"b": 1, "a": "x"}, {"b": 1, "a": "x"}, None]))
    assert (found.kind, found.counts, found.n_missing) == ("text", {'{"a": "x", "b": 1}': 2}, 1)


def test_columns_without_any_value_are_empty_and_no_rows_are_no_fault() -> None:
    assert column(pa.array([None, None], pa.int64())).kind == "empty"
    assert column(pa.nulls(3)) == ColumnProfile("x", "empty", "null", 3, 3)
    assert column(pa.array([], pa.string())).n_rows == 0
    assert profile_batches([]) == Profile(0, ())
    both = profile_batches(cut(pa.array([1]), [1]), split="eval", slice="sex=F")
    assert (both.split, both.slice, both.n_rows) == ("eval", "sex=F", 1)


def test_one_row_is_enough() -> None:
    found = column(pa.array([5.0]))
    assert found.numbers is not None
    assert (found.numbers.mean, found.numbers.sd, set(found.numbers.quantiles)) == (5.0, 0.0, {5.0})


def test_polars_hashes_are_the_same_in_every_process() -> None:
    """Kept hashes are compared with new ones: another number here means another version of the profile's file."""
    assert pl.Series([0.5, 7.0]).hash(1).to_list() == [16195336481244414291, 11826180803651609734]
    assert pl.Series([7]).hash(1).to_list() == [3398377492363127267]
    assert pl.Series([b"a"]).hash(1).to_list() == [640987200097245489]
