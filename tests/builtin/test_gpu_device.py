import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pynvml
import pytest

from fiat.builtin.gpu_device import Device, NvmlDriver, keys_of
from fiat.errors import EnvironmentFault
from fiat.testing.compute_jobs import wait_for

sys.path.insert(0, str(Path(__file__).parent))
from gpu_stage import FakeDriver, NoDriver, device


def test_a_gpu_has_one_name_whatever_a_process_calls_it() -> None:
    driver = FakeDriver(device(0), device(1))
    assert keys_of(("1", "GPU-00aa", "GPU-11aa-bb"), driver) == ("GPU-11aa-bb", "GPU-00aa-bb", "GPU-11aa-bb")


def test_what_the_driver_does_not_know_names_itself() -> None:
    assert keys_of(("7", "MIG-1"), FakeDriver(device(0))) == ("7", "MIG-1")
    assert keys_of(("0", "1"), NoDriver()) == ("0", "1")


def test_without_gpus_the_driver_is_not_woken() -> None:
    driver = FakeDriver(device(0))
    assert keys_of((), driver) == ()
    assert driver.looks == 0


def test_a_gpu_that_is_cut_is_known_by_its_instances() -> None:
    whole = replace(device(0), key="MIG-aa-1", instance=0)
    driver = FakeDriver(whole, replace(whole, key="MIG-bb-2", instance=1), device(1))
    assert keys_of(("MIG-bb", "0", "1"), driver) == ("MIG-bb-2", "MIG-aa-1", "GPU-11aa-bb")
    assert [shown.label for shown in driver.devices()] == ["0:0", "0:1", "1"]


class Nvml:
    """Three GPUs: the first is cut into two of four instances, the second has fallen off its bus."""

    NVMLError = pynvml.NVMLError
    NVML_DEVICE_MIG_ENABLE = pynvml.NVML_DEVICE_MIG_ENABLE

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0

    def nvmlInit(self) -> None:
        self.asked += 1
        self.answers.wait()

    def nvmlDeviceGetCount(self) -> int:
        return 3

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return f"GPU-{index}"

    def nvmlDeviceGetMigMode(self, handle: str) -> list[int]:
        if handle != "GPU-0":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [1, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: str) -> int:
        return 4

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: str, number: int) -> str:
        if number > 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return f"MIG-{number}"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(used=1, total=2)

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:
        if handle.startswith("MIG"):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=50)

    def nvmlDeviceGetUUID(self, handle: str) -> bytes:
        return handle.encode()

    def nvmlDeviceGetName(self, handle: str) -> str:
        return "H100"


def test_a_gpu_that_fell_off_its_bus_hides_no_other_and_instances_are_seen() -> None:
    assert NvmlDriver(Nvml()).devices() == (
        Device(0, "MIG-0", "H100", 1, 2, None, 0),
        Device(0, "MIG-1", "H100", 1, 2, None, 1),
        Device(2, "GPU-2", "H100", 1, 2, 0.5),
    )


def test_a_driver_that_does_not_answer_is_told_as_such_and_asked_once() -> None:
    library = Nvml()
    library.answers.clear()
    driver = NvmlDriver(library, patience_s=0.01)
    for _ in range(3):
        with pytest.raises(EnvironmentFault, match=r"has not answered for 0\.01 s"):
            driver.devices()
    assert library.asked == 1
    library.answers.set()
    wait_for(lambda: _answers(driver), "it answers")
    assert keys_of(("2",), driver) == ("GPU-2",)


def _answers(driver: NvmlDriver) -> bool:
    try:
        return len(driver.devices()) == 3
    except EnvironmentFault:
        return False


def _has_driver() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    return True


def test_a_machine_without_a_driver_says_so() -> None:
    if _has_driver():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EnvironmentFault, match="no driver of a GPU answers here"):
        NvmlDriver().devices()


def test_a_real_gpu_says_what_it_is() -> None:
    if not _has_driver():
        pytest.skip("this machine has no GPU")
    for found in NvmlDriver().devices():
        assert found.key.startswith(("GPU-", "MIG-"))
        assert found.name
        assert found.memory_bytes == 0 or 0 <= found.memory_used_bytes <= found.memory_bytes
        assert found.load_ratio is None or 0 <= found.load_ratio <= 1
