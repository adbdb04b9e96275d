"""The measuring itself: limits, medians and the table. What is measured is no test: `make bench`."""

import importlib.util
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).parent.parent.parent / "bench" / "stopwatch.py"
_found = importlib.util.spec_from_file_location("stopwatch", PLACE)
assert _found is not None
assert _found.loader is not None
stopwatch = importlib.util.module_from_spec(_found)
sys.modules["stopwatch"] = stopwatch  # dataclasses look their module up
_found.loader.exec_module(stopwatch)


def test_a_line_without_limits_is_neither_good_nor_bad() -> None:
    assert stopwatch.Line("help", 0.1).good is None


def test_a_line_is_good_only_when_every_limit_holds() -> None:
    assert stopwatch.Line("idle", 0.5, 1.0, "peer", most_ratio=0.6).good is True
    assert stopwatch.Line("idle", 0.7, 1.0, "peer", most_ratio=0.6).good is False
    assert stopwatch.Line("help", 0.3, 1.0, "peer", most_ratio=0.6, most=0.2).good is False


def test_takes_alternate_and_the_median_of_each_counts() -> None:
    order = []
    ours, peers = iter([3.0, 1.0, 2.0]), iter([30.0, 10.0, 20.0])

    def mine() -> float:
        order.append("mine")
        return next(ours)

    def theirs() -> float:
        order.append("theirs")
        return next(peers)

    assert stopwatch.medians(3, mine, theirs) == [2.0, 20.0]
    assert order == ["mine", "theirs"] * 3


def test_the_table_shows_ratio_limit_and_mark() -> None:
    text = stopwatch.show(
        [
            stopwatch.Line("idle", 0.25, 1.0, "dvc", most_ratio=0.6),
            stopwatch.Line("growth", 2.0, most=1.3, unit=""),
        ]
    )
    assert "250 ms" in text
    assert "1.00 s dvc" in text
    assert "0.25" in text
    assert "ratio 0.6" in text
    assert "good" in text.splitlines()[1]
    assert "OVER" in text.splitlines()[2]


def test_small_times_keep_two_digits_and_memory_its_unit() -> None:
    text = stopwatch.show(
        [
            stopwatch.Line("row", 0.000012, 0.0042, "dvc"),
            stopwatch.Line("process", 85.4, 0.5, "python", unit="MiB"),
        ]
    )
    assert "0.012 ms" in text
    assert "4.2 ms dvc" in text
    assert "85 MiB" in text


def test_a_room_keeps_the_environment_and_home_out(tmp_path: Path) -> None:
    room = stopwatch.Room(tmp_path / "room")
    checkout = room.checkout("c")
    room.run(
        checkout,
        "/bin/sh",
        "-c",
        'test "$HOME" = "$1" && test -z "$FIAT_STORE"',
        "-",
        str(tmp_path / "room/home"),
    )
    with pytest.raises(SystemExit, match="exited with 3"):
        room.run(checkout, "/bin/sh", "-c", "exit 3")
