"""Rollouts of a service under load: good versions go up, worse ones go back by themselves, and no request fails."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.deploy_service import ServiceTarget
from fiat.builtin.service_events import read_events
from fiat.builtin.service_words import rollout_words
from fiat.errors import Stalled
from fiat.serving.release import read_manifest

sys.path.insert(0, str(Path(__file__).parent))
from service_stage import KEEPER, Load, Service, standin_target

QUICK = {"hold": "1s", "min_requests": 20, "steps": [{"percent": 20}, {"percent": 100}]}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Served for real."""
    found = Service(tmp_path, ServiceTarget(keeper_arguments=KEEPER))
    yield found
    found.end()


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Service]:
    found = Service(tmp_path, standin_target())
    yield found
    found.end()


def kinds(service: Service) -> list[str]:
    return [event.kind for event in read_events(service.place.folder)]


@pytest.mark.slow
def test_a_worse_model_goes_back_by_itself_under_load_without_a_failed_request(service: Service) -> None:
    """The new model turns every score around: copies of requests show that it disagrees."""
    service.deploy(1)
    rollout = {**QUICK, "shadow": {"percent": 100, "hold": "20s"}, "abort_on": {"disagreement": 0.1}}
    with Load(service.port) as load:
        request = service.ask(-1, rollout=rollout)
        service.target.apply(request)
        assert service.state.phase in ("rolling", "failed")
        began = time.monotonic()
        state = service.wait(lambda state: state.phase == "failed", 60)
        took_s = time.monotonic() - began
        time.sleep(0.5)
    assert state.digest == service.digest(1)
    assert (state.refused, state.refused_generation) == (request.digest, request.generation)
    assert state.reason.startswith("disagreement is 1 by ")
    assert took_s < 20
    assert load.faults == []
    assert set(load.statuses) == {200}
    assert set(load.versions) == {"1"}
    assert kinds(service)[-2:] == ["stage", "refused"]
    with pytest.raises(Stalled, match="not tried again|refused generation"):
        service.target.apply(request)


@pytest.mark.slow
def test_a_model_whose_answers_drift_goes_back_from_its_share_of_the_traffic(service: Service) -> None:
    service.deploy(1)
    rollout = {**QUICK, "hold": "30s", "abort_on": {"drift": 0.05}}
    with Load(service.port) as load:
        service.deploy(-1, rollout=rollout)
        state = service.wait(lambda state: state.phase == "failed", 60)
        at_refusal = load.versions["2"]
        time.sleep(1.5)
        late = load.versions["2"]
        time.sleep(0.5)
        assert load.versions["2"] == late
    assert state.reason.startswith("drift is ")
    assert 0 < at_refusal <= late
    assert load.faults == []
    assert set(load.statuses) == {200}


@pytest.mark.slow
def test_a_good_model_goes_up_step_by_step_and_the_earlier_one_is_warm_until_the_end(
    service: Service,
) -> None:
    service.deploy(1)
    rollout = {**QUICK, "bake": "1s", "abort_on": {"error_increase": 0.05, "p95_ratio": 100}}
    with Load(service.port) as load:
        service.deploy(2, rollout=rollout)
        seen = set()
        deadline = time.monotonic() + 60
        while (state := service.state).phase != "serving":
            assert time.monotonic() < deadline, state
            seen.add((state.phase, tuple(share.percent for share in state.shares)))
            time.sleep(0.05)
    assert {("rolling", (80.0, 20.0)), ("rolling", (0.0, 100.0)), ("baking", (0.0, 100.0))} <= seen
    assert [share.percent for share in state.shares] == [100.0]
    assert state.digest == service.digest(2)
    assert load.faults == []
    assert set(load.statuses) == {200}
    assert kinds(service)[-5:] == ["loading", "stage", "stage", "stage", "promoted"]


