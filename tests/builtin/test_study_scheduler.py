"""What ends poor trials, asked without a Ray."""

import math
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from fiat.builtin.study_ledger import Trial
from fiat.builtin.study_scheduler import make_scheduler

NAN = math.nan


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


@pytest.mark.parametrize("stop", ["asha", "median"])
def test_a_trial_that_says_no_number_at_first_is_judged_by_its_first_number(stop: Any) -> None:
    scheduler = make_scheduler(stop, "max", GOOD)
    assert set(judged(scheduler, "late", NAN, -math.inf, 0.9, 0.9)) == {TrialScheduler.CONTINUE}
    assert judged(scheduler, "poor", NAN, 0.1, 0.1, 0.1)[-1] == TrialScheduler.STOP


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("stop", ["asha", "median"])
def test_trials_that_are_all_alike_go_on(stop: Any, mode: Any) -> None:
    scheduler = make_scheduler(stop, mode, [])
    for name in "abcdef":
        assert set(judged(scheduler, name, 0.1, 0.7, 0.7)) == {TrialScheduler.CONTINUE}


def test_with_few_trials_asha_stops_what_is_worse_than_the_one_before_and_median_nobody() -> None:
    asha, median = make_scheduler("asha", "min", []), make_scheduler("median", "min", [])
    for scheduler, last in ((asha, TrialScheduler.STOP), (median, TrialScheduler.CONTINUE)):
        assert judged(scheduler, "first", 0.5) == [TrialScheduler.CONTINUE]
        assert judged(scheduler, "better", 0.4) == [TrialScheduler.CONTINUE]
        assert judged(scheduler, "worse", 0.6) == [last]


@pytest.mark.parametrize("stop", ["asha", "median"])
def test_the_end_of_a_trial_tells_nothing_new(stop: Any) -> None:
    scheduler = make_scheduler(stop, "max", [])
    judged(scheduler, "short", 0.9, 0.9)
    tune, trial = Tune(), Live("short")
    scheduler.on_trial_complete(tune, trial, {"training_iteration": 3, "objective": 0.9})  # type: ignore[arg-type]
    for name in "abcd":
        assert judged(scheduler, name, 0.9, 0.9, 0.5)[-1] == TrialScheduler.CONTINUE


def test_a_trial_that_went_on_is_judged_at_its_place_in_the_whole_course() -> None:
    scheduler = make_scheduler("asha", "max", GOOD, lambda name, result: 30 + result["training_iteration"])
    assert judged(scheduler, "resumed", 0.95) == [TrialScheduler.CONTINUE]
    # Its late value is no measure for the first values of others.
    scheduler.place_of = None  # type: ignore[attr-defined]
    assert judged(scheduler, "fresh", 0.55) == [TrialScheduler.CONTINUE]


def test_the_values_of_a_long_curve_of_an_earlier_attempt_stand_where_they_were() -> None:
    long = [Trial(n, {"x": n}, "done", ((0, 0.5), (2699, 0.9)), n_reports=2700) for n in range(1, 4)]
    scheduler = make_scheduler("asha", "max", long)
    assert judged(scheduler, "early", *([0.6] * 900)) == [TrialScheduler.CONTINUE] * 900
