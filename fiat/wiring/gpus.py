"""The GPUs of this machine: what their driver says, and who has them by the ledger."""

from collections.abc import Mapping, Sequence

from fiat.builtin.gpu_claim import Claim
from fiat.builtin.gpu_device import Device, Driver, NvmlDriver
from fiat.builtin.gpu_ledger import GpuLedger, boot_clock, ledger_folder
from fiat.builtin.view_gpus import GpuRow, GpuShare, GpuSight, GpuWish, gpus_sheet
from fiat.errors import EnvironmentFault
from fiat.wiring.views import print_sheet


def look_at_gpus(env: Mapping[str, str], driver: Driver | None = None) -> GpuSight:
    """How things stand now; nothing is changed but that what dead processes left is removed.

    Args:
        env: names the ledger.
        driver: of the GPUs; None is NVIDIA's.

    Raises:
        EnvironmentFault: the ledger can't be read.
    """
    having, waiting = GpuLedger(ledger_folder(env)).look()
    now = boot_clock()
    devices: Sequence[Device] = ()
    fault = ""
    try:
        devices = (driver or NvmlDriver()).devices()
    except EnvironmentFault as error:
        fault = f"{error.message}; {error.hint}"
    known = [device.key for device in devices]
    others = sorted(
        {key for claim in (*having, *waiting) for key in claim.among} - set(known), key=_by_number
    )
    rows = [_known(device, having, now) for device in devices]
    rows += [GpuRow(key, key, held=_held(key, having, now)) for key in others]
    return GpuSight(tuple(rows), tuple(_wish(claim, now) for claim in waiting), fault)


def show_gpus(sight: GpuSight) -> None:
    """Print it for people."""
    print_sheet(gpus_sheet(sight))


def _known(device: Device, having: Sequence[Claim], now: float) -> GpuRow:
    return GpuRow(
        device.label,
        device.key,
        device.name,
        device.memory_used_bytes,
        device.memory_bytes,
        device.load_ratio,
        _held(device.key, having, now),
    )


def _held(key: str, having: Sequence[Claim], now: float) -> tuple[GpuShare, ...]:
    return tuple(
        GpuShare(claim.run, claim.step, claim.share, now - claim.taken, claim.pid)
        for claim in having
        if key in claim.keys
    )


def _by_number(key: str) -> tuple[bool, int, str]:
    return (not key.isdecimal(), int(key) if key.isdecimal() else 0, key)


def _wish(claim: Claim, now: float) -> GpuWish:
    return GpuWish(
        claim.run, claim.step, claim.count, claim.share, claim.priority, now - claim.since, claim.pid
    )
