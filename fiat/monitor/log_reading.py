"""Read the log while it grows: which rows are new, window by window, without reading what was read before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fiat.monitor.log_files import LogFile


@dataclass(frozen=True)
class Cut:
    """Rows of the log that make a window.

    Attributes:
        rows: all columns; None when the window is only passed over.
        n_requests: in them.
        position: file name to rows of it that are behind this window.
    """

    rows: pa.Table | None
    n_requests: int
    position: Mapping[str, int]


def read_file(path: Path, columns: list[str] | None = None) -> pa.Table | None:
    """A file's rows; None for one that is gone or damaged."""
    try:
        return pq.ParquetFile(path).read(columns)
    except (OSError, pa.ArrowException):
        return None


def cut_windows(
    files: list[LogFile], position: Mapping[str, int], n_requests: int, most: int
) -> Iterator[Cut]:
    """Whole windows of the rows behind a position, in the order of the files.

    Args:
        files: of one version, in order.
        position: file name to rows of it that were in windows before.
        n_requests: in each window.
        most: windows whose rows are given; later ones are only passed over.
    """
    behind = {file.path.name: position.get(file.path.name, 0) for file in files}
    waiting: list[tuple[str, int, pa.Table]] = []
    n_waiting = given = 0
    for file in files:
        name = file.path.name
        table = read_file(file.path)
        if table is None or table.num_rows <= behind[name]:
            continue
        start = behind[name]
        firsts = np.flatnonzero(table.column("row").slice(start).to_numpy() == 0) + start
        while n_waiting + len(firsts) >= n_requests:
            wanted = n_requests - n_waiting
            end = int(firsts[wanted]) if wanted < len(firsts) else table.num_rows
            waiting.append((name, end, table.slice(start, end - start)))
            behind |= {known: stop for known, stop, _ in waiting}
            given += 1
            rows = _joined([part for _, _, part in waiting]) if given <= most else None
            yield Cut(rows, n_requests, {known: stop for known, stop in behind.items() if stop})
            waiting, n_waiting = [], 0
            firsts, start = firsts[wanted:], end
        if start < table.num_rows:
            waiting.append((name, table.num_rows, table.slice(start)))
            n_waiting += len(firsts)


def _joined(parts: list[pa.Table]) -> pa.Table:
    return parts[0] if len(parts) == 1 else pa.concat_tables(parts, promote_options="permissive")


def count_requests(rows: pa.Table) -> int:
    """Requests that rows came in."""
    return int(pc.sum(pc.equal(rows.column("row"), 0)).as_py() or 0)