@pytest.mark.slow
def test_labels_that_come_later_send_a_worse_model_back(service: Service) -> None:
    """Both models answer quickly and well-formed; only the labels tell that one of them is wrong."""
    service.deploy(1)
    rollout = {**QUICK, "steps": [{"percent": 50}], "hold": "2s", "abort_on": {"quality_drop": 0.1}}
    with Load(service.port, pause_s=0.02) as load:
        service.deploy(-1, rollout=rollout)
        assert read_manifest(service.place.manifest).log is not None
        service.wait(lambda state: state.phase == "paused")
        load.send_labels(("c", "a"))
        state = service.wait(lambda state: state.phase == "failed", 60)
    assert state.reason.startswith("quality_drop is 1 by ")
    assert load.faults == []
    assert set(load.statuses) == {200}


def test_what_had_all_traffic_before_takes_it_again_at_once(standin: Service) -> None:
    for number in (1, 2):
        standin.deploy(number)
    standin.deploy(1, rollout={**QUICK, "hold": "1h"})
    assert standin.state.phase == "serving"
    assert standin.state.digest == standin.digest(1)


def test_without_requests_a_rollout_waits_and_is_given_up_when_patience_is_over(standin: Service) -> None:
    standin.deploy(1)
    errors = {"error_increase": 0.01}
    standin.deploy(2, rollout={**QUICK, "hold": "200ms", "patience": "2s", "abort_on": errors})
    state = standin.wait(lambda state: state.phase == "paused")
    assert "too few requests to tell: 0 of 20" in state.sentence
    state = standin.wait(lambda state: state.phase == "failed")
    assert state.reason.startswith("given up after a pause of 2 s")
    assert state.digest == standin.digest(1)


def test_a_newer_deploy_takes_the_place_of_one_on_its_way(standin: Service) -> None:
    standin.deploy(1)
    slow = {**QUICK, "hold": "1h"}
    standin.deploy(2, rollout=slow)
    assert [(share.digest, share.percent) for share in standin.state.shares] == [
        (standin.digest(1), 80.0),
        (standin.digest(2), 20.0),
    ]
    standin.deploy(3, rollout=slow)
    assert [share.digest for share in standin.state.shares] == [standin.digest(1), standin.digest(3)]
    standin.deploy(1)
    assert [(share.digest, share.percent) for share in standin.state.shares] == [(standin.digest(1), 100.0)]
    assert standin.state.phase == "serving"
    assert kinds(standin).count("superseded") == 2


def test_the_same_deploy_again_does_not_begin_its_rollout_anew(standin: Service) -> None:
    standin.deploy(1)
    request = standin.deploy(2, rollout={**QUICK, "hold": "1h"})
    before = standin.ledger.moving
    assert before is not None
    standin.target.apply(request)
    assert standin.ledger.moving == before


@pytest.mark.slow
def test_errors_and_slowness_are_found_by_numbers_of_the_same_time(standin: Service) -> None:
    standin.behave(v2={"errors": 0.5}, v3={"latency_s": 0.05})
    standin.deploy(1)
    limits = {"error_increase": 0.05, "p95_ratio": 5}
    for number, name in ((2, "error_increase"), (3, "p95_ratio")):
        with Load(standin.port, 4) as load:
            standin.deploy(
                number, rollout={**QUICK, "hold": "30s", "steps": [{"percent": 50}], "abort_on": limits}
            )
            state = standin.wait(lambda state: state.phase == "failed", 60)
        assert state.reason.startswith(f"{name} is ")
        assert load.faults == []


def test_without_copies_for_it_agreement_is_measured_at_every_step(standin: Service) -> None:
    standin.behave(v2={"disagree": 0.5})
    standin.deploy(1)
    standin.deploy(2, rollout={**QUICK, "hold": "1h", "abort_on": {"disagreement": 0.2}})
    versions = read_manifest(standin.place.manifest).versions
    assert [(v.percent, v.shadow_percent) for v in versions] == [(80.0, 0.0), (20.0, 100.0)]
    with Load(standin.port):
        state = standin.wait(lambda state: state.phase == "failed", 60)
    assert state.reason.startswith("disagreement is ")


def test_the_plan_says_how_long_there_and_back() -> None:
    told = rollout_words({"rollout": {"steps": [{"percent": 10}, {"percent": 100}], "hold": "10m"}})
    assert told.startswith(
        "10 % of the traffic for 10 min, then 100 % of the traffic for 10 min; a promotion takes 20 min"
    )
    assert "going back takes about 1 s" in told
    assert rollout_words({}).startswith("all traffic moves at once")
