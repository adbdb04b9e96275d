import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.builtin.view_spark import WIDTH, Course, course_line, mean_of, spans_decades, sparkline

ANY = st.floats(allow_nan=True, allow_infinity=True)


def course_of(values: list[float]) -> Course:
    course = Course()
    for value in values:
        course.add(value)
    return course


@pytest.mark.parametrize("value", [1.7976931348623157e308, -1.7976931348623157e308, 5e-324, 0.1, 3.0])
def test_the_mean_of_equal_numbers_is_that_number_however_large_and_many(value: float) -> None:
    for n_values in range(1, 60):
        assert mean_of([value] * n_values) == value
    assert mean_of([1.0, 2.0, 6.0]) == 3.0


def test_what_falls_by_decades_is_drawn_by_its_logarithm() -> None:
    assert course_line([100.0, 10.0, 1.0]) == "█▅▁"
    assert sparkline([100.0, 10.0, 1.0]) == "█▁▁"
    assert course_line([1.0, 0.5, 0.0]) == "█▅▁"


@pytest.mark.parametrize(
    ("values", "spans"),
    [
        ([1.0, 99.0], False),
        ([1.0, 100.0], True),
        ([0.0, 100.0], False),
        ([math.nan], False),
        ([1e-300, 1e300], True),
    ],
)
def test_two_decades_above_zero_are_decades(values: list[float], spans: bool) -> None:
    assert spans_decades(values) is spans


def test_a_short_course_is_kept_as_it_is() -> None:
    course = course_of([3.0, 2.0, math.nan, 1.0])
    assert course.values()[:2] == [3.0, 2.0]
    assert math.isnan(course.values()[2])
    assert (course.last, course.n_values) == (1.0, 4)


def test_a_long_course_keeps_its_shape_in_little_memory() -> None:
    course = course_of([float(at) for at in range(200_000)])
    values = course.values()
    assert 2 * WIDTH <= len(values) <= 4 * WIDTH
    assert values == sorted(values)
    assert values[0] < 2_000
    assert values[-1] > 195_000
    assert course.last == 199_999.0


@given(st.lists(ANY, max_size=700), st.integers(1, 60))
def test_any_course_fits_its_place(values: list[float], width: int) -> None:
    drawn = course_line(course_of(values).values(), width)
    assert len(drawn) == min(width, len(course_of(values).values()))
    assert set(drawn) <= set("▁▂▃▄▅▆▇█·")
