"""Words for values, and hostile text made harmless."""

import time
from datetime import timedelta

import pytest
from web_stage import NOW

from fiat.web.words import ago, log_text, moment, number, seconds, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", "␛[31mred"),
        ("a\u202eb", "a<U+202E>b"),
        ("\x00\x7f\x9b", "␀␡<U+009B>"),
        ("line\nline\ttab", "line\nline\ttab"),
        ("\ud800", "<U+D800>"),
        ("zero\u200bwidth\ufeff", "zero<U+200B>width<U+FEFF>"),
    ],
)
def test_characters_that_lie_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m\n", "red\n"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("half\r", "half"),
        ("\x1b[unended", "nended"),
        ("\x1bPq", "␛Pq"),
    ],
)
def test_output_is_shown_as_a_terminal_would_leave_it(text: str, shown: str) -> None:
    assert log_text(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0.0 s"),
        (-3, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (125, "2 m 05 s"),
        (7260, "2 h 01 m"),
        (180_000, "2 d 02 h"),
    ],
)
def test_durations(value: float, shown: str) -> None:
    assert seconds(value) == shown


@pytest.mark.parametrize(
    ("passed", "shown"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=50), "1 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=3), "3 d ago"),
        (timedelta(days=30), "2026-10-22"),
    ],
)
def test_moments(passed: timedelta, shown: str) -> None:
    assert ago(NOW - passed, NOW) == shown
    assert ago(None, NOW) == moment(None) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (float("nan"), "undefined"),
        (float("inf"), "infinite"),
        (float("-inf"), "-infinite"),
        (12345.0, "12,345"),
        (0.93124, "0.9312"),
        (3.14159, "3.142"),
        (12.3456, "12.35"),
        (123.456, "123.5"),
        (1e-7, "1e-07"),
        (1e300, "1e+300"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_a_long_line_costs_no_more_than_its_length() -> None:
    for text in ("x" * 500_000, "\x1b[" * 200_000, "\x1b]" * 200_000, "a\r" * 200_000):
        started = time.perf_counter()
        log_text(text)
        assert time.perf_counter() - started < 2
