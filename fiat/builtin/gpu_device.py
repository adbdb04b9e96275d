"""The GPUs of this machine, as their driver shows them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import pynvml

from fiat.errors import EnvironmentFault

_PATIENCE_S = 30.0  # a machine of eight that nobody used before answers after ten


@dataclass(frozen=True)
class Device:
    """One GPU at one moment, or one MIG instance of one that is cut into such.

    Attributes:
        index: its number in the order of the PCI bus, as `nvidia-smi` counts.
        key: what names it for good, its UUID.
        name: of the product.
        memory_used_bytes: by all processes; 0 when it does not say.
        memory_bytes: in all; 0 when it does not say.
        load_ratio: part of the last moments (up to a second) in which it computed, 0 to 1; None when it does not say.
        instance: number of the instance; None for a whole GPU.
    """

    index: int
    key: str
    name: str
    memory_used_bytes: int
    memory_bytes: int
    load_ratio: float | None
    instance: int | None = None

    @property
    def label(self) -> str:
        """Its number for people: `0`, or `0:1` for an instance."""
        return str(self.index) if self.instance is None else f"{self.index}:{self.instance}"


class Driver(Protocol):
    """Asks the driver. May be used from many threads."""

    def devices(self) -> Sequence[Device]:
        """All GPUs as they are now.

        Raises:
            EnvironmentFault: no driver answers.
        """
        ...


class _Look:
    """One question to the driver on its way."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.found: tuple[Device, ...] = ()
        self.fault: Exception | None = None


class NvmlDriver:
    """NVIDIA's own library. It is asked in a thread of its own: a GPU that is broken may never answer.

    Source: NVML API Reference, Device Queries and Multi Instance GPU Management.
    """

    def __init__(self, library: Any = pynvml, patience_s: float = _PATIENCE_S) -> None:
        """Nothing is loaded yet.

        Args:
            library: `pynvml`, or what behaves like it.
            patience_s: how long it may take to answer.
        """
        self._library = library
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._ready = False
        self._look: _Look | None = None

    def devices(self) -> tuple[Device, ...]:
        """All GPUs as they are now; see `Driver`. Who asks while it is asked gets the same answer."""
        with self._lock:
            look = self._look
            if look is None:
                look = self._look = _Look()
                threading.Thread(target=self._ask, args=(look,), name="nvml", daemon=True).start()
        if not look.over.wait(self._patience_s):
            raise EnvironmentFault(
                f"the driver of the GPUs has not answered for {self._patience_s:g} s",
                hint="see whether `nvidia-smi` answers and what `dmesg` says of Xid; a GPU that hangs needs a reboot",
            )
        if look.fault is not None:
            raise EnvironmentFault(
                f"no driver of a GPU answers here: {look.fault}",
                hint="NVIDIA's driver brings libnvidia-ml.so; `nvidia-smi` must work for this user",
            )
        return look.found

    def _ask(self, look: _Look) -> None:
        try:
            if not self._ready:
                self._library.nvmlInit()
                self._ready = True
            look.found = tuple(_devices(self._library))
        except Exception as error:
            look.fault = error
        with self._lock:
            self._look = None
        look.over.set()


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
    for device in devices:  # of one that is cut CUDA shows its first instance
        if name == str(device.index) or (name[:4] in ("GPU-", "MIG-") and device.key.startswith(name)):
            return device.key
    return name


def _devices(library: Any) -> Iterator[Device]:
    """Those that answer; one that fell off its bus is left out.

    Raises:
        NVMLError: none does.
    """
    fault: Exception | None = None
    answered = False
    for index in range(library.nvmlDeviceGetCount()):
        try:
            found = _parts(library, index)
        except library.NVMLError as error:
            fault = error
            continue
        answered = True
        yield from found
    if fault is not None and not answered:
        raise fault


def _parts(library: Any, index: int) -> list[Device]:
    """A GPU, or the instances that it is cut into."""
    handle = library.nvmlDeviceGetHandleByIndex(index)
    cut = False
    with suppress(library.NVMLError):  # most can't be cut
        cut = library.nvmlDeviceGetMigMode(handle)[0] == library.NVML_DEVICE_MIG_ENABLE
    if not cut:
        return [_device(library, handle, index)]
    parts = []
    for number in range(library.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(library.NVMLError):  # there are fewer than there may be
            part = library.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
            parts.append(_device(library, part, index, number))
    return parts


def _device(library: Any, handle: Any, index: int, instance: int | None = None) -> Device:
    used = total = 0
    load: float | None = None
    with suppress(library.NVMLError):  # one that shares the machine's memory does not say it
        memory = library.nvmlDeviceGetMemoryInfo(handle)
        used, total = int(memory.used), int(memory.total)
    with suppress(library.NVMLError):  # instances do not say it
        load = library.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    key, name = library.nvmlDeviceGetUUID(handle), library.nvmlDeviceGetName(handle)
    return Device(index, _text(key), _text(name), used, total, load, instance)


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
