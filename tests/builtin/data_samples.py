"""Described data for the tests of the data report: measured from real rows, so that pages show what there would be."""

import pyarrow as pa

from fiat.profile.measure import profile_batches
from fiat.profile.model import DataProfile, Profile
from fiat.validate.model import (
    Anomaly,
    ColumnSchema,
    Domain,
    Example,
    Findings,
    Limit,
    Schema,
)

CITIES = ("Oslo", "Bergen", "Tromsø", "Bodø")


def rows(n_rows: int, shift: int = 0, *, missing: int = 7) -> pa.Table:
    """Rows with a column of each usual kind; the same for the same arguments."""
    numbers = range(n_rows)
    return pa.table(
        {
            "age": pa.array(
                [None if n % missing == 0 else (n * 37 + shift) % 80 for n in numbers], pa.int64()
            ),
            "fare": pa.array(
                [(n * 13 + shift) % 97 / 7 + (500 if n == 3 else 0) for n in numbers], pa.float64()
            ),
            "city": pa.array([CITIES[(n * n + shift) % len(CITIES)] for n in numbers]),
            "paid": pa.array([n % 3 == 0 for n in numbers]),
            "when": pa.array([1_700_000_000 + 86_400 * (n % 50) for n in numbers], pa.timestamp("s")),
            "tags": pa.array([["a", "b"][: n % 3] for n in numbers], pa.list_(pa.string())),
            "late": pa.array([float("nan") if n % 11 == 0 else 0.0 for n in numbers], pa.float64()),
            "big": pa.array(["yes" if n % 5 else "no" for n in numbers]),
        }
    )


def measured(table: pa.Table, split: str = "", part: str = "") -> Profile:
    """The profile of a table."""
    return profile_batches(table.to_batches(), split=split, slice=part)


def sample_profile(shift: int = 0) -> DataProfile:
    """Three splits, and slices of the first."""
    table = rows(600, shift)
    profiles = [
        measured(table, "train"),
        measured(rows(200, shift + 1), "eval"),
        measured(rows(150, shift + 2), "test"),
    ]
    for city in CITIES[:2]:
        mask = pa.array([value == city for value in table["city"].to_pylist()])
        profiles.append(measured(table.filter(mask), "train", f"city={city}"))
    return DataProfile(tuple(profiles), label="big", source_digest="a1b2c3d4" * 8)


def sample_schema() -> Schema:
    """Something asked of most columns."""
    return Schema(
        columns=(
            ColumnSchema("age", "int", min_present=0.9, min_count=10, domain=Domain(min=0, max=60)),
            ColumnSchema("fare", "float", nan=False, inf=False, drift=Limit("ks", 0.1), severity="warn"),
            ColumnSchema("city", "text", domain=Domain(values=("Oslo", "Bergen"), mass=0.95)),
            ColumnSchema("tags", "list", min_values=0, max_values=2),
            ColumnSchema("big", "text", not_in_environments=("serving",), unique=False),
            ColumnSchema("postcode", "text", domain=Domain(regex="[0-9]{4}", min_length=4, max_length=4)),
        ),
        min_rows=100,
        label="big",
        notes=("the domain of zip is passed over",),
    )


def sample_findings() -> Findings:
    """A warning, then an error, as a rule may say them."""
    return Findings(
        anomalies=(
            Anomaly(
                "drift",
                "fare",
                "moved 0.31 from previous by Kolmogorov-Smirnov distance, expected at most 0.1",
                severity="warn",
                split="eval",
                key="columns.fare.drift.max",
                value=0.31,
                limit=0.1,
            ),
            Anomaly(
                "out_of_range_high",
                "age",
                "143 rows are above 60, the largest 79",
                n_rows=143,
                examples=(Example("train", 12, 79), Example("train", 1_240, 78)),
                split="train",
                key="columns.age.range.max",
                value=79,
                limit=60,
            ),
            Anomaly("column_missing", "postcode", "the column is not in the data", key="columns.postcode"),
            Anomaly(
                "duplicates_across",
                "",
                "2 rows of test are rows of train",
                n_rows=2,
                examples=(Example("test", 5, {"age": 3, "city": "Oslo"}),),
                key="checks[0].duplicates",
            ),
        ),
        n_rows={"train": 600, "eval": 200, "test": 150},
        compared={"previous": "ffee"},
    )
