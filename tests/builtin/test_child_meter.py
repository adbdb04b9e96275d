import pytest

from fiat.builtin.child_meter import Meter


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


def test_the_pace_is_told_once_a_second_at_most_and_only_of_the_time_since() -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    assert meter.pace() is None
    told = []
    for turn in range(8):
        meter.count(100 if turn < 4 else 300)
        clock.now_s += 0.5
        told.append(meter.pace())
    assert told == [None, 200.0, None, 200.0, None, 600.0, None, 600.0]
    assert meter.mean() == pytest.approx(1600 / 4)
    clock.now_s += 10
    assert meter.pace() is None  # nothing came since


def test_time_before_the_first_batch_does_not_count() -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    clock.now_s += 1000
    assert (meter.mean(), meter.pace(), meter.place) == (None, None, "")
    meter.count(10)
    assert meter.mean() is None  # no time has gone by
    clock.now_s += 2
    assert (meter.mean(), meter.place) == (5.0, "batch 1 (10 rows)")


def test_workers_that_share_batches_tell_the_pace_of_all() -> None:
    clock = Clock()
    meter = Meter(workers=4, clock=clock)
    meter.count(1250)
    clock.now_s += 1
    assert (meter.pace(), meter.mean(), meter.place) == (5000.0, 5000.0, "batch 1 (1,250 rows)")
