"""`fiat gpus` in a process of its own, beside others that have GPUs and wait for them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.gpu_device import Device
from fiat.builtin.gpu_ledger import SETTING
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Resources
from fiat.testing.compute_jobs import WAIT_S, Jobs, wait_for
from fiat.wiring.gpus import look_at_gpus

FIAT = str(Path(sys.executable).with_name("fiat"))
_WAIT = "import pathlib, sys, time\npathlib.Path(sys.argv[1]).touch()\nwhile True: time.sleep(0.05)"


def fiat_gpus(ledger: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, SETTING: str(ledger)}
    return subprocess.run([FIAT, "gpus", *arguments], env=env, capture_output=True, text=True, check=False)


def documents(ledger: Path) -> dict[str, Any]:
    done = fiat_gpus(ledger, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class FakeDriver:
    def devices(self) -> tuple[Device, ...]:
        return tuple(Device(n, f"GPU-{n}", "H100", n << 30, 80 << 30, 0.5) for n in range(2))


class NoDriver:
    def devices(self) -> tuple[Device, ...]:
        raise EnvironmentFault("no driver of a GPU answers here", hint="install it")


@pytest.fixture
def compute(tmp_path: Path) -> Iterator[LocalCompute]:
    """With one job that has GPU 0, and two that wait for both: the later one has the higher priority."""
    compute = LocalCompute(cpus=8, gpus=("0", "1"), ledger=tmp_path / "gpus", driver=NoDriver())
    jobs = Jobs(tmp_path)
    one = Resources(cpus=0, gpus=1)
    compute.start([one])
    compute.submit(jobs.python(_WAIT, str(tmp_path / "runs"), resources=one))
    wait_for(lambda: (tmp_path / "runs").exists(), "the first one runs", WAIT_S)
    compute.submit(jobs.python("", resources=Resources(cpus=0, gpus=2)))
    time.sleep(0.01)
    compute.submit(jobs.python("", resources=Resources(cpus=0, gpus=0.5, workers=2, priority=3)))
    yield compute
    compute.close()


def test_it_shows_who_has_what_and_who_waits_in_order(compute: LocalCompute, tmp_path: Path) -> None:
    said = documents(tmp_path / "gpus")
    assert [gpu["gpu"] for gpu in said["gpus"]][-2:] == ["0", "1"]
    (holder,) = said["gpus"][-2]["held"]
    assert (holder["step"], holder["share"], holder["pid"]) == ("job1", 1.0, os.getpid())
    assert said["gpus"][-1]["held"] == []
    assert [(wish["step"], wish["count"], wish["share"], wish["priority"]) for wish in said["waiting"]] == [
        ("job3", 2, 0.5, 3),
        ("job2", 2, 1.0, 0),
    ]
    assert all(0 <= item["seconds"] < WAIT_S for item in (holder, *said["waiting"]))
    lines = fiat_gpus(tmp_path / "gpus").stdout.splitlines()
    words = [line.split() for line in lines]
    assert words[-3][0] == "WAITS"
    assert words[-2][:1] + words[-2][-5:-3] == ["1", "job3", "job3"]
    assert words[-1][1:3] == ["2", "GPUs"]


def test_when_all_have_ended_nothing_is_left(compute: LocalCompute, tmp_path: Path) -> None:
    compute.close()
    said = documents(tmp_path / "gpus")
    assert said["waiting"] == []
    assert all(gpu["held"] == [] for gpu in said["gpus"])


def test_without_anything_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    done = fiat_gpus(tmp_path / "gpus")
    assert done.returncode == 0
    assert "no step of this user has a GPU or waits for one" in done.stdout
    assert not (tmp_path / "gpus").exists()


def test_a_ledger_that_can_not_be_used_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "gpus").write_text("")
    done = fiat_gpus(tmp_path / "gpus")
    assert done.returncode == 3
    assert str(tmp_path / "gpus") in done.stderr
    assert SETTING in done.stderr


def test_what_the_driver_says_stands_beside_what_the_ledger_says(tmp_path: Path) -> None:
    compute = LocalCompute(cpus=8, gpus=("1",), ledger=tmp_path / "gpus", driver=FakeDriver())
    one = Resources(cpus=0, gpus=0.5)
    compute.start([one])
    try:
        compute.submit(Jobs(tmp_path).python(_WAIT, str(tmp_path / "runs"), resources=one))
        wait_for(lambda: (tmp_path / "runs").exists(), "it runs", WAIT_S)
        sight = look_at_gpus({SETTING: str(tmp_path / "gpus")}, FakeDriver())
    finally:
        compute.close()
    first, second = sight.gpus
    assert (first.gpu, first.name, first.held) == ("0", "H100", ())
    assert (second.key, second.memory_used_bytes, second.load_ratio) == ("GPU-1", 1 << 30, 0.5)
    assert [(share.step, share.share) for share in second.held] == [("job1", 0.5)]
    assert sight.fault == ""


def test_watching_looks_again_and_again(tmp_path: Path) -> None:
    env = {**os.environ, SETTING: str(tmp_path / "gpus")}
    process = subprocess.Popen([FIAT, "gpus", "--watch"], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        seen = 0
        while seen < 2:
            seen += "no step of this user" in process.stdout.readline()
    finally:
        process.kill()
        process.communicate()
    assert seen == 2


def test_watching_as_json_is_a_line_each_time(tmp_path: Path) -> None:
    env = {**os.environ, SETTING: str(tmp_path / "gpus")}
    process = subprocess.Popen(
        [FIAT, "gpus", "--watch", "--json"], env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        said = [json.loads(process.stdout.readline()) for _ in range(2)]
    finally:
        process.kill()
        process.communicate()
    assert [sight["waiting"] for sight in said] == [[], []]


def test_a_ledger_that_is_another_in_each_folder_is_refused() -> None:
    done = fiat_gpus(Path("gpus"))
    assert done.returncode == 3
    assert f"{SETTING} is gpus" in done.stderr
    assert "whole path" in done.stderr
