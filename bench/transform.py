"""Transform taxi rows: fit, and every row through the graph into the dataset format, on one core.

Beside it scikit-learn's ColumnTransformer with the same operations, on a data frame in memory, without reading and writing.
The rows are made from the taxi data; see `statistics_pass`.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from statistics_pass import TAXI
from stopwatch import Line, Room, medians
from taxi_rows import taxi_batches

from fiat.data.dataset import open_dataset
from fiat.transform.apply import transform_dataset
from fiat.transform.fit import fit_transforms
from fiat.transform.model import Entry, Fitted

VALUES_A_SECOND = 5_000_000
"""The goal, a core; values are rows x raw columns."""
PEER = "scikit-learn"
_N_COLUMNS = 20
_DENSE = ("fare", "trip_miles", "trip_seconds", "speed")
_PLACES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
_WHOLE = (
    "trip_start_hour",
    "trip_start_day",
    "trip_start_month",
    "pickup_community_area",
    "dropoff_community_area",
    "pickup_census_tract",
    "dropoff_census_tract",
)
_SPANS = ("tips", "trip_start_timestamp", "trip_id")
_CATEGORIES = {"max": 1000, "min_rows": 1, "unknown": "other"}
ENTRIES = (
    Entry(
        _DENSE,
        (("impute", {"by": "zero"}), ("clip", {"min": 0}), ("log1p", True), ("standardize", True)),
        key="transform[0]",
    ),
    Entry(_PLACES, (("bucketize", {"buckets": 10}),), key="transform[1]"),
    Entry(("company",), (("ordinal", _CATEGORIES),), key="transform[2]"),
    Entry(("payment_type",), (("one_hot", _CATEGORIES),), key="transform[3]"),
    Entry(_WHOLE, (("ordinal", _CATEGORIES),), key="transform[4]"),
    Entry(_SPANS, (("min_max", True),), key="transform[5]"),
)


def measure(folder: Path, *, rows: int, repeats: int) -> list[Line]:
    """Many rows against the goal, and a tenth of them against scikit-learn.

    Args:
        folder: for the files.
        rows: of the larger dataset.
        repeats: takes of each; the median counts.
    """
    taxi = Path(os.environ.get("FIAT_BENCH_TAXI", TAXI))
    if not taxi.exists():
        print(f"  skipped: there is no {taxi}")
        return []
    room = Room(folder / "transform").folder
    many, few = (_dataset(room / str(count), taxi, count) for count in (rows, rows // 10))
    fitted = _fit(many)
    with _one_core():
        fits, seconds = medians(
            repeats, partial(_timed, lambda: _fit(many)), partial(_timed, lambda: _apply(many, fitted))
        )
        frame = open_dataset(few).train.table().to_pandas()
        peer = _peer()
        few_fits, few_seconds, peer_fits, peer_seconds = medians(
            repeats,
            partial(_timed, lambda: _fit(few)),
            partial(_timed, lambda: _apply(few, fitted)),
            partial(_timed, lambda: peer.fit(frame)),
            partial(_timed, lambda: peer.transform(frame)),
        )
    rate = rows * _N_COLUMNS / seconds / 1e6
    shown = "x 20 columns on one core"
    return [
        Line(
            f"transform {rows:,} rows {shown} ({rate:.0f} million values a second)",
            seconds,
            most=rows * _N_COLUMNS / VALUES_A_SECOND,
        ),
        Line(f"fit transforms on {rows:,} rows {shown}", fits),
        Line(f"transform {rows // 10:,} rows {shown}, from file to file", few_seconds, peer_seconds, PEER),
        Line(f"fit transforms on {rows // 10:,} rows {shown}", few_fits, peer_fits, PEER),
    ]


def _dataset(folder: Path, taxi: Path, rows: int) -> Path:
    """All rows in train."""
    folder.mkdir()
    batches = taxi_batches(taxi, rows)
    first = next(batches)
    with pa.ipc.new_file(str(folder / "train.arrow"), first.schema) as file:
        for batch in (first, *batches):
            file.write_table(pa.Table.from_batches([batch]), max_chunksize=65_536)
    for split in ("eval", "test"):
        pa.ipc.new_file(str(folder / f"{split}.arrow"), first.schema).close()
    document = {"label": None, "classes": None, "features": first.schema.names, "source_digest": ""}
    (folder / "dataset.json").write_text(json.dumps(document))
    return folder


def _fit(source: Path) -> Fitted:
    train = open_dataset(source).train.table()
    return fit_transforms(train, tuple(train.column_names), ENTRIES)


def _apply(source: Path, fitted: Fitted) -> None:
    target = source.with_name("made")
    shutil.rmtree(target, ignore_errors=True)
    transform_dataset(source, fitted, target)


def _peer() -> Any:
    """The same operations; missing places are filled, since scikit-learn's buckets take no missing values."""
    floats = FunctionTransformer(lambda table: np.log1p(np.clip(table, 0, None)))
    other: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    return ColumnTransformer(
        [
            (
                "dense",
                make_pipeline(SimpleImputer(strategy="constant", fill_value=0), floats, StandardScaler()),
                list(_DENSE),
            ),
            (
                "places",
                make_pipeline(
                    SimpleImputer(),
                    KBinsDiscretizer(10, encode="ordinal", quantile_method="averaged_inverted_cdf"),
                ),
                list(_PLACES),
            ),
            ("company", OrdinalEncoder(**other), ["company"]),
            ("payment", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["payment_type"]),
            ("whole", OrdinalEncoder(**other), list(_WHOLE)),
            ("spans", MinMaxScaler(), list(_SPANS)),
        ]
    )


@contextmanager
def _one_core() -> Iterator[None]:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
