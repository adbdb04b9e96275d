"""What a worker finds around it."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from fiat.builtin.gang_seat import (
    Seat,
    gpus_of,
    home_of,
    interface_of,
    make_home,
    seated_argv,
    seated_env,
    threads_of,
    whole_need,
)
from fiat.ports.compute import Resources

WORK = Path("/store/work/r1/train.1")


def seat(rank: int, interface: str = "lo") -> Seat:
    return Seat(rank, 4, rank % 2, 2, "10.0.0.1", 29500, 3, interface)


def test_a_worker_has_the_variables_of_torchs_launcher() -> None:
    env = seated_env({"HOME": str(WORK), "MINE": "1"}, seat(3, "eth0"), WORK)
    assert env == {
        "MINE": "1",
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "10.0.0.1",
        "MASTER_PORT": "29500",
        "OMP_NUM_THREADS": "3",
        "GLOO_SOCKET_IFNAME": "eth0",
        "NCCL_SOCKET_IFNAME": "eth0",
        "HOME": f"{WORK}/workers/3",
        "TMPDIR": f"{WORK}/workers/3/tmp",
    }


def test_what_the_spec_says_of_threads_and_interfaces_stays() -> None:
    said = {"OMP_NUM_THREADS": "1", "NCCL_SOCKET_IFNAME": "ib0"}
    env = seated_env({"HOME": str(WORK), **said}, seat(0, ""), WORK)
    assert said.items() <= env.items()
    assert "GLOO_SOCKET_IFNAME" not in env
    assert env["HOME"] == str(WORK)


@pytest.mark.parametrize("name", ["train.1", "it's here.1", 'a "b" $c.1'])
def test_a_command_writes_its_outputs_where_its_worker_may(tmp_path: Path, name: str) -> None:
    work = tmp_path / name
    (work / "out").mkdir(parents=True)
    text = f"echo said > {shlex.quote(str(work / 'out' / 'model'))}"
    for rank in range(3):
        make_home(work, rank)
        argv = seated_argv(("/bin/sh", "-ec", text), rank, work)
        subprocess.run(argv, check=True)
        assert (home_of(work, rank) / "out" / "model").read_text() == "said\n"
        (home_of(work, rank) / "out" / "model").unlink()
    assert list(work.rglob("model")) == []


@pytest.mark.parametrize("work", [WORK, Path('/home/josé\'s/"x"/train.1')])
def test_the_outputs_that_a_command_is_told_of_are_its_workers(work: Path) -> None:
    env = {"HOME": str(work), "FIAT_OUTPUTS": json.dumps({"model": str(work / "out" / "model")})}
    assert seated_env(env, seat(0), work)["FIAT_OUTPUTS"] == env["FIAT_OUTPUTS"]
    told = json.loads(seated_env(env, seat(1), work)["FIAT_OUTPUTS"])
    assert told == {"model": str(work / "workers" / "1" / "out" / "model")}


def test_all_workers_together_need_what_each_of_them_needs() -> None:
    assert whole_need(Resources(1.5, 2, 100, 3, 7)) == Resources(4.5, 6, 300, 1, 7)
    assert whole_need(Resources(workers=2)).memory_bytes is None
    assert [threads_of(Resources(cpus)) for cpus in (0, 0.5, 1, 2.9)] == [1, 1, 1, 2]


def test_each_worker_has_its_own_gpus() -> None:
    assert [gpus_of(("a", "b", "c", "d"), rank, 2) for rank in (0, 1)] == [("a", "b"), ("c", "d")]
    assert gpus_of((), 1, 2) == ()


def test_the_interface_of_an_address_is_found() -> None:
    assert interface_of("127.0.0.1") == interface_of("127.0.0.2") == "lo"
    assert interface_of("203.0.113.77") == ""
