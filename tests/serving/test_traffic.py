from collections import Counter

import pytest

from fiat.serving.traffic import Weight, choose, draw, is_copied

KEYS = [f"request-{place}" for place in range(20_000)]


def picks(*percents: float) -> list[int]:
    weights = [Weight(f"digest-{place}", percent) for place, percent in enumerate(percents)]
    return [choose(key, weights) for key in KEYS]


@pytest.mark.parametrize("percents", [(95.0, 5.0), (50.0, 50.0), (60.0, 30.0, 10.0), (99.9, 0.1)])
def test_each_version_gets_its_share(percents: tuple[float, ...]) -> None:
    found = Counter(picks(*percents))
    for place, percent in enumerate(percents):
        share = found[place] / len(KEYS) * 100
        assert abs(share - percent) < 4 * (percent * (100 - percent) / len(KEYS)) ** 0.5 + 0.01


def test_the_same_key_goes_to_the_same_version() -> None:
    assert picks(70, 30) == picks(70, 30)


def test_a_version_without_a_share_gets_nothing() -> None:
    assert set(picks(100, 0)) == {0}
    assert set(picks(0, 100)) == {1}


def test_raising_a_weight_moves_keys_to_it_and_no_others() -> None:
    before, after = picks(95, 5), picks(50, 50)
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert moved
    assert set(moved) == {(0, 1)}
    three, more = picks(60, 30, 10), picks(60, 30, 40)
    assert {new for old, new in zip(three, more, strict=True) if old != new} == {2}


def test_where_a_version_stands_in_the_list_does_not_matter() -> None:
    one, two = Weight("a", 30), Weight("b", 70)
    for key in KEYS[:500]:
        assert (one, two)[choose(key, (one, two))] == (two, one)[choose(key, (two, one))]


def test_a_shadow_gets_its_share_whoever_answers() -> None:
    copied = sum(is_copied(key, Weight("digest-1", 20)) for key in KEYS)
    assert abs(copied / len(KEYS) - 0.2) < 0.012
    assert all(is_copied(key, Weight("digest-1", 100)) for key in KEYS[:100])
    answered = [choose(key, [Weight("digest-0", 50), Weight("digest-1", 50)]) for key in KEYS]
    both = sum(
        is_copied(key, Weight("digest-1", 20)) and pick == 1 for key, pick in zip(KEYS, answered, strict=True)
    )
    assert abs(both / len(KEYS) - 0.1) < 0.01


@pytest.mark.parametrize("key", ["", "\ud800", "ä" * 10_000, "\0"])
def test_any_key_that_a_client_can_send_is_drawn(key: str) -> None:
    assert 0 < draw(key, "salt") <= 1
