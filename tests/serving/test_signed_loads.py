"""A manifest with a key: every load asks whether the package is signed by it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from server_stage import Service, started

from fiat.model.provenance import Build, write_provenance
from fiat.model.signing import provenance_beside, sign_package, signature_beside
from fiat.model.signing_keys import new_key
from fiat.testing.sample_packages import make_package


def sign(folder: Path, digest: str, key: Path) -> None:
    signature = signature_beside(folder)
    sign_package(folder, key, signature)
    write_provenance(folder, Build("tiny", digest), key, provenance_beside(signature))


@pytest.mark.slow
def test_unsigned_and_otherwise_signed_packages_are_refused_and_the_signed_one_serves(tmp_path: Path) -> None:
    service = Service(tmp_path / "service")
    two, three, four = (service.add(make_package(tmp_path, number)) for number in (2, 3, 4))
    for name in ("ours", "theirs"):
        new_key(tmp_path / name)
    sign(service.folder / "releases" / two, two, tmp_path / "ours")
    sign(service.folder / "releases" / four, four, tmp_path / "theirs")
    key = str(tmp_path / "ours.pub")
    service.write(("1", two, 100), key=key)
    with started("--release", str(service.manifest)) as server:
        assert server.infer([[1, 0, 0]]).json()["outputs"][0]["data"][0] == 2
        for name, digest, reason in (("2", three, "no signature"), ("3", four, "signed by the key")):
            counts = service.wait(service.write((name, digest, 100), key=key), state="failed")
            (failed,) = (item for item in counts.versions["tiny"] if item.state == "failed")
            assert reason in failed.reason
            assert server.infer([[1, 0, 0]]).json()["model_version"] == "1"
