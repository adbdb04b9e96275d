# Times without a zone are what most columns hold.
# ruff: noqa: DTZ001

import math
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from graph_runs import Ran

from fiat.transform.dates import DateParts

PARTS = ["year", "month", "day", "weekday", "hour", "minute", "second", "day_of_year"]
EPOCH = datetime(1970, 1, 1)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
EVER = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def parts(kind: str, unit: str = "s") -> Ran:
    return Ran([(DateParts(), {"parts": PARTS, "unit": unit})], kind)


@pytest.fixture(scope="module")
def of_texts() -> Ran:
    return parts("text")


def expected(moments: list[datetime]) -> list[list[float]]:
    return [
        [
            float(part)
            for part in (
                *(moment.year, moment.month, moment.day, moment.weekday(), moment.hour),
                *(moment.minute, moment.second, moment.timetuple().tm_yday),
            )
        ]
        for moment in moments
    ]


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(("unit", "through"), [("s", 1_000_000), ("ms", 1_000), ("us", 1)])
def test_parts_of_numbers_are_those_of_python(unit: str, through: int) -> None:
    ran = parts("number", unit)

    @QUICK
    @given(st.lists(MOMENTS, min_size=1, max_size=200))
    def check(moments: list[datetime]) -> None:
        numbers = np.array([[microseconds(moment) // through] for moment in moments], float)
        assert ran(numbers).tolist() == expected(moments)

    check()


def test_the_last_microsecond_of_a_second_belongs_to_it() -> None:
    last = microseconds(datetime(2200, 1, 1)) - 1
    row = parts("number", "us")(np.array([[last], [-1]], float))
    assert row[:, PARTS.index("second")].tolist() == [59, 59]
    assert row[:, PARTS.index("year")].tolist() == [2199, 1969]


def test_a_fraction_of_a_second_is_rounded_down_also_before_1970() -> None:
    row = parts("number")(np.array([[1.9], [-0.1]], float))
    assert row[:, PARTS.index("second")].tolist() == [1, 59]


@QUICK
@given(
    st.lists(EVER, min_size=1, max_size=200),
    st.sampled_from(["T", " ", "t"]),
    st.sampled_from(["", "Z", "z"]),
)
def test_parts_of_texts_are_those_of_python(
    of_texts: Ran, moments: list[datetime], between: str, zone: str
) -> None:
    written = [moment.isoformat(between) + zone for moment in moments]
    assert of_texts(written).tolist() == expected(moments)


@QUICK
@given(
    st.lists(st.tuples(EVER, st.integers(-1439, 1439), st.sampled_from([":", ""])), min_size=1, max_size=100)
)
def test_a_time_with_an_offset_is_the_same_moment_in_utc(
    of_texts: Ran, rows: list[tuple[datetime, int, str]]
) -> None:
    written, moments = [], []
    for moment, minutes, colon in rows:
        there = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
        text = there.isoformat()
        written.append(text if colon else text[:-3] + text[-2:])
        moments.append(moment)
    assert of_texts(written).tolist() == expected(moments)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-02-29", datetime(2020, 2, 29)),
        ("2020-02-29T10:11", datetime(2020, 2, 29, 10, 11)),
        ("2020-02-29 10:11:12,5", datetime(2020, 2, 29, 10, 11, 12)),
        ("2020-02-29 10:11:12.123456789123456789123", datetime(2020, 2, 29, 10, 11, 12)),
        ("2020-01-01T00:30+02", datetime(2019, 12, 31, 22, 30)),
        ("2020-01-01T00:30-02:30", datetime(2020, 1, 1, 3, 0)),
        ("2020-01-01T00:30:00.5-0230", datetime(2020, 1, 1, 3, 0)),
        ("2000-02-29", datetime(2000, 2, 29)),
        ("0001-01-01", datetime(1, 1, 1)),
        ("9999-12-31T23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_forms_of_a_time(of_texts: Ran, text: str, moment: datetime) -> None:
    assert of_texts([text]).tolist() == expected([moment])


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "x", "2020", "2020-01", "20200101", "2020-W01-1", "1577836800", "01.02.2020", "2020-1-1"),
        *("2020-13-01", "2020-00-01", "2020-01-00", "2020-01-32", "2021-02-29", "1900-02-29", "2020-04-31"),
        *("2020-01-01T", "2020-01-01T24:00", "2020-01-01T10", "2020-01-01T10:60", "2020-01-01T10:00:60"),
        *(
            "2020-01-01Z",
            "2020-01-01T10:00:00.",
            "2020-01-01T10:00+24:00",
            "2020-01-01T10:00+2",
            " 2020-01-01",
        ),
        *("2020-01-01\n", "0000-01-01", "10000-01-01", "-0001-01-01", "0001-01-01T00:00+00:01"),
        *("9999-12-31T23:59-00:01", "٢٠٢٠-٠١-٠١", "2020-01-01T10:00\x00", "2020\N{HYPHEN}01\N{HYPHEN}01"),
    ],
)
def test_what_is_no_time_is_missing_in_every_part(of_texts: Ran, text: str) -> None:
    rows = of_texts([text, "2020-02-29", text])
    assert np.isnan(rows[[0, 2]]).all()
    assert rows[1].tolist() == expected([datetime(2020, 2, 29)])[0]


@QUICK
@given(st.lists(st.text(), max_size=50))
def test_no_text_is_an_error(of_texts: Ran, rows: list[str]) -> None:
    assert of_texts(rows).shape == (len(rows), len(PARTS))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e300, -1e300, 2.6e11, -6.3e10])
def test_a_number_that_is_no_time_is_missing_in_every_part(number: float) -> None:
    rows = parts("number")(np.array([[number], [0.0]]))
    assert np.isnan(rows[0]).all()
    assert rows[1].tolist() == expected([EPOCH])[0]


def test_parts_are_named_after_their_column_in_the_order_asked_for() -> None:
    ran = Ran([(DateParts(), {"parts": ["hour", "year"], "unit": "s"})], "text")
    assert ran.value.names == ("x.hour", "x.year")
    assert ran(["2020-01-01T05:00"]).tolist() == [[5.0, 2020.0]]


def test_several_numbers_a_row_give_every_part_of_each() -> None:
    ran = Ran([(DateParts(), {"parts": ["hour", "day"], "unit": "s"})], "number", width=2)
    assert ran.value.names == ("x0.hour", "x1.hour", "x0.day", "x1.day")
    assert ran(np.array([[3600.0, 86400.0]])).tolist() == [[1.0, 0.0, 1.0, 2.0]]


@pytest.mark.parametrize(("kind", "none"), [("text", []), ("number", np.zeros((0, 1)))])
def test_no_rows_give_no_rows(kind: str, none: Any) -> None:
    assert parts(kind)(none).shape == (0, len(PARTS))
