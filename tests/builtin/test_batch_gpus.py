"""GPUs (given by number) for scoring; a whole scoring with them: `test_deploy_batch.py`."""

import os
import sys
import threading
from pathlib import Path

import pytest

from fiat.builtin.batch_gpus import granted
from fiat.builtin.batch_job import BatchTask
from fiat.builtin.compute_machine import count_cpus
from fiat.builtin.gpu_ledger import SETTING, GpuLedger
from fiat.builtin.gpu_pool import GpuPool
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Resources
from fiat.testing.compute_jobs import wait_for

sys.path.insert(0, str(Path(__file__).parent))
from gpu_stage import NoDriver

GPUS = ("4", "5", "6")


def task(gpus: float, cpus: float = 0.0) -> BatchTask:
    return BatchTask(
        "p", "w", "f", [], "csv", "csv", rows=1, block_rows=1, cpus=cpus, gpus=gpus, about={"model": "m"}
    )


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": ",".join(GPUS), SETTING: str(tmp_path / "gpus")}


@pytest.fixture
def others(tmp_path: Path) -> GpuPool:
    return GpuPool(tmp_path / "gpus", GPUS, GPUS)


@pytest.mark.parametrize(
    ("gpus", "taken", "ids", "actors"),
    [
        (1, 0.0, ("4", "5", "6"), 3),
        (1, 1.0, ("5", "6"), 2),
        (2, 1.0, ("5", "6"), 1),
        (0.5, 0.0, ("4", "5", "6"), 6),
        (0.3, 0.25, ("5", "6"), 6),
    ],
)
def test_all_that_is_free_is_taken(
    env: dict[str, str], others: GpuPool, gpus: float, taken: float, ids: tuple[str, ...], actors: int
) -> None:
    other = others.enter_as("run", "train", Resources(gpus=taken)) if taken else None
    assert other is None or other.take() is not None
    with granted(task(gpus), env, NoDriver()) as grant:
        assert grant is not None
        assert (grant.ids, grant.actors) == (ids, actors)
        assert [claim.keys for claim in GpuLedger(others.folder).look()[0]][-1] == ids
    assert len(GpuLedger(others.folder).look()[0]) == (other is not None)


def test_a_part_of_one_is_enough_for_one_actor(env: dict[str, str], others: GpuPool) -> None:
    halves = [others.enter_as("run", "train", Resources(gpus=0.5, workers=3))]
    assert halves[0].take() is not None
    with granted(task(0.5), env, NoDriver()) as grant:
        assert grant is not None
        assert (grant.ids, grant.actors) == (("4",), 1)


def test_it_waits_for_its_turn_when_nothing_is_free(env: dict[str, str], others: GpuPool) -> None:
    all_three = others.enter_as("run", "train", Resources(gpus=3))
    assert all_three.take() is not None
    said: list[tuple[str, ...]] = []

    def score() -> None:
        with granted(task(2), env, NoDriver()) as grant:
            assert grant is not None
            said.append(grant.ids)

    thread = threading.Thread(target=score)
    thread.start()
    ledger = GpuLedger(others.folder)
    wait_for(lambda: [claim.count for claim in ledger.look()[1]] == [2], "it waits", 60)
    all_three.leave()
    thread.join(60)
    assert said == [("4", "5")]
    assert ledger.look() == ((), ())


def test_no_more_is_taken_than_there_are_cores_to_use_it(env: dict[str, str]) -> None:
    with granted(task(1, cpus=count_cpus()), env, NoDriver()) as grant:
        assert grant is not None
        assert (grant.ids, grant.actors) == (("4",), 1)


def test_who_needs_none_or_can_not_have_so_many_asks_for_none(env: dict[str, str], others: GpuPool) -> None:
    with granted(task(0), env, NoDriver()) as grant:
        assert grant is None
    with granted(task(1), {**env, "CUDA_VISIBLE_DEVICES": ""}, NoDriver()) as grant:
        assert grant is None
    with pytest.raises(EnvironmentFault, match="an actor asks for 4 GPUs, and there are 3"):
        granted(task(4), env, NoDriver()).__enter__()
    assert not others.folder.exists()


def test_a_program_sees_its_gpus_and_a_ray_is_told_of_the_kinds_that_there_are(env: dict[str, str]) -> None:
    with granted(task(3), env, NoDriver()) as grant:
        assert grant is not None
        shown = {"CUDA_VISIBLE_DEVICES": "4,5,6", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        assert grant.shown(env) == shown
        assert grant.shown({"HIP_VISIBLE_DEVICES": ""}) == {**shown, "HIP_VISIBLE_DEVICES": "4,5,6"}
        assert os.fstat(grant.fd).st_size > 0
