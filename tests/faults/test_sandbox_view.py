"""A step of strangers looks for everything that a runner's machine has, and finds only its own."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fiat
from fiat.builtin import ray_state
from fiat.engine.sandbox import SandboxPolicy

sys.path.insert(0, str(Path(__file__).parent))
from box_stage import need_sandbox
from machine_stage import CANARY, Machine, make_machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with make_machine(tmp_path) as machine:
        yield machine


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_TOKEN", CANARY)


DENIED = ("FileNotFoundError", "PermissionError", "NotADirectoryError")
_SYSTEM_FOLDERS = {
    "bin",
    "dev",
    "etc",
    "home",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "nix",
    "proc",
    "root",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "var",
    "work",
}
UNREACHABLE = ("ConnectionRefusedError", "OSError", "TimeoutError")


def check_denied(seen: dict[str, Any]) -> None:
    """Nothing that was planted is anywhere in what the step saw."""
    assert CANARY not in json.dumps(seen)
    for name in ("ssh", "secrets folder", "database", "other run's log", "other run's work", "shadow"):
        assert seen[name] in DENIED, name
    for name in ("core", "keys", "git credentials"):
        assert seen[name] in (*DENIED, ""), name
    for name in ("root's home", "cache", "run", "var", "disks"):
        assert seen[name] in DENIED, name
    assert seen["git"] == []
    assert seen["store"] == ["work"]
    assert seen["user"][:2] == [65534, 65534]
    assert seen["name"] == "sandbox"
    assert seen["own code"].startswith("\nimport glob")
    # The interpreter and Fiat itself are shown where they are, so the first folder on the way there is, too.
    own = {Path(place).resolve().parts[1] for place in (sys.prefix, sys.base_prefix, fiat.__file__)}
    assert set(seen["root"]) <= own | _SYSTEM_FOLDERS


@pytest.mark.usefixtures("environment")
def test_a_step_finds_no_secret_no_store_no_neighbour_and_no_port(machine: Machine) -> None:
    need_sandbox()
    seen = machine.spy(SandboxPolicy())
    check_denied(seen)
    for name in ("loopback", "metadata", "outside", "abstract"):
        assert seen[name] in UNREACHABLE, name
    assert seen["environ"] == sorted(
        [
            "CUDA_VISIBLE_DEVICES",
            "FIAT_INPUTS",
            "FIAT_OUTPUTS",
            "FIAT_PARAMS",
            "FIAT_RUN",
            "FIAT_STEP",
            "GIVEN",
            "HIP_VISIBLE_DEVICES",
            "HOME",
            "LANG",
            "MALLOC_MMAP_THRESHOLD_",
            "MALLOC_TRIM_THRESHOLD_",
            "PATH",
            "PWD",
            "PYTHONDONTWRITEBYTECODE",
            "PYTHONHASHSEED",
            "PYTHONUNBUFFERED",
            "ROCR_VISIBLE_DEVICES",
            "TMPDIR",
        ]
    )
    # It sees itself, the shell that started it, and the first process of its sandbox: nobody else.
    assert len(seen["commands"]) == len(seen["environments"]) <= 4
    assert all("GIVEN=" in text or text in ("", "FileNotFoundError") for text in seen["environments"])
    assert not any("value-of-given" in text for text in seen["commands"])
    assert "passwd" in seen["etc"]
    assert "resolv.conf" not in seen["etc"]


@pytest.mark.usefixtures("environment")
def test_the_network_needs_the_spec_and_the_operator(machine: Machine) -> None:
    need_sandbox()
    asked = ", network: true"
    refused = machine.spy(SandboxPolicy(network=False), asked)
    assert refused["loopback"] in UNREACHABLE
    log = next((machine.root / ".fiat/runs").glob("2*/spy.log")).read_text()
    assert log.startswith("[fiat] the spec asks for the network, which is not granted here\n")
    assert machine.spy(SandboxPolicy(network=True))["loopback"] in UNREACHABLE
    granted = machine.spy(SandboxPolicy(network=True), asked + ", vars: {A: again}")
    check_denied(granted)
    assert granted["loopback"] == "connected"
    assert granted["abstract"] in ("PermissionError", "ConnectionRefusedError")
    assert "resolv.conf" in granted["etc"]


@pytest.mark.usefixtures("environment")
def test_without_a_sandbox_the_same_step_finds_all_of_it(machine: Machine) -> None:
    seen = machine.spy(SandboxPolicy(kind="none"))
    assert seen["ssh"] == CANARY
    assert seen["loopback"] == "connected"
    assert CANARY in seen["git credentials"]


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_a_step_on_ray_can_neither_read_its_token_nor_reach_its_ports(
    machine: Machine, ray_head: Path
) -> None:
    need_sandbox()
    info = ray_state.status(ray_head)
    assert info is not None
    host, _, port = info.address.rpartition(":")
    (machine.root / ".fiat/ray.json").write_text((ray_head / "ray.json").read_text())
    more = {
        "files": {"token": info.token_path, "ray.json": str(machine.root / ".fiat/ray.json")},
        "folders": {"ray": info.temp_dir},
        "ports": {"gcs": [host, int(port)]},
    }
    seen = machine.spy(SandboxPolicy(), compute="ray", more=more)
    check_denied(seen)
    assert {seen["token"], seen["ray.json"], seen["ray"]} == {"FileNotFoundError"}
    assert seen["gcs"] in UNREACHABLE
    assert not any("ray::" in text or "raylet" in text for text in seen["commands"])
