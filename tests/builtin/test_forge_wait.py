"""How long to wait is told by the forge's words and clock."""

import pytest

from fiat.builtin.forge_wait import LONGEST_WAIT_S, asked_wait_s, date_s

NOW_S = 1_750_000_000.0
DATE = "Sun, 15 Jun 2025 15:06:40 GMT"  # NOW_S


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "9" * 40}, LONGEST_WAIT_S),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Sun, 15 Jun 2025 15:08:40 GMT"}, 120),
        ({"retry-after": "Sun, 15 Jun 1025 15:08:40 GMT"}, 1),
        ({"retry-after": "30", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1750000500"}, 30),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1750000500"}, 500),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "1750000500"}, 500),
        ({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "1750000500"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "x"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 1),
    ],
)
def test_the_wait_is_what_the_forge_asks_for(headers: dict[str, str], wait_s: float | None) -> None:
    assert asked_wait_s(headers, NOW_S) == wait_s


@pytest.mark.parametrize("off_s", [-86_400, -3600, 3600, 86_400 * 400])
def test_a_clock_of_ours_that_is_wrong_does_not_matter(off_s: float) -> None:
    left = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1750000500", "date": DATE}
    assert asked_wait_s(left, NOW_S + off_s) == 500
    after = {"retry-after": "Sun, 15 Jun 2025 15:08:40 GMT", "date": DATE}
    assert asked_wait_s(after, NOW_S + off_s) == 120


def test_a_date_that_is_none_is_none() -> None:
    assert date_s({"date": DATE}) == NOW_S
    assert date_s({}) is None
    assert date_s({"date": "yesterday"}) is None
