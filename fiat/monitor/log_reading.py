"""Read the log while it grows: which rows are new, window by window, without reading what was read before."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


@dataclass(frozen=True)
class LogFile:
    """A file of the log.

    Attributes:
        path: where it is.
        what: beginning of the digest of the version that answered; `labels` for labels.
        size_bytes: of it.
        written_at: seconds since 1970 when it was replaced last.
    """

    path: Path
    what: str
    size_bytes: int
    written_at: float


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


def log_files(folder: Path) -> list[LogFile]:
    """The files of a folder in the order they were begun; empty when it is not there. Opens none of them."""
    found = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            words = entry.name.split("-", 4)
            if len(words) == 5 and entry.name.endswith(".parquet") and words[0].isdigit():
                with suppress(OSError):
                    facts = entry.stat()
                    found.append(LogFile(Path(entry.path), words[3], facts.st_size, facts.st_mtime))
    return sorted(found, key=lambda file: (_begun(file.path.name), file.path.name))


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


def _begun(name: str) -> tuple[str, int]:
    moment = name.rsplit(".", 2)[-2] if name.count(".") >= 2 else "0"
    return name[:13], int(moment) if moment.isdigit() else 0
