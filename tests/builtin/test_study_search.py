"""What Tune asks of a study, asked without a Ray."""

import copy
import json
import math
import pickle
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from fiat.builtin.ray_task import cancel_path
from fiat.builtin.study_course import Course
from fiat.builtin.study_job import trial_place
from fiat.builtin.study_ledger import Trial
from fiat.builtin.study_search import StudyEnd, StudySearch, make_scheduler

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
        self.search = StudySearch(
            self.job, self.course, StudyEnd(self.job, self.course, self.cancelled), None
        )

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
    asked.course.machine.mend = "install it"
    assert StudyEnd(asked.job, asked.course, Event(), lambda: 0.0).stop_all()
    assert not stopper("a", {})


class Live:
    """A trial as schedulers know it."""

    def __init__(self, name: str) -> None:
        self.trial_id = name


class Tune:
    """A Tune as schedulers ask it."""

    def get_live_trials(self) -> list[object]:
        return []


def judged(scheduler: TrialScheduler, name: str, *values: float) -> list[str]:
    """What a scheduler says to each value of a trial."""
    trial: Any = Live(name)
    tune: Any = Tune()
    scheduler.on_trial_add(tune, trial)
    said = []
    for at, number in enumerate(values, 1):
        said.append(scheduler.on_trial_result(tune, trial, {"training_iteration": at, "objective": number}))
        if said[-1] == TrialScheduler.STOP:
            break
    return said


def curve(number: int, *values: float) -> Trial:
    return Trial(number, {"x": number}, "done", tuple(enumerate(values, 1)))


GOOD = [curve(number, 0.5, 0.6, 0.7, 0.8) for number in range(1, 6)]


@pytest.mark.parametrize("stop", ["asha", "median"])
def test_a_poor_trial_is_judged_by_those_of_earlier_attempts(stop: Any) -> None:
    assert judged(make_scheduler(stop, "max", GOOD), "poor", 0.1, 0.1, 0.1)[-1] == TrialScheduler.STOP
    assert set(judged(make_scheduler(stop, "max", GOOD), "good", 0.9, 0.9, 0.9)) == {TrialScheduler.CONTINUE}
    assert judged(make_scheduler(stop, "min", GOOD), "good", 0.9, 0.9, 0.9)[-1] == TrialScheduler.STOP
    assert set(judged(make_scheduler(stop, "max", []), "first", 0.1, 0.1)) == {TrialScheduler.CONTINUE}


@pytest.mark.parametrize("stop", ["asha", "median", "none"])
def test_no_trial_is_stopped_for_being_long_and_none_is_paused(stop: Any) -> None:
    scheduler = make_scheduler(stop, "max", [])
    assert set(judged(scheduler, "long", *(place / 1000 for place in range(1000)))) == {
        TrialScheduler.CONTINUE
    }


@pytest.mark.parametrize("stop", ["asha", "median"])
def test_values_that_are_no_number_stop_nobody_else(stop: Any) -> None:
    scheduler = make_scheduler(stop, "max", [curve(1, math.nan, math.nan), *GOOD])
    assert set(judged(scheduler, "good", 0.9, 0.9)) == {TrialScheduler.CONTINUE}
