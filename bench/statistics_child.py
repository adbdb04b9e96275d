"""One measured pass over rows in a process of its own: `python statistics_child.py WHAT FILE [ROWS]`.

Prints a JSON object: `seconds` of the pass (imports and making rows in memory not counted), `rows`, and `peak_mib`, the
most memory that the process has held.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from taxi_rows import taxi_batches

from fiat.data.stream import ReadOptions, SourceFile
from fiat.profile.measure import profile_batches, profile_files
from fiat.validate.check import find_anomalies
from fiat.validate.infer import infer_schema


def main() -> None:
    """Do what the arguments say."""
    what, path = sys.argv[1], Path(sys.argv[2])
    ready = _PASSES[what](path)
    started = time.perf_counter()
    rows = ready()
    seconds = time.perf_counter() - started
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "rows": rows, "peak_mib": peak_mib}))


def _files(format_name: str) -> Callable[[Path], Callable[[], int]]:
    """Statistics, and the check against a schema inferred from them."""

    def ready(path: Path) -> Callable[[], int]:
        def go() -> int:
            found = profile_files([SourceFile(path, path.name)], ReadOptions(format_name))
            find_anomalies(None, found, infer_schema(found), (), {})
            return found.profiles[0].n_rows

        return go

    return ready


def _memory(path: Path) -> Callable[[], int]:
    """Statistics of rows that are in memory as Arrow batches."""
    batches = [batch.select(batch.schema.names[:18]) for batch in taxi_batches(path, int(sys.argv[3]))]
    return lambda: profile_batches(batches).n_rows


def _summarize(path: Path) -> Callable[[], int]:
    """DuckDB's own description: min, max, distinct, mean, sd, quartiles, count, missing."""

    def go() -> int:
        rows = duckdb.sql(f"SUMMARIZE SELECT * FROM '{path}'").fetchall()
        return max(int(row[-2]) for row in rows)

    return go


def _duckdb(path: Path) -> Callable[[], int]:
    """What a profile holds, as nearly as one query of DuckDB can say it: no buckets of all numbers."""
    shares = "[0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]"
    wanted = ["count(*)"]
    for field in pq.read_schema(path):
        name = f'"{field.name}"'
        wanted += [f"count({name})", f"min({name})", f"max({name})"]
        wanted += [f"approx_count_distinct({name})", f"approx_top_k({name}, 20)"]
        if pa.types.is_string(field.type):
            wanted += [f"avg(length({name}))", f"min(length({name}))", f"max(length({name}))"]
        else:
            wanted += [
                f"avg({name})",
                f"stddev_pop({name})",
                f"count_if({name} = 0)",
                f"count_if({name} < 0)",
            ]
            wanted += [f"count_if(isnan({name}::double))", f"approx_quantile({name}, {shares})"]
    query = f"SELECT {', '.join(wanted)} FROM '{path}'"
    return lambda: int(duckdb.sql(query).fetchall()[0][0])


def _polars(path: Path) -> Callable[[], int]:
    """The same by Polars' streaming engine: moments, ends and distinct in one query, top values by one a column."""

    def go() -> int:
        rows = pl.scan_parquet(path)
        wanted = [pl.len().alias("rows")]
        schema = rows.collect_schema()
        for name, kind in schema.items():
            column = pl.col(name)
            parts = {
                "n": column.count(),
                "min": column.min(),
                "max": column.max(),
                "distinct": column.approx_n_unique(),
            }
            if kind.is_numeric():
                parts |= {"mean": column.mean(), "sd": column.std(ddof=0), "zero": (column == 0).sum()}
                parts |= {"negative": (column < 0).sum(), "nan": column.cast(pl.Float64).is_nan().sum()}
            else:
                lengths = column.str.len_chars()
                parts |= {"length": lengths.mean(), "shortest": lengths.min(), "longest": lengths.max()}
            wanted += [part.alias(f"{name}: {what}") for what, part in parts.items()]
        found = rows.select(wanted).collect(engine="streaming")
        for name in schema.names():
            rows.group_by(name).len().top_k(20, by="len").collect(engine="streaming")
        return int(found["rows"][0])

    return go


_PASSES = {
    "parquet": _files("parquet"),
    "csv": _files("csv"),
    "memory": _memory,
    "summarize": _summarize,
    "duckdb": _duckdb,
    "polars": _polars,
}

if __name__ == "__main__":
    main()
