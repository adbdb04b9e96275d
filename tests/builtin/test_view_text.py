import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.builtin.view_text import interval, moment, number, output_line, score, seconds, size, visible


@given(st.text(st.characters()))
def test_visible_text_is_one_line_that_can_be_written(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert visible(shown) == shown


def test_usual_text_stays_as_it_is() -> None:
    text = "Größe 東京 שלום 👩‍🔬 ±½ <b>&"
    assert visible(text) == text


def test_a_line_of_output_loses_its_colours() -> None:
    assert output_line("\x1b[1;31mred\x1b[0m\tx\x1b]0;title\x07\r\n") == "red    x"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91234, "0.9123"),
        (12.345, "12.35"),
        (1234.0, "1,234"),
        (1234.56, "1,234.6"),
        (0.0000123, "1.23e-05"),
        (2.5e9, "2.5e+09"),
        (0.0, "0"),
        (-3.25, "-3.250"),
        (math.nan, "undefined"),
        (-math.inf, "-infinite"),
        (None, "-"),
    ],
)
def test_numbers_have_the_decimals_that_matter(value: float | None, text: str) -> None:
    assert number(value) == text


def test_scores_line_up() -> None:
    assert [score(value) for value in (1.0, 0.0, 0.5, 360.0)] == ["1.0000", "0.0000", "0.5000", "360"]
    assert interval(0.9, 1.0) == "0.9000 to 1.0000"
    assert interval(0.9, None) == interval(math.nan, 1.0) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0 s"),
        (1.26, "1.3 s"),
        (9.96, "10 s"),
        (59.6, "1 m 00 s"),
        (125, "2 m 05 s"),
        (12_000, "3 h 20 m"),
    ],
)
def test_durations_are_short(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_are_in_binary_units(value: int, text: str) -> None:
    assert size(value) == text


def test_times_are_in_utc() -> None:
    assert (
        moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))))
        == "2026-01-02 01:04:05 UTC"
    )
    assert moment(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02 00:00:00 UTC"
    assert moment(None) == ""
