"""Lengths of texts, bytes and lists, in parts that merge."""

from dataclasses import dataclass

import numpy as np

from fiat.profile.model import Lengths
from fiat.profile.sketch import Ints


@dataclass
class LengthTally:
    """Takes lengths, says how many there were, their sum and ends."""

    n: int = 0
    total: int = 0
    min: int = 0
    max: int = 0
    n_zero: int = 0

    def add(self, lengths: Ints, rows: Ints | None = None) -> None:
        """Take lengths `(n,)`, each once or `rows` times."""
        if not len(lengths):
            return
        low, high = int(lengths.min()), int(lengths.max())
        self.min, self.max = (min(self.min, low), max(self.max, high)) if self.n else (low, high)
        self.n += len(lengths) if rows is None else int(rows.sum())
        wide = lengths.astype(np.int64, copy=False)
        self.total += int(wide.sum()) if rows is None else int((wide * rows).sum())
        self.n_zero += int((wide == 0).sum()) if rows is None else int(rows[wide == 0].sum())

    def finish(self) -> Lengths | None:
        """What was found; None without any."""
        if not self.n:
            return None
        return Lengths(self.n, self.total / self.n, self.min, self.max, self.n_zero)


def merge_lengths(first: Lengths | None, other: Lengths | None) -> Lengths | None:
    """The lengths of both."""
    if first is None or other is None:
        return first or other
    n = first.n + other.n
    # Sums of lengths are whole numbers: rounded, merging gives what one pass gives.
    total = round(first.mean * first.n) + round(other.mean * other.n)
    return Lengths(
        n, total / n, min(first.min, other.min), max(first.max, other.max), first.n_zero + other.n_zero
    )
