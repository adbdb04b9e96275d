"""What a checkpoint is known by, and which of many stay."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

_NAME = re.compile(r"(\d{8,18})-([0-9a-f]{64})\.(pt|pkl)")


def is_checkpoint(name: str) -> bool:
    """Whether a file is a checkpoint by its name: number, SHA-256 of its bytes, and what wrote it."""
    return bool(_NAME.fullmatch(name))


@dataclass(frozen=True)
class Entry:
    """One checkpoint.

    Attributes:
        file: its name in the folder.
        step: position in the training that the code gave, None when it gave none.
        metrics: what the code said of it.
        saved_at: seconds since 1970; 0 when it is not known.
    """

    file: str
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    saved_at: float = 0.0

    @property
    def number(self) -> int:
        """Its place among all that were ever written, from 1."""
        return int(self.file.partition("-")[0])

    @property
    def digest(self) -> str:
        """SHA-256 of its bytes."""
        return self.file.partition("-")[2].partition(".")[0]

    def __str__(self) -> str:
        return (
            f"checkpoint {self.number}"
            if self.step is None
            else f"step {self.step} (checkpoint {self.number})"
        )


@dataclass(frozen=True)
class Keeping:
    """Which checkpoints stay.

    Attributes:
        keep: how many, 1 or more.
        metric: by which the best are kept beside the newest one; empty keeps the newest.
        mode: whether a large or a small one is good.
    """

    keep: int = 1
    metric: str = ""
    mode: Literal["max", "min"] = "max"

    def best(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that have the metric, best ones first; of equally good ones the older."""
        known = [entry for entry in entries if math.isfinite(entry.metrics.get(self.metric, math.nan))]
        sign = -1.0 if self.mode == "max" else 1.0
        return sorted(known, key=lambda entry: (sign * entry.metrics[self.metric], entry.number))

    def kept(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that stay, older ones first."""
        ordered = sorted(entries, key=lambda entry: entry.number)
        if not self.metric:
            return ordered[-self.keep :]
        chosen = {entry.file for entry in (*self.best(ordered)[: self.keep], *ordered[-1:])}
        return [entry for entry in ordered if entry.file in chosen]
