"""A role that one process has: given, kept, seized from the silent, never by a clock on the wall."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.engine.seated import Seated
from fiat.store.store import Store, open_store

LEASE_S = 30.0


class Clock:
    """Seconds that only grow, by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / ".fiat", now=lambda: datetime.now(UTC)) as store:
        yield store


def seated(store: Store, holder: str, clock: Clock, alive: bool | None = None) -> Seated:
    return Seated(store.seats, "sender", holder, LEASE_S, clock, lambda _: alive)


def test_the_first_has_it_and_the_second_waits(store: Store) -> None:
    clock = Clock()
    one, two = seated(store, "a:1:1", clock), seated(store, "b:2:2", clock)
    assert one.ours()
    assert not two.ours()
    for _ in range(10):
        clock.now_s += LEASE_S / 3
        assert one.ours()
        assert not two.ours()


def test_a_holder_that_gives_it_back_is_followed_at_once(store: Store) -> None:
    clock = Clock()
    one, two = seated(store, "a:1:1", clock), seated(store, "b:2:2", clock)
    assert one.ours()
    one.give()
    assert two.ours()
    assert not one.ours()


def test_a_silent_holder_loses_it_after_a_lease_and_learns_of_it(store: Store) -> None:
    clock = Clock()
    one, two = seated(store, "a:1:1", clock), seated(store, "b:2:2", clock)
    assert one.ours()
    taken_after_s = 0.0
    while not two.ours():
        clock.now_s += 1.0
        taken_after_s += 1.0
    assert LEASE_S <= taken_after_s <= LEASE_S * 1.5
    assert not one.ours()


def test_a_holder_that_is_known_to_be_dead_is_followed_at_once(store: Store) -> None:
    clock = Clock()
    assert seated(store, "a:1:1", clock).ours()
    assert seated(store, "b:2:2", clock, alive=False).ours()


def test_the_same_process_takes_its_own_seat_again(store: Store) -> None:
    clock = Clock()
    assert seated(store, "a:1:1", clock).ours()
    assert seated(store, "a:1:1", clock).ours()


def quick(store: Store, holder: str) -> Seated:
    return Seated(store.seats, "sender", holder, 0.4, time.monotonic, lambda _: None)


def test_a_slow_holder_keeps_it_while_it_says_so(store: Store) -> None:
    one, two = quick(store, "a:1:1"), quick(store, "b:2:2")
    assert one.ours()
    with one.kept():
        give_up_s = time.monotonic() + 1.5
        while time.monotonic() < give_up_s:
            assert not two.ours()
            time.sleep(0.05)
    assert one.ours()


def test_a_holder_that_hangs_loses_it_in_the_end(store: Store) -> None:
    one, two = quick(store, "a:1:1"), quick(store, "b:2:2")
    assert one.ours()
    with one.kept(longest_s=0.3):
        give_up_s = time.monotonic() + 5
        while not two.ours():
            assert time.monotonic() < give_up_s
            time.sleep(0.05)
    assert not one.ours()
