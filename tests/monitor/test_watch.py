"""A log that grows is cut into windows, each row in one and no window twice."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.monitor.log_files import log_files
from fiat.monitor.log_reading import cut_windows
from fiat.monitor.memory import Memory
from fiat.monitor.model import DriftPlan, QualityPlan, Window
from fiat.monitor.watch import MOST_WINDOWS, new_windows
from fiat.monitor.watched import Watched
from fiat.serving.place import Place
from tests.monitor.watch_stage import (
    DIGEST,
    OTHER,
    logged,
    reference,
    release,
    two_columns,
    write_labels,
    write_log,
)

DRAW = np.random.default_rng(11)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    release(place, reference(two_columns(DRAW, 5000)))
    return place


def look(place: Place, window: int = 100, quality: QualityPlan | None = None) -> list[Window]:
    plan = DriftPlan(max=0.1, window=window)
    watched = Watched(place.predictions, place.labels, place.releases, plan, quality)
    return new_windows(watched, Memory(place.watch))


def test_windows_follow_each_other_over_files_and_looks(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 250)))
    assert [(item.serial, item.begin_s - item.end_s) for item in look(place)] == [(1, -99.0), (2, -99.0)]
    assert look(place) == []
    write_log(place, logged(two_columns(DRAW, 40), first=250), number=1)
    assert look(place) == []
    write_log(place, logged(two_columns(DRAW, 170), first=250), number=1)  # the file grew
    later = look(place)
    assert [item.serial for item in later] == [3, 4]
    times = [(item.begin_s, item.end_s) for item in Memory(place.watch).windows()]
    assert all(second[0] == first[1] + 1 for first, second in pairwise(times))


def test_drift_in_the_log_is_found_with_its_version_commit_and_latency(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 100)))
    write_log(place, logged(two_columns(DRAW, 100, shift=2.0), first=100), number=1)
    clean, moved = look(place)
    assert not clean.alarms
    assert moved.alarms
    assert [item.name for item in moved.columns if item.alarms] == ["amount"]
    assert (moved.version, moved.commit, moved.digest) == ("1", "c0ffee", DIGEST[:8])
    assert moved.latency_us == (800.0, 800.0, 800.0)
    assert moved.episode is not None
    assert clean.episode is None


def test_requests_of_several_rows_are_counted_as_requests(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 600), rows_a_request=3))
    found = look(place)
    assert [(item.n_requests, item.n_rows) for item in found] == [(100, 300), (100, 300)]


def test_versions_have_windows_of_their_own(place: Place) -> None:
    release(place, reference(two_columns(DRAW, 5000, shift=2.0)), OTHER, "beef")
    write_log(place, logged(two_columns(DRAW, 100)))
    write_log(place, logged(two_columns(DRAW, 100, shift=2.0), digest=OTHER), number=1)
    found = look(place)
    assert [(item.digest, item.commit, item.alarms) for item in found] == [
        (DIGEST[:8], "c0ffee", False),
        (OTHER[:8], "beef", False),
    ]


def test_several_servers_write_and_each_row_is_in_one_window(place: Place) -> None:
    for worker in range(3):
        write_log(place, logged(two_columns(DRAW, 70), first=1000 * worker), number=worker, worker=worker)
    assert sum(item.n_rows for item in look(place)) == 200
    for worker in range(3):
        grown = logged(two_columns(DRAW, 140), first=1000 * worker)
        write_log(place, grown, number=worker, worker=worker)
    assert sum(item.n_rows for item in look(place)) == 200
    files = log_files(place.predictions)
    position = Memory(place.watch).windows()[-1].position
    assert sum(position.values()) == 400
    assert list(cut_windows(files, position, 100, 10)) == []


def test_what_is_too_much_for_a_look_is_passed_over_and_counted(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 10 * (MOST_WINDOWS + 15) + 3)))
    found = look(place, window=10)
    assert len(found) == MOST_WINDOWS + 1
    assert found[-1].n_skipped == 150
    assert look(place, window=10) == []


def test_files_that_retention_deleted_or_that_are_damaged_stop_nothing(place: Place) -> None:
    first = write_log(place, logged(two_columns(DRAW, 100)))
    assert len(look(place)) == 1
    first.unlink()
    write_log(place, logged(two_columns(DRAW, 100), first=100), number=1).write_bytes(b"PAR1 half")
    write_log(place, logged(two_columns(DRAW, 100), first=200), number=2)
    assert [item.n_rows for item in look(place)] == [100]


def test_a_package_without_a_profile_is_told(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 100), digest=OTHER))
    (found,) = look(place)
    assert found.columns == ()
    assert found.notes == ("the package bbbbbbbb has no reference profile",)


def test_columns_of_another_width_in_a_later_file_are_joined(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 60)))
    narrow = logged(two_columns(DRAW, 60).select(["city"]), first=60)
    write_log(place, narrow, number=1)
    (found,) = look(place)
    assert {item.name for item in found.columns} == {"city", "amount"}


def test_late_labels_make_windows_of_quality_once_there_are_enough(place: Place) -> None:
    plan = QualityPlan("accuracy", min=0.9, min_labels=50)
    write_log(place, logged(two_columns(DRAW, 99), prediction=pa.array(["cat"] * 99)))
    write_labels(place, [(f"r{n}", "cat") for n in range(30)])
    assert look(place, quality=plan) == []
    write_labels(
        place, [(f"r{n}", "cat" if n % 2 else "dog") for n in range(30, 80)] + [("x", "cat")], number=1
    )
    (found,) = look(place, quality=plan)
    assert found.quality is not None
    assert (found.quality.n_labels, found.quality.value) == (80, 55 / 80)
    assert found.alarms
    assert found.n_unmatched == 1
    write_labels(place, [(f"r{n}", "cat") for n in range(80, 99)], number=2)
    assert look(place, quality=plan) == []
    write_labels(place, [(f"r{n}", "cat") for n in range(99)], number=3)
    (again,) = look(place, quality=plan)
    assert again.quality is not None
    assert again.quality.value == 1.0  # later labels of the same rows took the place of the earlier ones
    assert again.episode is not None
    assert again.episode.clear == 1
