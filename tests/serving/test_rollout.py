"""The state machine of a rollout: what moves it on, what holds it, what ends it."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.serving.counts import Counts
from fiat.serving.rollout import advance, refuse
from fiat.serving.rollout_checks import Quality, Window
from fiat.serving.rollout_plan import RolloutPlan, Stage, read_plan
from fiat.serving.rollout_state import RolloutState, begin, read_state, shares

sys.path.insert(0, str(Path(__file__).parent))
from rollout_traffic import stages

ERRORS = {"error_increase": 0.05}
WELL = Window(Counts(requests=500, failed=2), Counts(requests=4500, failed=20))
BADLY = Window(Counts(requests=500, failed=100), Counts(requests=4500, failed=20))
FEW = Window(Counts(requests=3), Counts(requests=30))


def after(plan: RolloutPlan, *moments: tuple[float, Window]) -> RolloutState:
    state = begin(plan, 0.0)
    for now_s, window in moments:
        state = advance(plan, state, now_s, window)
    return state


def test_without_stages_it_is_over_at_once() -> None:
    state = begin(RolloutPlan(), 5.0)
    assert state.phase == "done"
    assert shares(RolloutPlan(), state) == (100.0, 0.0)


def test_a_good_version_goes_up_stage_by_stage_when_each_time_is_over() -> None:
    plan = RolloutPlan((*stages(10, 50), Stage("bake", 100, 20, 50)), ERRORS)
    seen = []
    state = begin(plan, 0.0)
    for now_s in range(0, 80, 5):
        state = advance(plan, state, float(now_s), WELL)
        seen.append((state.phase, state.stage))
    order = list(dict.fromkeys(seen))
    assert order == [("running", 0), ("running", 1), ("running", 2), ("done", 2)]
    assert [shares(plan, replace(state, phase="running", stage=n))[0] for n in range(3)] == [10, 50, 100]


def test_a_good_version_waits_for_the_end_of_its_time() -> None:
    plan = RolloutPlan(stages(10, 100), ERRORS)
    assert after(plan, (5.0, WELL), (19.9, WELL)).stage == 0
    assert after(plan, (20.0, WELL)).stage == 1


def test_a_bad_version_is_refused_before_its_time_is_over_with_numbers_as_the_reason() -> None:
    state = after(RolloutPlan(stages(10, 100), ERRORS), (1.0, BADLY))
    assert state.phase == "refused"
    assert state.reason.startswith("error_increase is 0.1956 by 500 requests, limit 0.05, surely above 0.1")
    assert shares(RolloutPlan(stages(10, 100), ERRORS), state) == (0.0, 0.0)


def test_what_is_over_stays_as_it_is() -> None:
    plan = RolloutPlan(stages(10), ERRORS)
    for state in (after(plan, (1.0, BADLY)), after(plan, (20.0, WELL))):
        assert state.over
        assert advance(plan, state, 1e6, BADLY) is state
        assert refuse(state, "late") is state


@pytest.mark.parametrize("failed", [0, 3])
def test_too_few_requests_are_never_a_pass_nor_a_fail(failed: int) -> None:
    """Even when every one of them failed."""
    plan = RolloutPlan(stages(10, 100), ERRORS)
    window = Window(Counts(requests=3, failed=failed), Counts(requests=30))
    state = after(plan, (1.0, window), (19.0, window), (20.0, window))
    assert (state.phase, state.stage) == ("paused", 0)
    assert state.reason == "too few requests to tell: 3 of 50"
    assert {check.verdict for check in state.checks} == {"inconclusive"}


def test_without_any_traffic_the_checks_have_nothing_to_say() -> None:
    limits = dict.fromkeys(
        ("error_ratio", "error_increase", "p95_ms", "p95_ratio", "drift", "quality_drop"), 0.1
    )
    state = after(RolloutPlan(stages(10, 100), limits), (20.0, Window()))
    assert state.phase == "paused"
    assert [(check.verdict, check.estimate) for check in state.checks] == [("inconclusive", None)] * 6


@pytest.mark.parametrize(
    ("what", "expected"), [("pause", ("paused", 0)), ("promote", ("running", 1)), ("abort", ("refused", 0))]
)
def test_what_is_inconclusive_does_what_the_plan_says(what: str, expected: tuple[str, int]) -> None:
    plan = replace(RolloutPlan(stages(10, 100), ERRORS), on_inconclusive=what)
    state = after(plan, (20.0, FEW))
    assert (state.phase, state.stage) == expected


def test_a_pause_ends_when_the_requests_have_come() -> None:
    plan = RolloutPlan(stages(10, 100), ERRORS)
    assert after(plan, (20.0, FEW), (25.0, FEW)).phase == "paused"
    state = after(plan, (20.0, FEW), (25.0, WELL))
    assert (state.phase, state.stage, state.paused_s) == ("running", 1, None)
    assert after(plan, (20.0, FEW), (25.0, BADLY)).phase == "refused"


def test_a_pause_is_given_up_when_patience_is_over() -> None:
    plan = replace(RolloutPlan(stages(10, 100), ERRORS), patience_s=100.0)
    assert after(plan, (20.0, FEW), (119.0, FEW)).phase == "paused"
    state = after(plan, (20.0, FEW), (120.0, FEW))
    assert state.phase == "refused"
    assert state.reason == "given up after a pause of 1 min 40 s: too few requests to tell: 3 of 50"


def test_a_limit_that_is_passed_by_chance_only_is_waited_out() -> None:
    """One failure of fifty is above the limit, and no proof that the version is."""
    plan = RolloutPlan(stages(10, 100), {"error_increase": 0.01})
    near = Window(Counts(requests=50, failed=1), Counts(requests=450, failed=2))
    state = after(plan, (20.0, near))
    assert state.phase == "paused"
    assert "error_increase is 0.01556 by 50 requests, limit 0.01" in state.reason
    later = Window(Counts(requests=200, failed=1), Counts(requests=1800, failed=8))
    assert advance(plan, state, 40.0, later).stage == 1


def test_looks_grow_rarer_so_that_few_share_the_error_rate() -> None:
    plan = RolloutPlan(stages(10, hold_s=1e9), ERRORS)
    state = begin(plan, 0.0)
    for n in range(100_000):
        state = advance(plan, state, 1.0, Window(Counts(requests=n), Counts(requests=9 * n)))
    assert state.looks <= 21
    assert state.phase == "running"


def test_without_limits_only_time_counts() -> None:
    plan = RolloutPlan(stages(10, 100))
    assert after(plan, (20.0, Window()), (40.0, Window())).phase == "done"


def test_at_all_traffic_the_stable_version_of_before_is_compared_with() -> None:
    plan = RolloutPlan(stages(100), ERRORS)
    before = Counts(requests=1000, failed=5)
    assert after(plan, (20.0, Window(Counts(requests=500, failed=2), before=before))).phase == "done"
    assert after(plan, (1.0, Window(Counts(requests=500, failed=90), before=before))).phase == "refused"


def test_a_first_version_without_anything_before_it_is_judged_by_what_needs_no_comparison() -> None:
    plan = RolloutPlan(stages(100), {**ERRORS, "error_ratio": 0.05})
    assert after(plan, (20.0, Window(Counts(requests=500, failed=2)))).phase == "done"
    assert after(plan, (1.0, Window(Counts(requests=500, failed=200)))).phase == "refused"


def test_the_time_at_the_end_needs_no_requests_but_ends_on_bad_ones() -> None:
    plan = RolloutPlan((Stage("bake", 100, 20, 50),), {"error_ratio": 0.05})
    assert after(plan, (20.0, FEW)).phase == "done"
    assert after(plan, (1.0, BADLY)).phase == "refused"


def test_copies_are_judged_by_agreement_distance_and_faults() -> None:
    plan = RolloutPlan(
        (Stage("shadow", 0, 20, 50, 100), *stages(50)),
        {"disagreement": 0.1, "distance": 0.2, "error_ratio": 0.05},
    )
    assert shares(plan, begin(plan, 0.0)) == (0, 100)

    def copies(disagreed: int = 0, distance: float = 10.0, failed: int = 0) -> Window:
        shadow = Counts(
            shadowed=400,
            disagreed=disagreed,
            distance=distance,
            distance_squares=distance**2 / 200,
            shadow_failed=failed,
        )
        return Window(shadow, Counts(requests=400))

    assert after(plan, (20.0, copies())).stage == 1
    for window, name in (
        (copies(disagreed=120), "disagreement"),
        (copies(distance=300.0), "distance"),
        (copies(failed=200), "error_ratio"),
    ):
        state = after(plan, (1.0, window))
        assert state.phase == "refused"
        assert state.reason.startswith(name)


def test_labels_that_come_late_end_a_pause_without_new_requests() -> None:
    plan = RolloutPlan(stages(10, 100), {"quality_drop": 0.05})
    counts = Counts(requests=500), Counts(requests=4500)
    none = Window(*counts)
    state = after(plan, (20.0, none))
    assert (state.phase, state.reason) == ("paused", "quality_drop could not be measured yet")
    good = Window(*counts, canary_quality=Quality(400, 360), stable_quality=Quality(3000, 2700))
    assert advance(plan, state, 22.0, good) is state
    assert advance(plan, state, 31.0, good).stage == 1
    bad = replace(good, canary_quality=Quality(400, 240))
    assert advance(plan, state, 31.0, bad).phase == "refused"


def test_a_clock_that_goes_back_begins_the_time_anew() -> None:
    plan = RolloutPlan(stages(10, 100), ERRORS)
    state = advance(plan, begin(plan, 1000.0), 400.0, WELL)
    assert state.since_s == 400.0
    assert advance(plan, state, 419.0, WELL).stage == 0
    assert advance(plan, state, 420.0, WELL).stage == 1


def test_plan_and_state_survive_json() -> None:
    plan = RolloutPlan((Stage("shadow", 0, 20, 50, 30), *stages(10, 100)), ERRORS, 0.95, "abort", 60.0)
    assert read_plan(json.loads(json.dumps(plan.document()))) == plan
    for state in (after(plan, (1.0, BADLY)), after(plan, (20.0, FEW)), begin(plan, 3.0)):
        assert read_state(json.loads(json.dumps(state.document()))) == state
