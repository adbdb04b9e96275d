"""The GPUs of this machine, as their driver shows them."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import pynvml

from fiat.errors import EnvironmentFault


@dataclass(frozen=True)
class Device:
    """One GPU at one moment.

    Attributes:
        index: its number in the order of the PCI bus, as `nvidia-smi` counts.
        key: what names it for good, its UUID.
        name: of the product.
        memory_used_bytes: by all processes; 0 when it does not say.
        memory_bytes: in all; 0 when it does not say.
        load_ratio: part of the last moments (up to a second) in which it computed, 0 to 1; None when it does not say.
    """

    index: int
    key: str
    name: str
    memory_used_bytes: int
    memory_bytes: int
    load_ratio: float | None


class Driver(Protocol):
    """Asks the driver. May be used from many threads."""

    def devices(self) -> Sequence[Device]:
        """All GPUs as they are now.

        Raises:
            EnvironmentFault: no driver answers.
        """
        ...


class NvmlDriver:
    """NVIDIA's own library.

    Source: NVML API Reference, Device Queries.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready = False

    def devices(self) -> tuple[Device, ...]:
        """All GPUs as they are now; see `Driver`."""
        try:
            with self._lock:
                if not self._ready:
                    pynvml.nvmlInit()
                    self._ready = True
            return tuple(_device(index) for index in range(pynvml.nvmlDeviceGetCount()))
        except pynvml.NVMLError as error:
            raise EnvironmentFault(
                f"no driver of a GPU answers here: {error}",
                hint="NVIDIA's driver brings libnvidia-ml.so; `nvidia-smi` must work for this user",
            ) from None


def keys_of(ids: Sequence[str], driver: Driver) -> tuple[str, ...]:
    """What names each of these GPUs for good, whatever a process calls it.

    Args:
        ids: as CUDA_VISIBLE_DEVICES takes them: numbers, or UUIDs and beginnings of them.
        driver: knows them; an id that it does not know names itself.
    """
    if not ids:
        return ()  # without waking the driver
    devices: Sequence[Device] = ()
    with suppress(EnvironmentFault):
        devices = driver.devices()
    return tuple(_key(name, devices) for name in ids)


def _key(name: str, devices: Sequence[Device]) -> str:
    for device in devices:
        if name == str(device.index) or (name.startswith("GPU-") and device.key.startswith(name)):
            return device.key
    return name


def _device(index: int) -> Device:
    handle: Any = pynvml.nvmlDeviceGetHandleByIndex(index)
    used = total = 0
    load: float | None = None
    with suppress(pynvml.NVMLError):  # one that shares the machine's memory does not say it
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        used, total = int(memory.used), int(memory.total)
    with suppress(pynvml.NVMLError):  # one that is cut into instances does not say it
        load = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    key, name = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle)
    return Device(index, _text(key), _text(name), used, total, load)


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
