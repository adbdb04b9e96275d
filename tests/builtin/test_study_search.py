"""What Tune asks of a study, asked without a Ray."""

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from ray.tune.search import Searcher

from fiat.builtin.ray_task import cancel_path
from fiat.builtin.study_course import Course
from fiat.builtin.study_job import trial_place
from fiat.builtin.study_search import StudyEnd, StudySearch

sys.path.insert(0, str(Path(__file__).parent))
from study_stage import Stage

SPACE = {"x": {"choice": [1, 2, 3]}}
SAID = {
    "reason": "",
    "seconds": 1.0,
    "observed": {},
    "resumed": "",
    "peak_memory_bytes": 0,
    "gpus": [],
    "usage": {},
}


class Asked:
    """A study and what Tune would hold of it."""

    def __init__(self, folder: Path, **study: Any) -> None:
        self.stage = Stage(folder)
        self.job = self.stage.job("", SPACE, **{"sampler": "grid", "trials": 3, **study})
        self.course = Course(self.job)
        self.cancelled = Event()
        self.end = StudyEnd(self.job, self.course, self.cancelled)
        self.search = StudySearch(self.job, self.course, self.end, None)

    def suggest(self, trial_id: str) -> Any:
        found = self.search.suggest(trial_id)
        return json.loads(found["params"]) if isinstance(found, dict) else found

    def states(self) -> list[str]:
        return [trial.state for trial in self.stage.trials()]


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


def value(number: float, step: int = 1) -> dict[str, Any]:
    return {"objective": number, "said": json.dumps({"values": [[step, number]]})}


def end(state: str = "done", values: Any = ((1, 0.5),)) -> dict[str, Any]:
    said = {**SAID, "state": state, "values": values, "mend": "", "metrics": ["score"]}
    return {"objective": 0.5, "done": True, "said": json.dumps(said)}


def test_each_trial_is_given_once_and_then_there_are_no_more(asked: Asked) -> None:
    assert [asked.suggest(name) for name in "abc"] == [{"x": 1}, {"x": 2}, {"x": 3}]
    assert asked.suggest("d") == Searcher.FINISHED


def test_what_a_trial_says_reaches_the_study(asked: Asked) -> None:
    asked.suggest("a")
    asked.search.on_trial_result("a", value(0.25))
    asked.search.on_trial_result("a", end())
    asked.search.on_trial_complete("a", end())
    (trial,) = asked.stage.trials()
    assert (trial.state, trial.values) == ("done", ((1, 0.5),))


def test_a_trial_that_tune_stops_is_poor_and_its_child_is_told_to_end(asked: Asked) -> None:
    asked.suggest("a")
    (trial,) = asked.stage.trials()
    place = trial_place(asked.job, trial.digest)
    place.work_dir.mkdir(parents=True)
    asked.search.on_trial_complete("a", value(0.1, 7))
    assert cancel_path(place).exists()
    assert [(trial.state, trial.values) for trial in asked.stage.trials()] == [("stopped", ((7, 0.1),))]


def test_a_trial_that_ends_with_the_study_has_not_ended(asked: Asked) -> None:
    asked.suggest("a")
    asked.suggest("b")
    asked.course.over = True
    asked.search.on_trial_complete("a", value(0.1))
    asked.search.on_trial_complete("b")
    assert asked.states() == ["running", "running"]
    assert asked.suggest("c") == Searcher.FINISHED


def test_a_cancelled_study_tells_all_its_children_to_end_also_while_it_waits(asked: Asked) -> None:
    places = []
    for name in "ab":
        asked.suggest(name)
        places.append(trial_place(asked.job, asked.stage.trials()[-1].digest))
        places[-1].work_dir.mkdir(parents=True)
    asked.cancelled.set()
    assert asked.suggest("c") == Searcher.FINISHED
    assert [cancel_path(place).exists() for place in places] == [True, True]
    assert asked.states() == ["running", "running"]


def test_a_worker_that_dies_again_and_again_fails_its_trial(asked: Asked) -> None:
    asked.suggest("a")
    asked.search.on_trial_complete("a", error=True)
    assert asked.states() == ["failed"]
    assert asked.stage.trials()[0].reason == "the worker that ran it died"


def test_children_that_end_with_the_owner_of_the_study_do_not_fail(tmp_path: Path) -> None:
    owner = subprocess.Popen(["sleep", "60"])
    asked = Asked(tmp_path)
    search = StudySearch(replace(asked.job, owner_pid=owner.pid), asked.course, asked.end, None)
    for name in "ab":
        search.suggest(name)
    search.on_trial_complete("a", error=True)
    owner.kill()
    owner.wait()
    search.on_trial_complete("b", error=True)
    assert asked.states() == ["failed", "running"]


def test_a_disk_that_refuses_ends_the_study_and_blames_no_trial(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.suggest("a")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    asked.search.on_trial_complete("a", end())
    machine = asked.course.machine
    assert machine.reason == "the search can't be written down: [Errno 28] No space left on device"
    assert "make room" in machine.mend
    assert asked.suggest("b") == Searcher.FINISHED
    assert asked.states() == ["running"]


def test_tune_counts_the_values_of_a_trial_from_its_first_attempt_on(asked: Asked) -> None:
    asked.suggest("a")
    for step in (1, 2, 3):
        asked.search.on_trial_result("a", value(0.1, step))
    assert asked.search.place_of("a", value(0.1, 4)) == 4
    again = {"objective": 0.1, "said": json.dumps({"values": [[3, 0.1]], "begins": True})}
    assert asked.search.place_of("a", again) == 3
    asked.search.on_trial_result("a", again)
    assert asked.search.place_of("a", value(0.1, 4)) == 4


def test_tune_copies_and_writes_down_nothing_of_it(asked: Asked) -> None:
    for ours in (asked.search, StudyEnd(asked.job, asked.course, Event())):
        assert copy.deepcopy(ours) is ours
        assert copy.copy(ours) is ours
        assert b"starts" not in pickle.dumps(ours)


def test_a_study_ends_when_it_is_cancelled_took_too_long_or_its_machine_can_run_nothing(
    tmp_path: Path,
) -> None:
    asked, now, cancelled = Asked(tmp_path, timeout_s=10.0), [0.0], Event()
    stopper = StudyEnd(asked.job, asked.course, cancelled, lambda: now[0])
    now[0] = 9.9
    assert not stopper.stop_all()
    now[0] = 10.0
    assert stopper.stop_all()
    assert stopper.timed_out
    assert asked.course.over
    assert asked.suggest("a") == Searcher.FINISHED

    asked.course.over = False
    other = StudyEnd(asked.job, asked.course, cancelled, lambda: 0.0)
    assert not other.stop_all()
    cancelled.set()
    assert other.stop_all()
    assert not other.timed_out

    asked.course.over = False
    asked.course.edited = "train.py"
    assert StudyEnd(asked.job, asked.course, Event(), lambda: 0.0).stop_all()

    asked.course.over, asked.course.edited = False, ""
    asked.course.machine.mend = "install it"
    assert StudyEnd(asked.job, asked.course, Event(), lambda: 0.0).stop_all()
    assert not stopper("a", {})
