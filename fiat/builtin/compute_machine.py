"""What this machine has, what a compute lets through of its environment, and whether needs can be met."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from fiat.builtin.job_death import size_text
from fiat.errors import EnvironmentFault
from fiat.ports.compute import Capacity, Resources

_PASSED = ("HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
_LIMITS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_PASSED_DEVICES = (*_LIMITS, "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES")
_DEVICE = re.compile(r"\d+|(GPU|MIG)-[\w/-]+")
_LISTED = re.compile(r"GPU (\d+): |\s+MIG .*\(UUID: (MIG-[^)\s]+)\)")


def scrubbed(env: Mapping[str, str], *, devices: bool = False) -> dict[str, str]:
    """The harmless part of an environment, for our own processes: no token, no key, no setting of a tool.

    Args:
        env: the whole environment.
        devices: also what says where GPUs are.
    """
    names = (*_PASSED, *_PASSED_DEVICES) if devices else _PASSED
    kept = {name: env[name] for name in names if name in env}
    kept.update({name: value for name, value in env.items() if name.startswith("LC_")})
    return kept


def count_cpus() -> float:
    """CPU cores that this process may use: its affinity, and the quota of its control group.

    Source: kernel docs cgroup-v2, `cpu.max`.
    """
    cores = float(len(os.sched_getaffinity(0)))
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        if quota != "max":
            return min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        return cores
    return cores


def memory_total_bytes() -> int:
    """Memory of this machine, or of its control group when that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        with open("/sys/fs/cgroup/memory.max") as file:
            return min(total, int(file.read()))
    except (OSError, ValueError):
        return total


def limit_of_gpus(env: Mapping[str, str]) -> tuple[str, ...] | None:
    """GPUs that the operator lets us use, as CUDA_VISIBLE_DEVICES takes them; None when all are allowed.

    The first name that is none of a GPU (such as -1) ends the list.

    Source: CUDA C++ Programming Guide, CUDA_VISIBLE_DEVICES.
    """
    said = next((env[name] for name in _LIMITS if name in env), None)
    if said is None:
        return None
    allowed = []
    for part in map(str.strip, said.split(",")):
        if not _DEVICE.fullmatch(part):
            break
        allowed.append(part)
    return tuple(allowed)


def list_gpus(env: Mapping[str, str]) -> tuple[str, ...]:
    """Ids of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them.

    Where one is cut into MIG instances, each instance counts as a GPU.

    Source: NVIDIA Multi-Instance GPU User Guide, `nvidia-smi -L`: a line a GPU, then one for each of its instances.
    """
    allowed = limit_of_gpus(env)
    if allowed is not None:
        return allowed
    program = shutil.which("nvidia-smi", path=env.get("PATH"))
    if program is None:
        return ()
    try:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return ()
    found: dict[str, list[str]] = {}
    parts: list[str] = []
    # One that fell off its bus has no line, and the others keep their numbers.
    for match in filter(None, map(_LISTED.match, done.stdout.splitlines())):
        if match[1]:
            parts = found.setdefault(match[1], [])
        else:
            parts.append(match[2])
    return tuple(name for number, parts in found.items() for name in (parts or [number]))


def check_needs(needs: Sequence[Resources], there: Capacity) -> None:
    """Refuse what could never run.

    Raises:
        EnvironmentFault: one of `needs` is, for all its workers together, more than there is in all, or a GPU share
            that can't be had.
    """
    for need in needs:
        missing = _missing(need, there)
        if missing:
            each = f" for its {need.workers} workers" if need.workers > 1 else ""
            lower = "lower `resources` in the spec" + (", which are for each worker" if each else "")
            seen = "; `fiat gpus` shows those of this machine" if "GPU" in "".join(missing) else ""
            raise EnvironmentFault(
                f"a step asks for {' and '.join(missing)}{each} on {there.name}",
                hint=f"{lower}, or run where there is more{seen}",
            )
        if need.gpus > 1 and need.gpus != int(need.gpus):
            raise EnvironmentFault(
                f"a step asks for {need.gpus:g} GPUs",
                hint="ask for a whole number, or for a fraction below 1",
            )


def _missing(need: Resources, there: Capacity) -> list[str]:
    """What is asked for and not there."""
    missing = []
    cpus, gpus = need.cpus * need.workers, need.gpus * need.workers
    if 0 < need.gpus < 1 and need.workers > 1:
        gpus = float(need.workers)  # workers never share one, see `gpu_queue.shape`
    if cpus > there.cpus:
        missing.append(f"{_count(cpus, 'CPU')} (there are {there.cpus:g})")
    if gpus > there.gpus:
        missing.append(f"{_count(gpus, 'GPU')} (there are {there.gpus:g})")
    memory = None if need.memory_bytes is None else need.memory_bytes * need.workers
    if memory is not None and memory > there.memory_bytes:
        missing.append(f"{size_text(memory)} of memory (there are {size_text(there.memory_bytes)})")
    return missing


def _count(number: float, thing: str) -> str:
    return f"{number:g} {thing}" if number == 1 else f"{number:g} {thing}s"


def visible_gpus(ids: Sequence[str]) -> dict[str, str]:
    """Variables that show a process exactly these GPUs, on NVIDIA's and on AMD's; without ids it sees none.

    Numbers count as `nvidia-smi` does, along the PCI bus, and not by speed.

    Source: CUDA C++ Programming Guide, CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER; ROCm documentation, GPU isolation
    techniques, HIP_VISIBLE_DEVICES and ROCR_VISIBLE_DEVICES.
    """
    listed = ",".join(ids)
    shown = {"CUDA_VISIBLE_DEVICES": listed, "HIP_VISIBLE_DEVICES": listed}
    return shown | ({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if ids else {"ROCR_VISIBLE_DEVICES": ""})
