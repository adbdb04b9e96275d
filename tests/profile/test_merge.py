"""Profiles of parts merge into what one pass over all rows gives."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.data.stream import tensor_array
from fiat.profile.distinct import MOST_HASHES
from fiat.profile.measure import profile_batches
from fiat.profile.merge import merge_profiles
from fiat.profile.model import ColumnProfile, Profile

ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.none(), st.floats(-1e6, 1e6)),
        st.one_of(st.none(), st.sampled_from(["a", "b", "1", ""])),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.lists(st.integers(0, 3), max_size=3)),
    ),
    max_size=40,
)
SCHEMA = pa.schema(
    {"i": pa.int64(), "f": pa.float64(), "t": pa.string(), "b": pa.bool_(), "l": pa.list_(pa.int64())}
)


def profile(rows: list[tuple[object, ...]]) -> Profile:
    columns = [pa.array([row[place] for row in rows], field.type) for place, field in enumerate(SCHEMA)]
    return profile_batches([pa.record_batch(columns, SCHEMA)])


@settings(max_examples=150, deadline=None)
@given(ROWS, st.integers(0, 40))
def test_two_parts_merge_into_the_whole(rows: list[tuple[object, ...]], at: int) -> None:
    whole, merged = profile(rows), merge_profiles(profile(rows[:at]), profile(rows[at:]))
    assert merged.n_rows == whole.n_rows
    for one, other in zip(merged.columns, whole.columns, strict=True):
        for name in ("kind", "n_rows", "n_missing", "n_distinct", "distinct_exact", "lengths", "hashes"):
            assert getattr(one, name) == getattr(other, name), name
        assert dict(one.counts) == dict(other.counts)
        if other.n_distinct <= 20:
            assert (one.top, one.top_exact) == (other.top, True)
        assert one.share_numeric == pytest.approx(other.share_numeric)
        if other.numbers is not None:
            assert one.numbers is not None
            for name in ("n", "min", "max", "n_zero", "n_negative", "sketch"):
                assert getattr(one.numbers, name) == getattr(other.numbers, name), name
            assert one.numbers.mean == pytest.approx(other.numbers.mean, rel=1e-9, abs=1e-3, nan_ok=True)
            assert one.numbers.sd == pytest.approx(other.numbers.sd, rel=1e-9, abs=1e-3, nan_ok=True)


def of(values: pa.Array, name: str = "x") -> Profile:
    return profile_batches([pa.record_batch([values], [name])])


def test_different_values_of_both_are_counted_once() -> None:
    ids = np.arange(60_000) * 7.5
    merged = merge_profiles(of(pa.array(ids[:40_000])), of(pa.array(ids[20_000:]))).columns[0]
    assert merged.n_distinct == pytest.approx(60_000, rel=0.07)
    assert merged.distinct_exact is False
    few = merge_profiles(of(pa.array(ids[:1200])), of(pa.array(ids[1000:2000]))).columns[0]
    assert (few.n_distinct, few.distinct_exact) == (2000, True)
    assert few.n_distinct < MOST_HASHES
    assert few.top_exact is False


def test_a_column_that_one_part_lacks_is_missing_there() -> None:
    merged = merge_profiles(of(pa.array([1, 2])), of(pa.array(["a"]), "y"))
    assert [(column.name, column.kind, column.n_rows, column.n_missing) for column in merged.columns] == [
        ("x", "int", 3, 1),
        ("y", "text", 3, 2),
    ]
    empty = merge_profiles(of(pa.array([None], pa.string())), of(pa.array(["a"])))
    assert empty.columns[0] == ColumnProfile(
        **{**vars(of(pa.array(["a"])).columns[0]), "n_rows": 2, "n_missing": 1}
    )


def test_pictures_and_shapes_merge() -> None:
    small, large = (of(tensor_array(np.zeros((2, side, side), np.uint8))) for side in (8, 9))
    merged = merge_profiles(small, large).columns[0]
    assert merged.shape is None
    assert merged.images is not None
    assert merged.images.sizes == {"8x8x1": 2, "9x9x1": 2}
