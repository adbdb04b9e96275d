"""Parquet files of the log: each grows by being replaced, so that it can be read at any moment; the oldest are deleted.

A file holds the rows of one version (or of labels) of one server process and one hour (UTC), at most FILE_ROWS. Its name
begins with its hour and ends with the moment it was begun: `2026-11-26T14-<what>-<worker>.<microseconds>.parquet`. Rows are
only added at its end. What is being written has a name that begins with `unfinished.` and no suffix.
"""

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FILE_ROWS = 65_536
FILE_BYTES = 64 << 20
_SOONEST_S, _LATEST_S = 2.0, 60.0
_ROWS_A_SECOND = 1000
_STALE_S = 3600.0
_PRUNE_EVERY_S = 30.0


@dataclass(frozen=True)
class Retention:
    """What is kept.

    Attributes:
        max_bytes: of all files of a folder together.
        keep_s: seconds since a file was written last, None for ever.
    """

    max_bytes: int
    keep_s: float | None = None


@dataclass
class _Open:
    """A file that grows."""

    path: Path
    hour: str
    batches: list[pa.Table]
    written_at: float
    n_rows: int = 0
    size_bytes: int = 0
    new_items: int = 0
    new_rows: int = 0


@dataclass
class LogFiles:
    """The files of one folder that one server process writes.

    Args:
        folder: made when there is something to write.
        worker: number of the process.
        retention: how long and how much is kept.

    Attributes:
        n_written: items in files.
    """

    folder: Path
    worker: int
    retention: Retention
    n_written: int = 0
    _open: dict[tuple[str, pa.Schema], _Open] = field(default_factory=dict)
    _pruned_at: float = 0.0

    def add(self, what: str, rows: pa.Table, n_items: int) -> None:
        """Take rows of `what`; they are in a file after the next `write` that finds it due."""
        now = time.time()
        hour = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H")
        key = (what, rows.schema)
        current = self._open.get(key)
        if current is not None and current.hour != hour:
            self._finish(key, now)
            current = None
        if current is None:
            path = self.folder / f"{hour}-{what}-{self.worker}.{round(now * 1e6)}.parquet"
            current = self._open[key] = _Open(path, hour, [], now)
        current.batches.append(rows)
        current.n_rows += rows.num_rows
        current.new_rows += rows.num_rows
        current.size_bytes += rows.nbytes
        current.new_items += n_items
        if current.n_rows >= FILE_ROWS or current.size_bytes >= FILE_BYTES:
            self._finish(key, now)

    def write(self, now_s: float, *, everything: bool = False) -> None:
        """Write the files whose new rows have waited long enough: 2 s for a small file, up to a minute for a large one."""
        hour = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H")
        for key, current in list(self._open.items()):
            pause_s = min(_LATEST_S, _SOONEST_S + current.n_rows / _ROWS_A_SECOND)
            if everything or current.hour != hour:
                self._finish(key, now_s)
            elif current.new_rows and now_s - current.written_at >= pause_s:
                self._replace(current, now_s)
        if everything or now_s - self._pruned_at >= _PRUNE_EVERY_S:
            self._pruned_at = now_s
            prune(self.folder, self.retention, now_s)

    def _finish(self, key: tuple[str, pa.Schema], now_s: float) -> None:
        current = self._open.pop(key)
        if current.new_rows:
            self._replace(current, now_s)

    def _replace(self, current: _Open, now_s: float) -> None:
        table = pa.concat_tables(current.batches).combine_chunks()
        current.batches = [table]
        current.written_at = now_s
        try:
            write_rows(current.path, table)
        except OSError as error:
            # A full disk is no reason to stop serving, nor to lose what comes later.
            print(f"log writer: {current.path} can't be written: {error}", file=sys.stderr, flush=True)
            return
        self.n_written += current.new_items
        current.new_items = current.new_rows = 0


def labels_path(folder: Path, moment_us: int) -> Path:
    """A new file for labels that somebody brings as a file, at a moment (microseconds since 1970)."""
    hour = datetime.fromtimestamp(moment_us / 1e6, UTC).strftime("%Y-%m-%dT%H")
    return folder / f"{hour}-labels-file.{moment_us}.parquet"


def write_rows(path: Path, table: pa.Table) -> None:
    """Write a file so that it is there as a whole or not at all.

    Raises:
        OSError: the disk refused.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not `.parquet`: who reads `*.parquet` must not come upon it.
    draft = path.with_name(f"unfinished.{path.stem}")
    try:
        with draft.open("wb") as file:
            pq.write_table(table, file, compression="zstd", row_group_size=FILE_ROWS)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def prune(folder: Path, retention: Retention, now_s: float) -> None:
    """Delete files that are too old, then the oldest while all together are too large; drafts that nobody finished too."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                found.append((entry.name, entry.stat()))
    files = sorted((name, facts) for name, facts in found if name.endswith(".parquet") and name[0].isdigit())
    left = sum(facts.st_size for _, facts in files)
    for name, facts in files:
        too_old = retention.keep_s is not None and now_s - facts.st_mtime > retention.keep_s
        if too_old or left > retention.max_bytes:
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
            left -= facts.st_size
    for name, facts in found:
        if name.startswith("unfinished.") and now_s - facts.st_mtime > _STALE_S:
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
