"""The target `service`: what every target must do, and what only this one does. The server is the real one, or a stand-in
where it has to behave badly."""

import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.deploy_service import ServiceTarget
from fiat.builtin.service_events import read_events
from fiat.builtin.service_process import keeper_of, lock_holders
from fiat.builtin.service_stop import stop
from fiat.errors import EnvironmentFault, SpecError, Stalled
from fiat.ports.deploy import DeployRequest
from fiat.serving.place import Place
from fiat.serving.release import read_manifest
from fiat.testing.deploy_suite import DeploySuite, Read

sys.path.insert(0, str(Path(__file__).parent))
from service_stage import KEEPER, Load, Service, end_service, standin_target

PATIENCE_S = 0.05


class TestConformance(DeploySuite):
    @pytest.fixture
    def target(self) -> ServiceTarget:
        return standin_target(lock_wait_s=PATIENCE_S)

    @pytest.fixture
    def settings(self) -> Mapping[str, object]:
        return {"to": "service", "path": "services"}

    @pytest.fixture
    def stride(self) -> int:
        return 11

    @pytest.fixture
    def root(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "root"
        folder.mkdir()
        yield folder
        end_service(Place(folder / "services" / "tiny"))

    @pytest.fixture
    def read_back(self) -> Read:
        def read(request: DeployRequest) -> Mapping[str, bytes] | None:
            place = Place(request.root / "services" / "tiny")
            folder = place.releases / request.digest
            return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None

        return read


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


def test_looking_where_nothing_is_makes_nothing(service: Service) -> None:
    assert service.target.observe(service.ask(1)) is None
    assert service.state.phase == "absent"
    assert not (service.folder / "root").exists()


def test_a_model_is_served_and_another_takes_its_place_without_a_failed_request(service: Service) -> None:
    service.deploy(1)
    state = service.state
    assert (state.phase, state.digest, state.faults) == ("serving", service.digest(1), ())
    assert state.url == f"http://127.0.0.1:{service.port}"
    assert [(share.digest, share.percent) for share in state.shares] == [(service.digest(1), 100.0)]
    with Load(service.port) as load:
        service.deploy(2)
        service.deploy(3)
        service.deploy(1)
        time.sleep(0.3)
    assert load.faults == []
    assert set(load.statuses) == {200}
    assert set(load.versions) == {"1", "2", "3"}
    assert service.state.digest == service.digest(1)


def test_applying_again_changes_nothing(service: Service) -> None:
    request = service.deploy(1)
    before = service.place.wanted.read_bytes(), keeper_of(service.place), service.ledger
    service.target.apply(request)
    assert before == (service.place.wanted.read_bytes(), keeper_of(service.place), service.ledger)


def test_versions_are_counted_and_known_again(service: Service) -> None:
    for number in (1, 2, 1):
        service.deploy(number)
    assert read_manifest(service.place.manifest).versions[0].name == "1"
    service.deploy(3, version="2026-autumn")
    assert read_manifest(service.place.manifest).versions[0].name == "2026-autumn"


def test_the_one_before_stays_on_disk_and_older_ones_go(service: Service) -> None:
    for number in (1, 2, 3):
        service.deploy(number)
    expected = {service.digest(2), service.digest(3)}
    deadline = time.monotonic() + 10
    while {path.name for path in service.place.releases.iterdir()} != expected:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_keeper_is_seen_and_mended_and_its_server_lives_on(service: Service) -> None:
    request = service.deploy(1)
    with Load(service.port) as load:
        service.kill_keeper()
        assert service.wait(lambda state: state.phase == "broken").faults == ("its keeper is gone",)
        service.target.apply(request)
    assert service.state.faults == ()
    assert load.faults == []
    assert set(load.statuses) == {200}


def test_a_killed_server_is_started_again_on_its_port(service: Service) -> None:
    service.deploy(1)
    port = service.port
    service.kill_server()
    service.wait(lambda state: bool(state.faults))
    service.wait(lambda state: state.phase == "serving")
    assert service.port == port
    assert [event.kind for event in read_events(service.place.folder)].count("server") == 1


def test_a_keeper_that_can_write_no_line_cares_for_its_server_on(service: Service) -> None:
    service.place.logs.mkdir(parents=True)
    (service.place.logs / "keeper.log").symlink_to("/dev/full")
    service.deploy(1)
    wanted = service.place.wanted.read_bytes()
    service.place.wanted.write_bytes(b"{")  # something to complain about
    time.sleep(1.5)
    service.place.wanted.write_bytes(wanted)
    service.kill_server()
    service.wait(lambda state: not state.faults)


def test_a_changed_file_is_seen_and_mended(service: Service) -> None:
    request = service.deploy(1)
    path = service.place.releases / service.digest(1) / "model.onnx"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert service.state.faults == ("model.onnx of version 1 is gone or was changed",)
    service.target.apply(request)
    service.wait(lambda state: state.faults == ())
    service.kill_server()
    service.wait(lambda state: state.phase == "serving" and not state.faults)


def test_a_manifest_that_somebody_changed_is_put_right(service: Service) -> None:
    service.deploy(1)
    before = service.place.manifest.read_bytes()
    service.place.manifest.write_text("{}")
    deadline = time.monotonic() + 10
    while service.place.manifest.read_bytes() != before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stopped_service_is_gone_until_it_is_deployed_again(service: Service) -> None:
    service.deploy(1)
    port = service.port
    assert stop(service.place.folder)
    assert lock_holders(service.place.folder / "server.lock") == []
    assert (service.state.phase, service.target.observe(service.ask(1, 0))) == ("absent", None)
    assert not stop(service.place.folder)
    service.deploy(1)
    assert service.state.phase == "serving"
    assert service.port == port
    assert "server" not in {event.kind for event in read_events(service.place.folder)}


def test_when_the_folder_goes_keeper_and_server_go(service: Service) -> None:
    service.deploy(1)
    keeper = keeper_of(service.place)
    assert keeper is not None
    port = service.port
    shutil.rmtree(service.place.folder)
    deadline = time.monotonic() + 10
    while keeper.alive:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with Load(port, 1) as load:
        time.sleep(0.1)
    assert load.statuses == {}


def test_a_version_that_cannot_be_loaded_is_refused_and_the_one_before_serves_on(standin: Service) -> None:
    standin.behave(v2={"load": "its warm-up failed"})
    standin.deploy(1)
    request = standin.ask(2)
    with Load(standin.port) as load, pytest.raises(SpecError, match="it can't be loaded: its warm-up failed"):
        standin.target.apply(request)
    assert load.faults == []
    assert set(load.versions) == {"1"}
    state = standin.state
    assert (state.phase, state.digest) == ("failed", standin.digest(1))
    assert (state.refused, state.refused_generation) == (standin.digest(2), 2)
    assert standin.target.observe(request) == standin.digest(1)
    with pytest.raises(Stalled, match="refused generation 2 already: it can't be loaded"):
        standin.target.apply(request)


def test_a_first_version_that_cannot_be_loaded_leaves_nothing_behind(standin: Service) -> None:
    standin.behave(v1={"load": "no"})
    with pytest.raises(SpecError, match="nothing is served"):
        standin.deploy(1)
    assert standin.target.observe(standin.ask(1)) is None
    assert standin.state.phase == "failed"
    standin.deploy(2)
    assert standin.state.digest == standin.digest(2)


def test_a_version_that_kills_its_server_is_refused_and_the_one_before_is_up_again(standin: Service) -> None:
    standin.behave(v2={"die": True})
    standin.deploy(1)
    with pytest.raises(SpecError, match="the server died 3 times while it was loaded"):
        standin.deploy(2)
    standin.wait(lambda state: state.phase == "failed" and not state.faults)
    assert standin.state.digest == standin.digest(1)


@pytest.mark.slow
def test_a_server_that_hangs_is_replaced(standin: Service) -> None:
    standin.deploy(1)
    standin.kill_server(signal.SIGSTOP)
    standin.wait(lambda _: "server" in {event.kind for event in read_events(standin.place.folder)})
    standin.wait(lambda state: not state.faults)
    told = [event.sentence for event in read_events(standin.place.folder) if event.kind == "server"]
    assert len(told) == 1
    assert told[0].startswith("the server gave no answer for")


@pytest.mark.slow
def test_a_keeper_that_stands_still_is_seen_and_replaced_by_the_next_deploy(standin: Service) -> None:
    standin.target = standin_target(taken_s=1.0)
    standin.deploy(1)
    keeper = keeper_of(standin.place)
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGSTOP)
    os.utime(standin.place.keeper, (0, 0))
    assert standin.state.faults == ("its keeper stands still",)
    os.utime(standin.place.keeper)
    standin.deploy(2)
    assert not keeper.alive
    assert standin.state.digest == standin.digest(2)


