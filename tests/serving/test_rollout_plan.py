import sys
from pathlib import Path

from fiat.serving.rollout_plan import RolloutPlan, Stage, describe, promotion_s, rollback_s, seconds_words

sys.path.insert(0, str(Path(__file__).parent))
from rollout_traffic import stages


def test_a_promotion_takes_the_time_of_all_stages() -> None:
    plan = RolloutPlan((*stages(10, 100, hold_s=60), Stage("bake", 100, 600, 50)))
    assert 720 <= promotion_s(plan) <= 730
    assert rollback_s(plan) <= 2


def test_the_way_there_and_back_is_told_in_sentences() -> None:
    plan = RolloutPlan(
        (Stage("shadow", 0, 30, 50, 50), *stages(10, hold_s=60), Stage("bake", 100, 3600, 50)),
        {"error_increase": 0.01},
    )
    assert describe(plan) == (
        "copies of 50 % of the requests for 30 s, then 10 % of the traffic for 1 min, then all traffic for 1 h with the "
        "earlier version warm; a promotion takes 1 h 1 min 34 s or longer, ends on error_increase 0.01 (wrongly at most "
        "once in 100 rollouts), waits up to 1 d when too little is known; going back takes about 1 s, the earlier version "
        "stays loaded until then"
    )
    assert describe(RolloutPlan()).startswith("all traffic moves at once when the new version is loaded")


def test_times_are_told_as_people_tell_them() -> None:
    assert [seconds_words(s) for s in (0.5, 59.96, 60, 3600, 5400, 90061)] == [
        "0.5 s",
        "60 s",
        "1 min",
        "1 h",
        "1 h 30 min",
        "1 d 1 h 1 min 1 s",
    ]
