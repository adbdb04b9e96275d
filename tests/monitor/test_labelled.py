"""Labels that came late: joined to their rows, the newest wins, and every interval holds what it says."""

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, root_mean_squared_error

from fiat.errors import EnvironmentFault
from fiat.monitor.ask import ask_quality
from fiat.monitor.labelled import quality_by_version
from fiat.monitor.model import QualityPlan
from fiat.monitor.tally import Tally, judge
from fiat.serving.place import Place
from tests.monitor.watch_stage import DIGEST, OTHER, START_S, logged, two_columns, write_labels, write_log

DRAW = np.random.default_rng(3)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def quality(place: Place, since_s: float = 0.0) -> dict[str, Tally]:
    return dict(quality_by_version(place.predictions, place.labels, since_s).versions)


def test_classes_are_judged_by_the_newest_label_of_each_row(place: Place) -> None:
    said = ["cat", "dog", "cat", "cat"]
    write_log(place, logged(two_columns(DRAW, 4), prediction=pa.array(said)))
    write_labels(place, [("r0", "cat"), ("r1", "cat"), ("r2", "dog"), ("nobody", "cat")])
    write_labels(place, [("r1", "dog")], number=1)
    found = quality_by_version(place.predictions, place.labels, 0.0)
    truth = ["cat", "dog", "dog"]
    assert found.versions[DIGEST].n == 3
    assert found.versions[DIGEST].value("accuracy") == accuracy_score(truth, said[:3])
    assert found.n_unmatched == 1


def test_numbers_are_judged_by_their_errors(place: Place) -> None:
    said, truth = DRAW.normal(size=50), DRAW.normal(size=50)
    write_log(place, logged(two_columns(DRAW, 50), prediction=pa.array(said)))
    write_labels(place, [(f"r{n}", float(value)) for n, value in enumerate(truth)])
    found = quality(place)[DIGEST]
    assert found.value("mae") == pytest.approx(mean_absolute_error(truth, said))
    assert found.value("rmse") == pytest.approx(root_mean_squared_error(truth, said))


@pytest.mark.parametrize(("said", "label"), [("7", 7), ("7", 7.0), ("7.0", "7"), ("true", True), ("x", "x")])
def test_a_class_is_the_same_however_it_is_written(place: Place, said: str, label: object) -> None:
    write_log(place, logged(two_columns(DRAW, 1), prediction=pa.array([said])))
    write_labels(place, [("r0", label)])
    assert quality(place)[DIGEST].n_right == 1


def test_versions_are_told_apart_and_old_requests_do_not_count(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 10), prediction=pa.array(["cat"] * 10)))
    other = logged(two_columns(DRAW, 10), first=10, digest=OTHER, prediction=pa.array(["dog"] * 10))
    write_log(place, other, number=1)
    write_labels(place, [(f"r{n}", "cat") for n in range(20)])
    found = quality(place)
    assert (found[DIGEST].n_right, found[OTHER].n_right) == (10, 0)
    late = quality(place, START_S + 5)
    assert (late[DIGEST].n, late[OTHER].n) == (5, 10)
    assert quality_by_version(place.predictions, place.labels, START_S + 5).n_unmatched == 0


def test_nothing_is_read_where_there_are_no_labels(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 10))).write_bytes(b"damaged")
    assert quality(place) == {}


def test_damaged_files_are_passed_over(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 2), prediction=pa.array(["cat", "cat"])))
    write_log(place, logged(two_columns(DRAW, 2), first=2), number=1).write_bytes(b"PAR1 half")
    write_labels(place, [("r0", "cat"), ("r2", "cat")])
    assert quality(place)[DIGEST].n == 1


@pytest.mark.parametrize("metric", ["mae", "rmse", "accuracy"])
def test_intervals_hold_the_true_value_as_often_as_they_say(metric: str) -> None:
    true = {"mae": math.sqrt(2 / math.pi), "rmse": 1.0, "accuracy": 0.8}[metric]
    held = 0
    for _ in range(1000):
        errors = DRAW.normal(size=200)
        tally = Tally(
            200,
            int(DRAW.binomial(200, 0.8)),
            200,
            float(np.abs(errors).sum()),
            float((errors**2).sum()),
            float((errors**4).sum()),
        )
        low, high = tally.interval(metric, 0.95)  # type: ignore[arg-type]
        held += low <= true <= high
    assert 0.92 < held / 1000 < 0.98


def test_an_alarm_needs_enough_labels_and_more_than_chance() -> None:
    plan = QualityPlan("accuracy", min=0.9, min_labels=100)
    assert judge(Tally(n=400, n_right=300), plan).alarms
    assert not judge(Tally(n=400, n_right=352), plan).alarms  # 0.88: such a thing happens
    assert not judge(Tally(n=90, n_right=10), plan).alarms
    assert not judge(Tally(n=400, n_right=390), plan).alarms
    high = QualityPlan("mae", max=1.0, min_labels=10)
    assert judge(Tally(100, 0, 100, 200.0, 500.0, 3000.0), high).alarms
    assert not judge(Tally(), high).alarms


def test_a_child_says_the_same_and_is_not_started_without_labels(place: Place) -> None:
    write_log(place, logged(two_columns(DRAW, 4), prediction=pa.array([1.0, 2.0, 3.0, 4.0])))
    assert ask_quality(place.predictions, place.labels, 0.0, timeout_s=0.0).versions == {}
    write_labels(place, [("r0", 1.5), ("r1", 2), ("lost", 1)])
    found = ask_quality(place.predictions, place.labels, 0.0)
    assert found == quality_by_version(place.predictions, place.labels, 0.0)
    assert found.versions[DIGEST].value("mae") == 0.25
    with pytest.raises(EnvironmentFault, match="looked at"):
        ask_quality(place.predictions, place.labels, 0.0, timeout_s=0.001)