@pytest.mark.parametrize("path", ["..", "../elsewhere", "link/inside"])
def test_a_path_that_leaves_the_checkout_is_refused(service: Service, path: str) -> None:
    root = service.folder / "root"
    root.mkdir()
    (root / "link").symlink_to(root.parent)
    with pytest.raises(SpecError, match=r"deploy\.api\.path leaves the checkout"):
        service.target.apply(service.ask(1, path=path))


@pytest.mark.parametrize("path", ["/tmp/x", ".hidden", "a/../../b"])
def test_a_stranger_gets_no_folder_but_below_the_targets_own(service: Service, path: str) -> None:
    with pytest.raises(SpecError):
        service.target.apply(replace(service.ask(1, path=path), confined=True))


def test_without_a_path_it_is_kept_with_the_targets_state(service: Service, tmp_path: Path) -> None:
    request = service.ask(1)
    settings = {name: value for name, value in request.settings.items() if name != "path"}
    request = replace(request, settings=settings, state=tmp_path / "state")
    service.target.apply(request)
    place = Place(tmp_path / "state" / "api" / "tiny")
    assert place.manifest.is_file()
    end_service(place)


@pytest.mark.slow
def test_another_number_of_workers_gets_another_server(service: Service) -> None:
    service.deploy(1)
    service.deploy(1, workers=2, limits={"body": "1MiB", "timeout": "5s"})
    service.wait(
        lambda state: state.phase == "serving" and len(list(service.place.counts.glob("*.json"))) == 2
    )
    command = json.loads(service.place.server.read_bytes())["command"]
    assert command[command.index("--body-bytes") + 1] == str(1 << 20)
    assert command[command.index("--timeout-s") + 1] == "5.0"


