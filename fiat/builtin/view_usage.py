"""What a step used, in words: workers, GPUs, memory, throughput, and from where it went on."""

import math
from collections.abc import Mapping

from fiat.builtin.page_json import items, real, text, whole
from fiat.builtin.view_text import count, number, size

THROUGHPUT = "samples_per_s"
GPU_MEMORY = "gpu_memory_bytes"
GPU_LOAD = "gpu_load_ratio"
SPECIAL = frozenset({THROUGHPUT, GPU_MEMORY, GPU_LOAD})
"""Metrics that say how fast the machine is and not how good the model."""


def pace_text(samples_per_s: float) -> str:
    """Throughput: `1,234 samples/s`; empty when it is not known."""
    if not math.isfinite(samples_per_s):
        return ""
    return f"{number(float(round(samples_per_s)) if samples_per_s >= 100 else samples_per_s)} samples/s"


def gpu_text(numbers: Mapping[str, object]) -> str:
    """Memory and load of GPUs for a narrow place: `GPU 3.1 GiB 93 %`; empty when nothing is known."""
    memory, load = whole(numbers.get(GPU_MEMORY)), real(numbers.get(GPU_LOAD))
    words = [size(memory)] if memory > 0 else []
    words += [percent(load)] if math.isfinite(load) else []
    return f"GPU {' '.join(words)}" if words else ""


def percent(ratio: float) -> str:
    """A load: `93 %`."""
    return f"{ratio:.0%}".replace("%", " %")


def usage_pairs(resources: Mapping[str, object]) -> list[tuple[str, str]]:
    """Name and value of everything that is known beyond what a step asked for; empty for one of no interest.

    Args:
        resources: of a `StepResult`.
    """
    workers, ids = whole(resources.get("workers")), [text(item) for item in items(resources.get("gpu_ids"))]
    gpu_memory, load = whole(resources.get(GPU_MEMORY)), real(resources.get(GPU_LOAD))
    peak = whole(resources.get("peak_memory_bytes"))
    pairs = [
        ("workers", str(workers) if workers > 1 else ""),
        ("GPUs", f"{count(len(ids), 'GPU')}: {', '.join(ids)}" if ids else ""),
        ("GPU memory", f"{size(gpu_memory)} at most" if gpu_memory > 0 else ""),
        ("GPU load", f"{percent(load)} on average" if math.isfinite(load) else ""),
        ("memory", f"{size(peak)} at most" if peak > 0 else ""),
        ("resumed", text(resources.get("resumed"))),
    ]
    return [(name, value) for name, value in pairs if value]
