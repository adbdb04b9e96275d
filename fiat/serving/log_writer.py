"""The log writer: takes packed requests and labels from a server's pipe and writes Parquet files. A program of its own.

    python -m fiat.serving.log_writer FOLDER WORKER MAX_BYTES KEEP_S

FOLDER is the service's, WORKER the number of the server's process, KEEP_S empty for ever. It reads entries
(`fiat.serving.log_buffer`) from its standard input until that ends, which is when the server closes it or dies, however it
dies: then it writes what it has and ends. On its standard output it tells, 8 bytes little-endian each time, how many
predictions and labels are in files.
"""

import os
import select
import signal
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from fiat.serving.log_buffer import LABEL, MODEL
from fiat.serving.log_files import LogFiles, Retention
from fiat.serving.log_rows import LogModel, label_rows, prediction_rows
from fiat.serving.log_run import columns_of
from fiat.serving.place import Place

_READ_BYTES = 1 << 20
_TICK_S = 0.5
_MOST_GATHERED = 2048
_NICE = 10
_MOST_ROWS = 1 << 31
"""No request has so many: labels of later rows belong to nothing."""


class Writer:
    """Sorts entries into files.

    Args:
        place: of the service.
        worker: number of the server's process.
        retention: how long and how much is kept.
    """

    def __init__(self, place: Place, worker: int, retention: Retention) -> None:
        self._predictions = LogFiles(place.predictions, worker, retention)
        self._labels = LogFiles(place.labels, worker, retention)
        self._models: dict[str, LogModel] = {}
        self._gathered: dict[str, list[Any]] = {}
        self._n_gathered = 0
        self._gathered_labels: list[tuple[int, str, int, object]] = []

    @property
    def n_written(self) -> int:
        """Predictions (requests) and labels that are in files."""
        return self._predictions.n_written + self._labels.n_written

    def take(self, data: memoryview) -> None:
        """One entry."""
        entry = msgspec.msgpack.decode(data)
        if entry[0] == MODEL:
            self._models[entry[1]] = LogModel(entry[1], entry[2], entry[3])
        elif entry[0] == LABEL:
            self._gathered_labels += [(entry[1], *row) for row in entry[2] if row[1] < _MOST_ROWS]
        else:
            entry = columns_of(entry)
            self._gathered.setdefault(entry[4], []).append(entry)
            self._n_gathered += len(entry[2])
        if self._n_gathered >= _MOST_GATHERED:
            self.sort_out()

    def sort_out(self) -> None:
        """Bring what was gathered to its files, which are written when they are due."""
        for digest, entries in self._gathered.items():
            model = self._models.get(digest) or LogModel(digest, {}, "columns")
            try:
                for table, n_requests in prediction_rows(model, entries):
                    self._predictions.add(digest[:8], table, n_requests)
            except (ValueError, TypeError, pa.ArrowException) as error:
                # One request that can't be written must not end the log of all others.
                print(f"log writer: requests can't be written: {error}", file=sys.stderr, flush=True)
        self._gathered, self._n_gathered = {}, 0
        if self._gathered_labels:
            self._labels.add("labels", label_rows(self._gathered_labels), len(self._gathered_labels))
            self._gathered_labels = []

    def write(self, *, now_s: float, everything: bool = False) -> None:
        """Write the files that are due, or all that have new rows."""
        self.sort_out()
        self._predictions.write(now_s, everything=everything)
        self._labels.write(now_s, everything=everything)


def follow(pipe: int, told: int, writer: Writer) -> None:
    """Take entries until the pipe ends, then write everything."""
    rest = bytearray()
    n_told = 0
    while True:
        ready, _, _ = select.select([pipe], [], [], _TICK_S)
        if ready:
            data = os.read(pipe, _READ_BYTES)
            if not data:
                break
            rest += data
            _take_all(rest, writer)
        writer.write(now_s=time.time())
        n_told = _tell(told, writer.n_written, n_told)
    writer.write(now_s=time.time(), everything=True)
    _tell(told, writer.n_written, n_told)


def _take_all(rest: bytearray, writer: Writer) -> None:
    start, view = 0, memoryview(rest)
    while len(rest) - start >= 4:
        (size,) = struct.unpack_from("<I", rest, start)
        if len(rest) - start - 4 < size:
            break
        writer.take(view[start + 4 : start + 4 + size])
        start += 4 + size
    view.release()
    del rest[:start]


def _tell(told: int, n_written: int, before: int) -> int:
    if n_written > before:
        with suppress(OSError):  # the server is gone
            os.write(told, n_written.to_bytes(8, "little"))
    return n_written


def main(arguments: Sequence[str]) -> int:
    """Run until the pipe ends."""
    folder, worker, max_bytes, keep_s = arguments
    # What interrupts the server reaches the writer as the end of its pipe, so that nothing is lost.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(_NICE)
    retention = Retention(int(max_bytes), float(keep_s) if keep_s else None)
    follow(sys.stdin.fileno(), sys.stdout.fileno(), Writer(Place(Path(folder)), int(worker), retention))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
