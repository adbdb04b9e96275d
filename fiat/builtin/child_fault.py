"""What a framework's error means: out of memory, or an operation that is never the same twice."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

_CUDA = re.compile(
    r"Tried to allocate (?P<wanted>[\d.]+ \w+)\.(?:.*?total capacity of (?P<total>[\d.]+ \w+) of which "
    r"(?P<free>[\d.]+ \w+) is free)?",
    re.DOTALL,
)
_CPU = re.compile(r"you tried to allocate (\d+) bytes")
_NUMPY = re.compile(r"Unable to allocate ([\d.]+ \w+)")
_NO_GPU_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "HIP error: out of memory")
_NO_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")
_UNSURE = re.compile(r"(\S+) does not have a deterministic implementation")
_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
Room = tuple[int, int]
"""Bytes of a GPU that are free, and that it has."""


@dataclass(frozen=True)
class Explained:
    """An error in words.

    Attributes:
        message: one sentence.
        hint: the next step.
    """

    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})"


def explain(
    fault: BaseException, *, step: str, batch: str, free_bytes: int | None, gpu_room: Room | None = None
) -> Explained | None:
    """What an error of the user's function means; None for one that speaks for itself.

    Args:
        fault: what was raised; what it was raised from counts too.
        step: name of the step.
        batch: where it was, such as `batch 12 (128 rows)`; empty when it reads no batches.
        free_bytes: memory that the machine had left, None when that is not known.
        gpu_room: of the GPU, None when that is not known.
    """
    place = f"step {step} ran out of %s memory" + (f" in {batch}" if batch else "")
    return next(filter(None, (_meaning(one, place, free_bytes, gpu_room) for one in _chain(fault))), None)


def _meaning(
    fault: BaseException, place: str, free_bytes: int | None, gpu_room: Room | None
) -> Explained | None:
    said = str(fault)
    if found := _UNSURE.search(said):
        return Explained(
            f"{found[1]} can't give the same result bit by bit each time",
            "use another operation there, or take `deterministic` out of `train`",
        )
    torchs = type(fault).__name__ == "OutOfMemoryError" and type(fault).__module__.startswith("torch")
    if torchs or any(words in said for words in _NO_GPU_MEMORY):
        return Explained(
            f"{place % 'GPU'}{_gpu_numbers(said, gpu_room)}",
            "take smaller batches, keep less on the GPU, or ask for a larger share of one in `resources.gpus`",
        )
    if isinstance(fault, MemoryError) or any(words in said for words in _NO_MEMORY):
        return Explained(
            f"{place % 'main'}{_main_numbers(said, free_bytes)}",
            "take smaller batches, or go through `data.<split>.batches(...)` instead of loading all rows",
        )
    return None


def available_bytes() -> int | None:
    """Memory that programs can still get on this machine. Source: proc(5), MemAvailable."""
    try:
        with open("/proc/meminfo") as file:
            facts: Mapping[str, str] = dict(line.split(":", 1) for line in file)
        return int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None


def gpu_room() -> Room | None:
    """What is free on the GPU that torch uses now; None when it uses none, or the GPU does not answer any more."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    with suppress(Exception):  # whatever a broken driver says, the error that we explain is another
        if cuda is not None and cuda.is_initialized():
            free, total = cuda.mem_get_info()
            return int(free), int(total)
    return None


def _chain(fault: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = fault
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__


def _gpu_numbers(said: str, room: Room | None) -> str:
    found = _CUDA.search(said)
    words = [f"it asked for {found['wanted']}"] if found else []
    if found and found["free"]:
        words.append(f"{found['free']} of {found['total']} were free")
    elif room is not None:
        words.append(f"{_size(room[0])} of {_size(room[1])} were free")
    return f": {', '.join(words)}" if words else ""


def _main_numbers(said: str, free_bytes: int | None) -> str:
    bytes_said, size_said = _CPU.search(said), _NUMPY.search(said)
    wanted = _size(int(bytes_said[1])) if bytes_said else size_said[1] if size_said else ""
    words = [f"it asked for {wanted}"] if wanted else []
    words += [f"{_size(free_bytes)} were free"] if free_bytes is not None else []
    return f": {', '.join(words)}" if words else ""


def _size(size_bytes: int) -> str:
    for unit, unit_bytes in _UNITS:
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.3g} {unit}"
    return f"{size_bytes} bytes"
