"""Moments: the same one whatever it is written as, and no guess where it can't be told."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.data.moments import moment, moments
from fiat.data.split import ByTime
from fiat.data.stream import Piece
from fiat.errors import SpecError

AT = "2014-05-16T19:45:00"
SECONDS = 1400269500


@pytest.mark.parametrize(
    "values",
    [
        pa.array([AT]),
        pa.array([f" {AT}Z "]),
        pa.array(["2014-05-16T21:45:00+02:00"]),
        pa.array(["2014-05-16 19:45"]),
        pa.array([SECONDS]),
        pa.array([SECONDS * 1000]),
        pa.array([SECONDS * 10**6]),
        pa.array([SECONDS * 10**9]),
        pa.array([SECONDS], pa.uint64()),
        pa.array([SECONDS], pa.int32()),
        pa.array([float(SECONDS)]),
        pa.array([SECONDS * 1000.0]),
        pa.array([str(SECONDS)]),
        pa.array([SECONDS], pa.timestamp("s")),
        pa.array([SECONDS * 1000], pa.timestamp("ms", "America/Chicago")),
        pa.array([SECONDS * 10**9], pa.timestamp("ns")),
    ],
    ids=str,
)
def test_one_moment_is_the_same_however_it_is_written(values: pa.Array) -> None:
    found = moments(values)
    assert found is not None
    assert found.tolist() == [np.datetime64(AT, "us").item()]


def test_dates_are_their_first_moment() -> None:
    for values in (pa.array([20240501]), pa.array(["2024-05-01"]), pa.array([19844], pa.date32())):
        found = moments(values)
        assert found is not None
        assert found.tolist() == [datetime(2024, 5, 1)]  # noqa: DTZ001 - NumPy has no zones


@pytest.mark.parametrize(
    "value",
    [0, 5, -5, 2024, 20241399, 99_999_999, 5_000_000_000, 10**18 * 9, float("inf"), "soon", "2024-13-01"],
)
def test_what_could_be_anything_is_no_moment(value: object) -> None:
    found = moments(pa.array([value, None]))
    assert found is not None
    assert np.isnat(found).all()


def test_other_columns_hold_no_moments() -> None:
    assert moments(pa.array([True])) is None
    assert moments(pa.array([[1]])) is None


@given(st.datetimes(datetime(1974, 1, 1), datetime(2100, 1, 1)), st.integers(-12, 12))  # noqa: DTZ001
def test_texts_with_and_without_a_zone_agree_with_python(at: datetime, hours: int) -> None:
    zoned = at.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    found = moments(pa.array([at.isoformat(), zoned.isoformat(), None]))
    assert found is not None
    assert found[:2].tolist() == [at, at]
    assert np.isnat(found[2])
    assert moment(zoned.isoformat()).item() == at


def test_numbers_part_rows_by_time() -> None:
    rule = ByTime("at", test=str(SECONDS + 10), eval="2014-05-16T19:45:05Z")
    seconds = pa.array([SECONDS, SECONDS + 5, SECONDS + 9, SECONDS + 10])
    for values in (seconds, pa.array([value * 1000 for value in seconds.to_pylist()])):
        assert rule.assign(Piece(pa.record_batch({"at": values}), ("f",), 1)).tolist() == [0, 1, 1, 2]


def test_rows_without_a_time_and_with_what_is_none_are_named() -> None:
    rule = ByTime("at", "2024-01-01")
    values = [SECONDS, None, 7, None]
    with pytest.raises(SpecError, match=r"f: column 'at' has no time in rows 12, 14$"):
        rule.assign(Piece(pa.record_batch({"at": values}), ("f",), 11))
    with pytest.raises(SpecError, match="is no time: row 13 7 ") as caught:
        rule.assign(Piece(pa.record_batch({"at": [SECONDS, SECONDS, 7]}), ("f",), 11))
    assert "seconds, milli-" in caught.value.hint
    many = ["x"] * 30
    with pytest.raises(SpecError, match=r"row 1 'x', .*row 10 'x' and 20 more"):
        rule.assign(Piece(pa.record_batch({"at": many}), ("f",), 1))
    with pytest.raises(SpecError, match="no time in row 2"):
        rule.assign(Piece(pa.record_batch({"at": [float(SECONDS), float("nan")]}), ("f",), 1))