def test_what_is_asked_of_the_log_is_in_the_manifest(service: Service) -> None:
    monitor = {"log": {"sample_ratio": 0.5, "keep": "2d", "redact": ["p"]}}
    service.target.apply(replace(service.ask(1), monitor=monitor))
    log = read_manifest(service.place.manifest).log
    assert log is not None
    assert (log.sample_ratio, log.keep_s, log.redact) == (0.5, 172800.0, ("p",))


def test_a_package_that_is_not_signed_is_not_taken_where_signatures_are_asked_for(service: Service) -> None:
    with pytest.raises(EnvironmentFault, match="no key is known"):
        service.deploy(1, signed=True)
    service.deploy(1)
    with pytest.raises(EnvironmentFault):
        service.deploy(2, signed=True, key=str(service.folder / "missing.pem"))
    assert service.target.observe(service.ask(1, 0)) == service.digest(1)


def test_a_name_that_another_model_has_here_is_made_its_own(standin: Service) -> None:
    standin.deploy(1)
    standin.deploy(2, version="1")
    (version,) = read_manifest(standin.place.manifest).versions
    assert version.name == f"1-{standin.digest(2)[:8]}"


@pytest.mark.slow
def test_a_port_that_somebody_has_is_said_to_be_the_reason(service: Service) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            SpecError, match="the server died 3 times.*its log ends with.*Address already in use"
        ):
            service.deploy(1, port=port)
    service.deploy(1, port=port)
    assert service.port == port
