"""The stated error rate holds over a whole rollout, and what is bad is found: both by simulated traffic."""

import sys
from pathlib import Path

import numpy as np
import pytest

from fiat.serving.rollout_plan import RolloutPlan

sys.path.insert(0, str(Path(__file__).parent))
from rollout_traffic import Behaviour, Traffic, roll, stages

LIMITS = {"error_increase": 0.0, "p95_ratio": 1.0, "drift": 0.0}
GOOD = Behaviour()


def _endings(plan: RolloutPlan, canary: Behaviour, n: int, a_second: int = 50) -> list[tuple[str, int]]:
    found = []
    for seed in range(n):
        traffic = Traffic(np.random.default_rng(seed), GOOD, canary, a_second)
        found.append((roll(plan, traffic).phase, traffic.canary_requests))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_an_equally_good_version_is_refused_no_more_often_than_stated(confidence: float) -> None:
    """The limits are the hardest ones: equally good is right at them. Many looks, three stages, three checks."""
    plan = RolloutPlan(
        stages(10, 50, 100, hold_s=40), LIMITS, confidence=confidence, on_inconclusive="promote"
    )
    endings = _endings(plan, GOOD, 300)
    refused = sum(phase == "refused" for phase, _ in endings)
    assert {phase for phase, _ in endings} <= {"done", "refused"}
    # At most what chance makes of the stated rate: three standard deviations over it.
    rate = 1 - confidence
    assert refused <= 300 * rate + 3 * (300 * rate * confidence) ** 0.5
    assert refused / 300 <= rate


@pytest.mark.slow
def test_a_wider_limit_lets_every_equally_good_version_through() -> None:
    limits = {"error_increase": 0.02, "p95_ratio": 1.5, "drift": 0.05, "error_ratio": 0.05}
    plan = RolloutPlan(stages(10, 50, 100, min_requests=100), limits)
    assert [phase for phase, _ in _endings(plan, GOOD, 40)] == ["done"] * 40


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "canary", "most"),
    [
        ("five points more errors", Behaviour(errors=0.06), 1500),
        ("every fifth request fails", Behaviour(errors=0.21), 300),
        ("twice as slow", Behaviour(time_s=0.02), 1500),
        ("answers otherwise", Behaviour(classes=(0.2, 0.3, 0.5)), 1500),
    ],
)
def test_a_bad_version_is_found_within_a_bounded_number_of_its_requests(
    name: str, canary: Behaviour, most: int
) -> None:
    limits = {"error_increase": 0.01, "p95_ratio": 1.3, "drift": 0.02}
    plan = RolloutPlan(stages(10, 50, 100, hold_s=60), limits)
    endings = _endings(plan, canary, 40)
    assert {phase for phase, _ in endings} == {"refused"}, name
    assert max(requests for _, requests in endings) <= most, name


def test_a_version_that_fails_always_is_found_in_its_first_requests() -> None:
    plan = RolloutPlan(stages(10, 100, min_requests=20), {"error_increase": 0.01})
    endings = _endings(plan, Behaviour(errors=1.0), 20)
    assert {phase for phase, _ in endings} == {"refused"}
    assert max(requests for _, requests in endings) <= 40
