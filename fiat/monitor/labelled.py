"""Labels that came late, joined to the predictions they belong to: how good each version truly is.

A label belongs to the row of its request; of several labels of one row the newest counts, of several requests of one id the
newest too. What a version has then is a few sums, from which every metric and its interval follow.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import polars as pl
import pyarrow as pa

from fiat.monitor.log_files import LogFile, log_files
from fiat.monitor.log_reading import read_file
from fiat.monitor.tally import Labelled, Tally

_KEYS = ["request_id", "row"]
_ANSWER = ["time", *_KEYS, "digest", "version", "prediction"]
_Types = Mapping[str, pl.DataType | type[pl.DataType]]
_GIVEN: _Types = MappingProxyType(
    {
        "given_at": pl.Datetime("us", "UTC"),
        "request_id": pl.String,
        "row": pl.Int32,
        "label": pl.String,
        "number": pl.Float64,
    }
)
_ANSWERED: _Types = MappingProxyType(
    {
        "time": pl.Datetime("us", "UTC"),
        "request_id": pl.String,
        "row": pl.Int32,
        "digest": pl.String,
        "version": pl.String,
        "said": pl.String,
        "said_number": pl.Float64,
        "is_class": pl.Boolean,
    }
)


def quality_by_version(predictions: Path, labels: Path, since_s: float) -> Labelled:
    """How good each version is on requests since a moment whose labels have come. Cheap where there are no labels.

    Args:
        predictions: folder of the log.
        labels: folder of the labels.
        since_s: seconds since 1970; older requests don't count.
    """
    late = [file for file in log_files(labels) if file.written_at >= since_s]
    if not late:
        return Labelled({})
    given = read_labels(late)
    answers = read_answers((file for file in log_files(predictions) if file.written_at >= since_s), given)
    moment = pl.lit(round(since_s * 1e6)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    joined = join(given, answers)
    older = joined.filter(pl.col("digest").is_not_null() & (pl.col("time") < moment)).height
    recent = joined.filter(pl.col("time") >= moment)
    versions = {str(part["digest"][0]): tally(part) for part in recent.partition_by("digest")}
    return Labelled(versions, given.height - recent.height - older)


def read_labels(files: Iterable[LogFile], position: Mapping[str, int] | None = None) -> pl.DataFrame:
    """Labels behind a position, the newest of each row."""
    parts = []
    for file in files:
        table = read_file(file.path)
        if table is not None:
            behind = (position or {}).get(file.path.name, 0)
            parts.append(pl.DataFrame(table.slice(behind)).rename({"time": "given_at"}))
    if not parts:
        return pl.DataFrame(schema=_GIVEN)
    return pl.concat(parts).sort("given_at", maintain_order=True).unique(_KEYS, keep="last")


def read_answers(files: Iterable[LogFile], given: pl.DataFrame) -> pl.DataFrame:
    """Predictions of the rows that labels were given for, the newest of each."""
    parts = []
    wanted = given.select("request_id").unique()
    for file in files:
        table = read_file(file.path, _ANSWER)
        if table is None:
            continue
        kind = table.schema.field("prediction").type
        if not (pa.types.is_string(kind) or pa.types.is_floating(kind)):
            continue  # several numbers a row, or none: no label says whether they are right
        found = pl.DataFrame(table).join(wanted, on="request_id", how="semi")
        parts.append(
            found.with_columns(
                pl.col("prediction").cast(pl.String).alias("said"),
                pl.col("prediction").cast(pl.Float64, strict=False).alias("said_number"),
                pl.lit(pa.types.is_string(kind)).alias("is_class"),
            ).drop("prediction")
        )
    if not parts:
        return pl.DataFrame(schema=_ANSWERED)
    return pl.concat(parts).sort("time", maintain_order=True).unique(_KEYS, keep="last")


def join(given: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Labels with their predictions; nulls where there is none."""
    return given.join(answers, on=_KEYS, how="left").with_columns(
        # A class that is written as a number is the same however it is written: 7 and 7.0.
        (
            (pl.col("label") == pl.col("said")) & pl.col("is_class")
            | (pl.col("number") == pl.col("said_number"))
        )
        .fill_null(value=False)
        .alias("right"),
        (pl.col("number") - pl.col("said_number")).alias("error"),
    )


def tally(rows: pl.DataFrame) -> Tally:
    """Sums of joined rows."""
    error = pl.col("error").drop_nulls().drop_nans()
    found = rows.select(
        n=pl.len(),
        right=pl.col("right").sum(),
        numbers=error.len(),
        absolute=error.abs().sum(),
        squares=(error**2).sum(),
        fourth=(error**4).sum(),
    ).row(0)
    return Tally(int(found[0]), int(found[1]), int(found[2]), *(float(value) for value in found[3:]))
