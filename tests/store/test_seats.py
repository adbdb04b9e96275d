import pytest

from fiat.errors import Fenced
from fiat.store.seats import Seat
from fiat.store.store import Store


def test_a_role_has_one_holder_and_the_same_one_may_ask_again(store: Store) -> None:
    seat = store.seats.take("sender", "a:1:0")
    assert seat is not None
    assert (seat.name, seat.holder, seat.fence) == ("sender", "a:1:0", 1)
    assert store.seats.take("sender", "b:2:0") is None
    again = store.seats.take("sender", "a:1:0")
    assert again is not None
    assert again.fence == 1
    other = store.seats.take("reconciler", "b:2:0")
    assert other is not None
    assert store.seats.look("sender").holder == "a:1:0"
    assert store.seats.look("nothing") == Seat("nothing", "", 0, 0)


def test_a_role_that_is_given_back_is_taken_by_the_next(store: Store) -> None:
    seat = store.seats.take("sender", "a:1:0")
    assert seat is not None
    store.seats.give(seat)
    with pytest.raises(Fenced, match="another process is the sender"):
        store.seats.beat(seat)
    following = store.seats.take("sender", "b:2:0")
    assert following is not None
    assert following.fence == 2
    store.seats.give(seat)
    assert store.seats.look("sender").holder == "b:2:0"


def test_a_holder_that_beats_is_not_unseated(store: Store) -> None:
    seat = store.seats.take("sender", "a:1:0")
    assert seat is not None
    seen = store.seats.look("sender")
    store.seats.beat(seat)
    assert store.seats.seize(seen, "b:2:0") is None
    store.seats.beat(seat)


def test_a_holder_that_stands_still_is_unseated_once_and_fenced_out(store: Store) -> None:
    seat = store.seats.take("sender", "a:1:0")
    assert seat is not None
    seen = store.seats.look("sender")
    seized = store.seats.seize(seen, "b:2:0")
    assert seized is not None
    assert (seized.holder, seized.fence) == ("b:2:0", 2)
    assert store.seats.seize(seen, "c:3:0") is None
    with pytest.raises(Fenced):
        store.seats.beat(seat)
    store.seats.beat(seized)
    assert store.seats.take("sender", "a:1:0") is None
