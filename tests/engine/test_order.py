from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from fiat.engine.order import Order

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Hands:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


def test_a_clock_that_is_set_back_changes_no_order_and_counts_again_when_it_has_caught_up() -> None:
    hands = Hands()
    order = Order(hands, lambda: "x")
    before, moment = order.new_id(), order.now()
    hands.at = NOON - timedelta(hours=1)
    assert order.new_id() > before
    assert order.now() > moment
    assert order.now() - moment < timedelta(milliseconds=1)
    hands.at = NOON + timedelta(hours=1)
    assert order.now() == NOON + timedelta(hours=1)


def test_what_another_clock_wrote_is_before_whatever_comes() -> None:
    order = Order(Hands(), lambda: "x")
    ahead = NOON + timedelta(minutes=7)
    order.after(ahead)
    order.after(None)
    order.after(NOON - timedelta(days=1))
    assert order.now() > ahead
    assert order.new_id().startswith("20260102-120700")


def test_threads_at_once_get_different_times_and_ids() -> None:
    order = Order(Hands(), lambda: "same")
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: order.new_id(), range(500)))
    assert len(set(ids)) == 500
