"""Counts the rows that a training is handed out: its throughput, and the batch that it is at."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fiat.builtin.batch_mark import BatchMark, batch_text

TELL_EVERY_S = 1.0


class Meter:
    """Rows and batches of one process.

    Args:
        workers: how many processes share each batch; the throughput is that of all.
        home: scratch folder where the batch is marked, None marks none.
        clock: seconds that only grow.
    """

    def __init__(
        self, workers: int = 1, home: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workers = workers
        self._home = home
        self._mark: BatchMark | None = None
        self._clock = clock
        self._began_at: float | None = None
        self._told_at = 0.0
        self._told_rows = 0
        self._rows = 0
        self._batches = 0
        self._newest_rows = 0

    def count(self, n_rows: int) -> None:
        """One more batch, of so many rows."""
        if self._began_at is None:
            self._began_at = self._told_at = self._clock()
            if self._home is not None:
                with suppress(OSError):  # it is for a sentence only
                    self._mark = BatchMark(str(self._home))
        self._batches += 1
        self._newest_rows = n_rows
        self._rows += n_rows
        if self._mark is not None:
            self._mark.set(self._batches, n_rows)

    def pace(self) -> float | None:
        """Rows a second since it was last told; None when that is less than a second ago, or there were none."""
        if self._began_at is None:
            return None
        now = self._clock()
        rows, seconds = self._rows - self._told_rows, now - self._told_at
        if seconds < TELL_EVERY_S or not rows:
            return None
        self._told_at, self._told_rows = now, self._rows
        return rows * self._workers / seconds

    def mean(self) -> float | None:
        """Rows a second since the first batch; None when there were none."""
        if self._began_at is None:
            return None
        seconds = self._clock() - self._began_at
        return self._rows * self._workers / seconds if seconds > 0 else None

    @property
    def place(self) -> str:
        """The newest batch: `batch 12 (128 rows)`; empty before the first."""
        return batch_text(self._batches, self._newest_rows) if self._batches else ""
