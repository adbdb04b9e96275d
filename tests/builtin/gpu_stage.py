"""A driver of GPUs that are not there."""

from dataclasses import replace

from fiat.builtin.gpu_device import Device
from fiat.errors import EnvironmentFault


class FakeDriver:
    """GPUs whose memory and load a test sets.

    Attributes:
        moments: what is seen, look by look; the last one stays.
        looks: how often it was asked.
    """

    def __init__(self, *devices: Device) -> None:
        self.moments: list[tuple[Device, ...]] = [devices]
        self.looks = 0

    def devices(self) -> tuple[Device, ...]:
        self.looks += 1
        return self.moments[min(self.looks, len(self.moments)) - 1]


class NoDriver:
    """A machine without a GPU."""

    def devices(self) -> tuple[Device, ...]:
        raise EnvironmentFault(
            "no driver of a GPU answers here: NVML Shared Library Not Found", hint="install it"
        )


def device(index: int, used_gib: float = 0, load: float | None = 0.0) -> Device:
    """One of 80 GiB."""
    return Device(index, f"GPU-{index}{index}aa-bb", "NVIDIA H100", int(used_gib * 2**30), 80 * 2**30, load)


def at(shown: Device, used_gib: float, load: float | None) -> Device:
    """The same a moment later."""
    return replace(shown, memory_used_bytes=int(used_gib * 2**30), load_ratio=load)
