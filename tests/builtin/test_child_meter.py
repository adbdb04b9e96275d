import struct
from pathlib import Path

import pytest

from fiat.builtin.batch_mark import read_mark
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


def test_the_batch_is_marked_where_it_is_found_after_a_kill(tmp_path: Path) -> None:
    assert read_mark(str(tmp_path)) == ""
    meter = Meter(home=tmp_path)
    assert read_mark(str(tmp_path)) == ""
    for n_rows in (128, 128, 44):
        meter.count(n_rows)
    assert read_mark(str(tmp_path)) == "batch 3 (44 rows)" == meter.place


def test_a_mark_that_user_code_wrote_is_believed_only_when_it_is_one(tmp_path: Path) -> None:
    mark = tmp_path / ".batch"
    for content in (b"", b"short", struct.pack("<qq", -3, 5), struct.pack("<qq", 3, -5)):
        mark.write_bytes(content)
        assert read_mark(str(tmp_path)) == ""
    mark.unlink()
    mark.symlink_to("/dev/zero")
    assert read_mark(str(tmp_path)) == ""
    Meter(home=tmp_path / "gone").count(5)  # a home that is not there costs a sentence only
