"""The line that a step's log gets now and then while it holds GPUs, and how it is read again."""

import math
import re

from fiat.builtin.view_usage import GPU_LOAD, GPU_MEMORY

WORD = "FIAT_USAGE"
_LINE = re.compile(r"FIAT_USAGE((?: [a-z_]+=\S*)+)\s*")
_PAIR = re.compile(r" ([a-z_]+)=(\S*)")


def usage_text(gpu_memory_bytes: int, gpu_load_ratio: float | None) -> str:
    """The line as it stands in the log: `FIAT_USAGE gpu_memory_bytes=3221225472 gpu_load_ratio=0.93`.

    Args:
        gpu_memory_bytes: of all GPUs of the step together, now.
        gpu_load_ratio: mean of them, now; None when it is not known.
    """
    load = "" if gpu_load_ratio is None else f" {GPU_LOAD}={gpu_load_ratio:.3f}"
    return f"{WORD} {GPU_MEMORY}={gpu_memory_bytes}{load}"


def read_usage(text: str) -> dict[str, float] | None:
    """Read one line of output as such a line; None when it is none. What is no number, or of another name, is left out."""
    if not text.startswith(WORD) or len(text) > 1000:
        return None
    match = _LINE.fullmatch(text.rstrip("\r\n"))
    if not match:
        return None
    found: dict[str, float] = {}
    for name, value in _PAIR.findall(match[1]):
        try:
            number = float(value)
        except ValueError:
            continue
        if name in (GPU_MEMORY, GPU_LOAD) and math.isfinite(number):
            found[name] = number
    return found
