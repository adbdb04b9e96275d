"""Statistics and schema check of many rows: against DuckDB and TensorFlow Data Validation, and in how much memory.

The rows are made from the taxi data, which must lie in `../shared/data/chicago-taxi/data.csv` beside the repository, or
where `FIAT_BENCH_TAXI` says. `FIAT_BENCH_TFDV` names an interpreter that has TensorFlow Data Validation 1.16 (`pip install
tensorflow-data-validation==1.16` on Python 3.11); without one, what was seen of it is the peer.
"""

import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from stopwatch import Line, Room
from taxi_rows import taxi_batches, write_parquet

TAXI = Path(__file__).parents[2] / "shared" / "data" / "chicago-taxi" / "data.csv"
MOST_MIB = 2048
SEEN_TFDV = {"csv": 19_000, "memory": 467_000}
"""Rows a second of TensorFlow Data Validation 1.16 on two cores from CSV, and on one from memory."""
_HERE = Path(__file__).parent
_REPO = str(_HERE.parent)
Taken = dict[str, float]


def measure(folder: Path, *, rows: int, repeats: int) -> list[Line]:
    """The same rows as Parquet, CSV and in memory.

    Args:
        folder: for the files.
        rows: of the Parquet file; the others have a tenth of them, at least 500,000.
        repeats: takes of each; the median counts.
    """
    taxi = _taxi()
    if taxi is None:
        return []
    room = Room(folder / "statistics")
    few = max(500_000, rows // 10)
    parquet, csv, arrow = (room.folder / name for name in ("taxi.parquet", "taxi.csv", "taxi.arrow"))
    write_parquet(taxi, parquet, rows)
    _write_few(taxi, csv, arrow, few)
    takes: dict[str, list[Taken]] = {}
    # They alternate, so that a busy minute hits all of them.
    for _ in range(repeats):
        for what in ("parquet", "summarize", "duckdb", "polars"):
            takes.setdefault(what, []).append(_take(room, what, parquet))
        for what, source, peer_source in (("csv", csv, csv), ("memory", taxi, arrow)):
            takes.setdefault(what, []).append(_take(room, what, source, str(few), one_core=what == "memory"))
            takes.setdefault(f"tfdv {what}", []).append(_tfdv(room, what, peer_source))
    shown = f"{rows:,} rows x 20 columns of Parquet"
    ours = _median(takes["parquet"], "seconds")
    lines = [
        Line(
            f"statistics and schema check, {shown}",
            ours,
            _median(takes["summarize"], "seconds"),
            "DuckDB SUMMARIZE",
            1.0,
        ),
        Line("  against the same statistics by DuckDB", ours, _median(takes["duckdb"], "seconds"), "DuckDB"),
        Line(
            "  against the same by Polars' lazy queries", ours, _median(takes["polars"], "seconds"), "Polars"
        ),
        Line("  memory of it", _median(takes["parquet"], "peak_mib"), most=MOST_MIB, unit="MiB"),
    ]
    for what, share, most in (("csv", 1 / 20, 1 / 0.38), ("memory", 1 / 1.5, 1 / 0.7)):
        peer = _per_million(takes[f"tfdv {what}"])
        name = "TFDV" if "FIAT_BENCH_TFDV" in os.environ else "TFDV 1.16, seen before"
        where = "a million rows x 18 from CSV" if what == "csv" else "a million rows x 18 in memory, one core"
        lines.append(Line(f"statistics of {where}", _per_million(takes[what]), peer, name, share, most))
    return lines


def measure_memory(folder: Path, *, size_gb: float) -> list[Line]:
    """The most memory that a Parquet file of a size takes; `FIAT_BENCH_GB` sets another size.

    Args:
        folder: for the file, deleted afterwards.
        size_gb: in 10^9 bytes.
    """
    taxi = _taxi()
    if taxi is None:
        return []
    size_gb = float(os.environ.get("FIAT_BENCH_GB", size_gb))
    room = Room(folder / "memory")
    path = room.folder / "large.parquet"
    try:
        rows = _write_large(taxi, path, round(size_gb * 1e9))
        taken = _take(room, "parquet", path)
    finally:
        path.unlink(missing_ok=True)
    if taken["rows"] != rows:
        sys.exit(f"{rows:,} rows were written and {taken['rows']:,} described")
    shown = f"{size_gb:g} GB of Parquet, {rows:,} rows"
    return [
        Line(f"memory of statistics of {shown}", taken["peak_mib"], most=MOST_MIB, unit="MiB"),
        Line("  time of it", taken["seconds"]),
    ]


def _taxi() -> Path | None:
    path = Path(os.environ.get("FIAT_BENCH_TAXI", str(TAXI)))
    if path.is_file():
        return path
    print(f"  left out: there is no {path}; FIAT_BENCH_TAXI names it")
    return None


def _take(room: Room, what: str, path: Path, *more: str, one_core: bool = False) -> Taken:
    env = {"PYTHONPATH": _REPO} | ({"POLARS_MAX_THREADS": "1"} if one_core else {})
    out = room.folder / "taken.json"
    pinned = ("taskset", "-c", "0") if one_core else ()
    child = " ".join(["exec", *pinned, '"$0" "$@" >', f"'{out}'"])
    room.run(
        room.folder,
        "sh",
        "-c",
        child,
        sys.executable,
        str(_HERE / "statistics_child.py"),
        what,
        str(path),
        *more,
        env=env,
    )
    taken: Taken = json.loads(out.read_text())
    return taken


def _tfdv(room: Room, what: str, path: Path) -> Taken:
    python = os.environ.get("FIAT_BENCH_TFDV")
    if not python:
        return {"seconds": 1e6 / SEEN_TFDV[what], "rows": 1e6}
    out = room.folder / "tfdv.json"
    pinned = "taskset -c 0 " if what == "memory" else ""
    child = f'exec {pinned}"$0" "$@" > \'{out}\''
    room.run(room.folder, "sh", "-c", child, python, str(_HERE / "statistics_tfdv.py"), what, str(path))
    taken: Taken = json.loads(out.read_text())
    return taken


def _median(takes: list[Taken], key: str) -> float:
    return statistics.median(take[key] for take in takes)


def _per_million(takes: list[Taken]) -> float:
    return statistics.median(take["seconds"] / take["rows"] * 1e6 for take in takes)


def _few_batches(taxi: Path, rows: int) -> Iterator[pa.RecordBatch]:
    for batch in taxi_batches(taxi, rows, step=50_000):
        yield batch.select(batch.schema.names[:18])


def _write_few(taxi: Path, csv: Path, arrow: Path, rows: int) -> None:
    table = pa.Table.from_batches(list(_few_batches(taxi, rows)))
    pacsv.write_csv(table, csv)
    with pa.ipc.new_file(str(arrow), table.schema) as writer:
        writer.write_table(table)


def _write_large(taxi: Path, path: Path, size_bytes: int) -> int:
    """One row group again and again, each with ids of its own; the number of rows."""
    batch = next(taxi_batches(taxi, 500_000))
    place = batch.schema.get_field_index("trip_id")
    rows = 0
    with pq.ParquetWriter(path, batch.schema) as writer:
        while rows == 0 or path.stat().st_size < size_bytes:
            columns = list(batch.columns)
            columns[place] = pa.compute.add(columns[place], rows)
            writer.write_batch(pa.record_batch(columns, batch.schema))
            rows += batch.num_rows
    return rows
