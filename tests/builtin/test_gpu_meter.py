import sys
import threading
import time
from pathlib import Path

import pytest

from fiat.builtin.compute_local import LocalCompute
from fiat.builtin.gpu_device import Device
from fiat.builtin.gpu_meter import GpuMeter, log_teller
from fiat.ports.compute import Resources
from fiat.testing.compute_jobs import WAIT_S, Jobs, wait_for

sys.path.insert(0, str(Path(__file__).parent))
from gpu_stage import FakeDriver, NoDriver, at, device


def test_it_tells_the_highest_memory_of_all_gpus_together_and_the_mean_load() -> None:
    one, two, other = device(0), device(1), device(2, 70, 1.0)
    driver = FakeDriver()
    driver.moments = [
        (one, two, other),  # to learn their names
        (at(one, 10, 0.5), at(two, 30, 0.7), other),
        (at(one, 20, 0.8), at(two, 10, 1.0), other),
        (at(one, 1, 0.4), at(two, 1, None), other),
        (),  # gone: nothing more is counted
    ]
    with GpuMeter(driver, ("0", "1"), look_s=0.01) as meter:
        wait_for(lambda: driver.looks >= 5, "all looks")
    assert meter.usage() == {
        "gpu_memory_bytes": 40 * 2**30,
        "gpu_load_ratio": pytest.approx((0.6 + 0.9 + 0.4) / 3),
    }


def test_what_is_seen_is_told_now_and_then(tmp_path: Path) -> None:
    driver = FakeDriver(device(0, 3, 0.25))
    log = tmp_path / "log"
    with GpuMeter(driver, ("0",), look_s=0.001, tell=log_teller(log), tell_s=3600):
        wait_for(lambda: driver.looks >= 10, "looks")
    assert log.read_text() == "FIAT_USAGE gpu_memory_bytes=3221225472 gpu_load_ratio=0.250\n"
    with GpuMeter(driver, ("0",), look_s=0.001, tell=log_teller(log), tell_s=0):
        wait_for(lambda: driver.looks >= 30, "looks")
    assert log.read_text().count("FIAT_USAGE") > 10


def test_a_log_that_can_not_be_written_is_no_fault(tmp_path: Path) -> None:
    driver = FakeDriver(device(0, 3, 0.25))
    with GpuMeter(
        driver, ("0",), look_s=0.001, tell=log_teller(tmp_path / "none" / "log"), tell_s=0
    ) as meter:
        wait_for(lambda: driver.looks >= 10, "looks")
    assert meter.usage() == {"gpu_memory_bytes": 3 * 2**30, "gpu_load_ratio": pytest.approx(0.25)}


def test_without_gpus_nothing_is_asked_and_nothing_told() -> None:
    driver = FakeDriver(device(0))
    with GpuMeter(driver, (), look_s=0.001) as meter:
        time.sleep(0.02)
    assert meter.usage() == {}
    assert driver.looks == 0


def test_a_machine_without_a_driver_is_no_fault() -> None:
    with GpuMeter(NoDriver(), ("0",), look_s=0.001) as meter:
        time.sleep(0.02)
    assert meter.usage() == {}


def test_a_driver_that_never_answers_does_not_keep_a_job_from_its_end() -> None:
    released = threading.Event()

    class Hanging(NoDriver):
        def devices(self) -> tuple[Device, ...]:
            released.wait()
            return ()

    began = time.monotonic()
    with GpuMeter(Hanging(), ("0",), look_s=0.001) as meter:
        pass
    assert time.monotonic() - began < WAIT_S
    assert meter.usage() == {}
    released.set()


def test_what_a_job_used_of_its_gpus_is_in_its_result(tmp_path: Path) -> None:
    driver = FakeDriver(device(0, 3, 0.25), device(1, 50, 1.0))
    compute = LocalCompute(cpus=2, gpus=("0", "1"), ledger=tmp_path / "gpus", driver=driver)
    jobs = Jobs(tmp_path)
    try:
        need = Resources(gpus=1)
        compute.start([need])
        result = compute.submit(jobs.python("import time; time.sleep(1.5)", resources=need)).result(WAIT_S)
        plain = compute.submit(jobs.python("")).result(WAIT_S)
    finally:
        compute.close()
    assert (result.state, result.gpus) == ("done", ("0",))
    assert result.usage == {"gpu_memory_bytes": 3 * 2**30, "gpu_load_ratio": 0.25}
    assert plain.usage == {}
