"""A service that asks for signatures: taken is what the operator's key signed, proved again with each load."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin.deploy_service import ServiceTarget
from fiat.errors import EnvironmentFault
from fiat.model.provenance import Build, write_provenance
from fiat.model.signing import provenance_beside, sign_package, signature_beside
from fiat.model.signing_keys import new_key
from fiat.serving.release import read_manifest

sys.path.insert(0, str(Path(__file__).parent))
from service_stage import KEEPER, Load, Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    found = Service(tmp_path, ServiceTarget(keeper_arguments=KEEPER))
    for name in ("key", "strange"):
        new_key(tmp_path / name)
    yield found
    found.end()


def sign(service: Service, number: int, key: str = "key", digest: str = "") -> None:
    package = service.package(number)
    signature = signature_beside(package.folder)
    sign_package(package.folder, service.folder / key, signature)
    build = Build("tiny", digest or package.digest, commit="c" * 40)
    write_provenance(package.folder, build, service.folder / key, provenance_beside(signature))


def deploy(service: Service, number: int) -> None:
    service.deploy(number, signed=True, key=str(service.folder / "key.pub"))


@pytest.mark.slow
def test_only_what_the_key_signed_is_taken_and_what_was_there_serves_on(service: Service) -> None:
    sign(service, 1)
    deploy(service, 1)
    assert read_manifest(service.place.manifest).key == str(service.folder / "key.pub")
    sign(service, 3, key="strange")
    sign(service, 4, digest="ab" * 16 + ".dir")
    with Load(service.port) as load:
        for number, told in ((2, "no signature|not signed"), (3, "signed by the key"), (4, "another|about")):
            with pytest.raises(EnvironmentFault, match=told):
                deploy(service, number)
            assert service.target.observe(service.ask(1, 0)) == service.digest(1)
    assert load.faults == []
    assert set(load.versions) == {"1"}
    assert service.state.phase == "serving"


@pytest.mark.slow
def test_bytes_that_were_swapped_after_the_deploy_are_not_loaded_again(service: Service) -> None:
    sign(service, 1)
    deploy(service, 1)
    path = service.place.releases / service.digest(1) / "model.onnx"
    path.write_bytes((service.package(2).folder / "model.onnx").read_bytes())
    service.kill_server()
    state = service.wait(lambda state: any("can't use version 1" in fault for fault in state.faults))
    assert "model.onnx of version 1 is gone or was changed" in state.faults
    deploy(service, 1)
    service.wait(lambda state: state.phase == "serving" and not state.faults)
