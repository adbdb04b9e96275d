import sys
from pathlib import Path

import pynvml
import pytest

from fiat.builtin.gpu_device import NvmlDriver, keys_of
from fiat.errors import EnvironmentFault

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
        assert found.key.startswith("GPU-")
        assert found.name
        assert found.memory_bytes == 0 or 0 <= found.memory_used_bytes <= found.memory_bytes
        assert found.load_ratio is None or 0 <= found.load_ratio <= 1
