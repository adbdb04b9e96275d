"""Keeper and server are killed at any moment of a rollout: old or new answers, and the rollout ends as it should."""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.service_events import read_events
from fiat.builtin.service_process import start_keeper

sys.path.insert(0, str(Path(__file__).parent))
from service_stage import STANDIN_KEEPER, Load, Service, standin_target

SEED = 20261126
ROLLOUTS, KILLS = 8, 4
RESTART_S = 8.0
ROLLOUT = {
    "steps": [{"percent": 10}, {"percent": 50}, {"percent": 100}],
    "hold": "500ms",
    "bake": "300ms",
    "min_requests": 5,
    "on_inconclusive": "pause",
    "abort_on": {"error_ratio": 0.2},
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    found = Service(tmp_path, standin_target())
    yield found
    found.end()


@pytest.mark.slow
def test_whatever_is_killed_the_old_or_the_new_answers_and_the_rollout_ends_well(service: Service) -> None:
    chance = random.Random(SEED)
    service.behave(v2={"errors": 0.0}, v3={"errors": 0.9})
    service.deploy(1)
    for rollout in range(ROLLOUTS):
        number = (2, 3)[rollout % 2] if rollout % 4 < 2 else 4 + rollout
        good = number != 3
        before = read_events(service.place.folder)[-1].n
        stable = service.ledger.stable
        assert stable is not None
        with Load(service.port, pause_s=0.004) as load:
            request = service.ask(number, rollout=ROLLOUT)
            service.target.apply(request)
            disturbed = _disturb(service, chance)
            state = service.wait(lambda state: state.phase in ("serving", "failed") and not state.faults, 60)
        told = f"seed {SEED}, rollout {rollout}, {state}, {load.faults[-3:]}"
        assert state.digest == (request.digest if good else stable.digest), told
        assert state.refused == ("" if good else request.digest), told
        assert load.statuses[503] == 0, told
        assert _longest_gap(load) < RESTART_S, told
        if not disturbed:
            assert load.faults == [], told
        events = read_events(service.place.folder, before)
        assert [event.n for event in events] == list(range(before + 1, before + 1 + len(events))), told
        ends = [event.kind for event in events if event.kind in ("promoted", "refused")]
        assert ends == ["promoted" if good else "refused"], told
        stages = [event.sentence for event in events if event.kind == "stage"]
        assert len(set(stages)) == len(stages), told


def _disturb(service: Service, chance: random.Random) -> int:
    """Kill at random moments, and let a keeper come after each, as a runner does; how many servers were killed."""
    servers = 0
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.0, 0.6))
        what = chance.choice(("keeper", "keeper", "server", "both"))
        if what != "keeper" and servers < 2:
            servers += 1
            service.kill_server()
        if what != "server":
            service.kill_keeper()
        time.sleep(chance.uniform(0.0, 0.2))
        start_keeper(service.place, STANDIN_KEEPER)
    return servers


def _longest_gap(load: Load) -> float:
    """Longest stretch of faults without a pause of a second between them."""
    longest, began, last = 0.0, None, 0.0
    for at, _ in sorted(load.faults):
        if began is None or at - last > 1.0:
            began = at
        last = at
        longest = max(longest, last - began)
    return longest
