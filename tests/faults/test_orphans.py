"""Who is killed with -9 takes everything below with it: no process, and no GPU holder, is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fiat.builtin import job_tree, ray_up
from fiat.builtin.compute_ray import RayCompute
from fiat.ports.compute import Compute
from fiat.testing.compute_jobs import FAMILY, WAIT_S, Jobs, is_alive, read_pids, wait_for

ROOT = Path(__file__).parents[2]
GONE_S = 10.0

_DRIVER = f"""
import sys
from pathlib import Path
from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.compute_ray import RayCompute
from fiat.testing.compute_jobs import Jobs
folder = Path(sys.argv[1])
kind, state = sys.argv[2:]
compute = LocalCompute(cpus=4, gpus=2) if kind == "local" else RayCompute(Path(state), cpus=2, gpus=0)
compute.start([])
compute.submit(Jobs(folder).python('''{FAMILY}''')).result()
"""


def family(folder: Path) -> list[int]:
    sign = folder / "pids"
    wait_for(lambda: sign.exists() and sign.read_text().endswith("end"), "the family runs", 60)
    return read_pids(sign)


def drive(folder: Path, kind: str, state: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(folder), kind, str(state)], cwd=ROOT, start_new_session=True
    )


def find(pids: list[int], *names: str) -> list[int]:
    lines: dict[int, str] = {}
    for pid in pids:
        with contextlib.suppress(OSError):  # it has just ended
            lines[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return [pid for pid, line in lines.items() if any(name in line for name in names)]


def gone(pids: list[int]) -> None:
    wait_for(lambda: not any(is_alive(pid) for pid in pids), "nobody is left", GONE_S)


def test_killing_the_owner_of_a_local_compute_ends_its_jobs(tmp_path: Path) -> None:
    driver = drive(tmp_path, "local", tmp_path)
    pids = family(tmp_path)
    below = job_tree.descendants(driver.pid)
    assert set(pids) <= set(below)
    driver.kill()
    driver.wait()
    gone(below)


@pytest.mark.slow
def test_killing_the_owner_of_a_transient_ray_ends_ray_and_its_jobs(tmp_path: Path) -> None:
    driver = drive(tmp_path, "ray", tmp_path)
    pids = family(tmp_path)
    below = job_tree.descendants(driver.pid)
    assert set(pids) <= set(below)
    assert find(below, "raylet/raylet")
    driver.kill()
    driver.wait()
    gone(below)


def test_killing_the_owner_of_a_job_on_a_warm_ray_ends_the_job_and_not_ray(
    ray_head: Path, tmp_path: Path
) -> None:
    driver = drive(tmp_path, "ray", ray_head)
    pids = family(tmp_path)
    driver.kill()
    driver.wait()
    gone(pids)
    compute = RayCompute(ray_head)
    compute.start([])
    assert compute.submit(Jobs(tmp_path / "..").python("pass")).result(WAIT_S).state == "done"
    compute.close()


@pytest.mark.slow
@pytest.mark.parametrize("who", ["keeper_pid", "pid"])
def test_killing_the_host_of_a_warm_ray_or_its_keeper_ends_all_of_it(tmp_path: Path, who: str) -> None:
    info = ray_up.up(tmp_path / "state", cpus=2, gpus=0)
    compute = RayCompute(tmp_path / "state", cpus=1, gpus=0)
    try:
        compute.start([])
        future = compute.submit(Jobs(tmp_path).python(FAMILY))
        family(tmp_path)
        below = [info.keeper_pid, *job_tree.descendants(info.keeper_pid)]
        os.kill(getattr(info, who), signal.SIGKILL)
        assert future.result(GONE_S).state == "lost"
        gone(below)
    finally:
        compute.close()
        ray_up.down(tmp_path / "state")


class TestOwnRay:
    @pytest.fixture
    def compute(self, tmp_path: Path) -> Iterator[Compute]:
        compute = RayCompute(tmp_path / "state", cpus=2, gpus=0)
        compute.start([])
        yield compute
        compute.close()

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("names", "survives"),
        [(["ray::job"], True), (["raylet/raylet"], False), (["ray_host"], False)],
    )
    def test_killing_a_part_of_ray_loses_the_job_and_the_next_one_runs(
        self, compute: Compute, tmp_path: Path, names: list[str], survives: bool
    ) -> None:
        jobs = Jobs(tmp_path)
        future = compute.submit(jobs.python(FAMILY))
        pids = family(tmp_path)
        below = job_tree.descendants(os.getpid())
        found = find(below, *names)
        assert found
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        result = future.result(GONE_S)
        assert result.state == "lost"
        assert result.reason
        gone(pids)
        assert bool(find_ray(below)) == survives
        assert compute.submit(jobs.python("pass")).result(WAIT_S).state == "done"

    @pytest.mark.slow
    def test_a_raylet_killed_while_ray_starts_costs_a_second_start(self, tmp_path: Path) -> None:
        compute = RayCompute(tmp_path / "state", cpus=1, gpus=0)
        killer = threading.Thread(target=kill_first, args=["raylet/raylet"])
        killer.start()
        try:
            compute.start([])
            killer.join()
            assert compute.submit(Jobs(tmp_path).python("pass")).result(WAIT_S).state == "done"
        finally:
            compute.close()


@pytest.mark.slow
def test_a_raylet_killed_while_a_ray_that_stays_starts_costs_a_second_start(tmp_path: Path) -> None:
    killer = threading.Thread(target=kill_first, args=["raylet/raylet"])
    killer.start()
    try:
        info = ray_up.up(tmp_path / "state", cpus=1, gpus=0)
        killer.join()
        assert find(job_tree.descendants(info.keeper_pid), "raylet/raylet")
    finally:
        ray_up.down(tmp_path / "state")


def kill_first(name: str) -> None:
    """Kill the first process below us that has this name, as soon as there is one."""
    found: list[int] = []

    def look() -> bool:
        found.extend(find(job_tree.descendants(os.getpid()), name))
        return bool(found)

    wait_for(look, f"{name} starts", 30)
    os.kill(found[0], signal.SIGKILL)


def find_ray(pids: list[int]) -> list[int]:
    """Which of them are living parts of Ray itself, after the dead ones had time to go."""
    time.sleep(1)
    return [pid for pid in pids if is_alive(pid) and find([pid], "raylet", "ray::", "gcs_server")]
