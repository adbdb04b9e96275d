import re
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fiat.builtin.gpu_ledger import GpuLedger
from fiat.builtin.gpu_pool import GpuPool, make_pool, run_of
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Resources
from fiat.testing.compute_jobs import Jobs, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from gpu_stage import FakeDriver, NoDriver, device


@pytest.fixture
def pool(tmp_path: Path) -> GpuPool:
    return make_pool(("2", "3", "5"), {}, tmp_path / "gpus", FakeDriver(device(2), device(3), device(5)))


def test_a_pool_has_what_was_asked_for_or_what_there_is(tmp_path: Path) -> None:
    env = {"CUDA_VISIBLE_DEVICES": "4,6,7"}
    assert make_pool(None, env, tmp_path, NoDriver()).ids == ("4", "6", "7")
    assert make_pool(2, env, tmp_path, NoDriver()).ids == ("4", "6")
    assert make_pool(0, env, tmp_path, NoDriver()).ids == ()
    assert make_pool(("1",), env, tmp_path, NoDriver()).ids == ("1",)


def test_numbers_stand_for_gpus_that_are_not_there(tmp_path: Path) -> None:
    assert make_pool(2, {"CUDA_VISIBLE_DEVICES": ""}, tmp_path, NoDriver()).ids == ("0", "1")


def test_no_number_is_made_up_beyond_what_the_operator_allows(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="3 GPUs are asked for, and the environment allows 2: 4,6"):
        make_pool(3, {"CUDA_VISIBLE_DEVICES": "4,6"}, tmp_path, NoDriver())


def test_two_names_of_one_gpu_are_one_gpu(tmp_path: Path) -> None:
    pool = make_pool(("1", "GPU-11aa", "0"), {}, tmp_path, FakeDriver(device(0), device(1)))
    assert pool.ids == ("1", "0")
    assert pool.keys == ("GPU-11aa-bb", "GPU-00aa-bb")


def test_processes_that_call_a_gpu_by_different_names_do_not_meet_on_it(tmp_path: Path) -> None:
    driver = FakeDriver(device(0), device(1))
    one = make_pool(("1",), {}, tmp_path / "gpus", driver).enter_as("a", "train", Resources(gpus=1))
    two = make_pool(("GPU-11aa-bb",), {}, tmp_path / "gpus", driver).enter_as("b", "train", Resources(gpus=1))
    assert one.take() is not None
    assert two.take() is None
    one.leave()
    grant = two.take()
    assert grant is not None
    assert grant.ids == ("GPU-11aa-bb",)
    two.leave()


def test_each_worker_of_a_gang_has_gpus_of_its_own(pool: GpuPool) -> None:
    place = pool.enter_as("run", "train", Resources(gpus=1, workers=3))
    grant = place.take()
    assert grant is not None
    assert grant.workers == (("2",), ("3",), ("5",))
    assert grant.of(1).ids == ("3",)
    assert grant.of(1).claim == grant.claim
    place.leave()
    place = pool.enter_as("run", "train", Resources(gpus=0.5, workers=2))
    grant = place.take()
    assert grant is not None
    assert grant.workers == (("2",), ("3",))
    place.leave()


def test_two_gpus_a_worker_stay_together(tmp_path: Path) -> None:
    pool = make_pool(4, {}, tmp_path / "gpus", NoDriver())
    place = pool.enter_as("run", "train", Resources(gpus=2, workers=2))
    grant = place.take()
    assert grant is not None
    assert grant.workers == (("0", "1"), ("2", "3"))
    place.leave()


def test_within_a_claim_its_gpus_are_had_and_afterwards_they_are_free(pool: GpuPool, tmp_path: Path) -> None:
    job = Jobs(tmp_path).python("", resources=Resources(gpus=3))
    with pool.claimed(job, threading.Event()) as grant:
        assert grant is not None
        waiting = pool.enter(job)
        assert waiting.take() is None
    assert waiting.take() is not None
    waiting.leave()


def test_a_ledger_that_breaks_while_a_job_runs_does_not_cost_its_result(
    pool: GpuPool, tmp_path: Path
) -> None:
    with pool.claimed(Jobs(tmp_path).python("", resources=Resources(gpus=1)), threading.Event()) as grant:
        assert grant is not None
        pool.folder.chmod(0o777)
    pool.folder.chmod(0o700)
    assert GpuLedger(pool.folder).look() == ((), ())


def test_a_wait_for_gpus_can_be_cancelled(pool: GpuPool, tmp_path: Path) -> None:
    job = Jobs(tmp_path).python("", resources=Resources(gpus=2))
    first = pool.enter(job)
    assert first.take() is not None
    cancelled, said = threading.Event(), []

    def wait() -> None:
        with pool.claimed(job, cancelled) as grant:
            said.append(grant)

    thread = threading.Thread(target=wait)
    thread.start()
    cancelled.set()
    thread.join(10)
    assert said == [None]
    first.leave()
    with pool.claimed(job, threading.Event()) as grant:
        assert grant is not None
        assert grant.ids == ("2", "3")


def test_a_wait_ends_when_another_gives_back(pool: GpuPool, tmp_path: Path) -> None:
    job = Jobs(tmp_path).python("", resources=Resources(gpus=2))
    first = pool.enter(job)
    assert first.take() is not None
    said: list[tuple[str, ...]] = []

    def wait() -> None:
        with pool.claimed(job, threading.Event()) as grant:
            assert grant is not None
            said.append(grant.ids)

    thread = threading.Thread(target=wait)
    thread.start()
    first.leave()
    wait_for(lambda: bool(said), "it has them", 60)
    thread.join()
    assert said == [("2", "3")]


def test_a_claim_waits_until_the_rest_is_there_and_lets_others_pass(pool: GpuPool, tmp_path: Path) -> None:
    job = Jobs(tmp_path).python("", resources=Resources(gpus=3))
    room, said = threading.Event(), []

    def wait() -> None:
        with pool.claimed(job, threading.Event(), room.is_set) as grant:
            said.append(grant)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_for(lambda: not all(claim.ready for claim in GpuLedger(pool.folder).look()[1]), "it rests", 60)
    other = pool.enter(job)
    assert other.take() is not None
    other.leave()
    assert said == []
    room.set()
    thread.join(60)
    assert len(said) == 1


def test_a_job_that_has_to_wait_says_so_in_its_log_and_for_how_long(pool: GpuPool, tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    quick, slow = (jobs.python("", resources=Resources(gpus=0.5, workers=2)) for _ in range(2))
    with pool.claimed(quick, threading.Event()) as grant:
        assert grant is not None
    first = pool.enter_as("run", "big", Resources(gpus=3))
    assert first.take() is not None
    second = pool.enter(slow)
    assert second.take() is None
    time.sleep(1.1)
    for _ in range(3):
        assert second.take() is None
    first.leave()
    assert second.take() is not None
    second.leave()
    assert not quick.log_path.exists()
    said, ended = jobs.log(slow).splitlines()
    assert said == "[fiat] waits for 0.5 of 2 GPUs; `fiat gpus` shows who has them"
    assert re.fullmatch(r"\[fiat\] has its GPUs after \d+ s", ended)


def test_the_run_of_a_job_is_told_from_its_name(tmp_path: Path) -> None:
    job = Jobs(tmp_path).python("")
    named = replace(job, id="20261126-061547-8c1d2f.train.big.2", step="train.big")
    assert run_of(named) == "20261126-061547-8c1d2f"
    assert run_of(job) == job.id
