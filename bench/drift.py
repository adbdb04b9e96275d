"""A drift check of new data against a stored description, beside NumPy and SciPy on both data at once.

100,000 rows of 55 columns (numbers, whole numbers, categories, times) in the dataset format. The check reads the stored
description, describes the new rows and judges every column; the peer reads both Arrow files and takes the Jensen-Shannon
distance of each column's histograms.
"""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.spatial.distance import jensenshannon
from stopwatch import Line, Room, medians

from fiat.data.columns import ColumnChoice
from fiat.data.split import AllTrain
from fiat.data.stream import Piece, Reading
from fiat.data.write import write_dataset
from fiat.profile.document import read_profile, write_profile
from fiat.profile.measure import profile_dataset
from fiat.profile.model import DataProfile
from fiat.validate.model import DistanceRule, Schema
from fiat.validate.movement import find_movements

MOST_S = 0.5
COLUMNS = 55
_BINS = 20


def measure(folder: Path, *, rows: int = 100_000, repeats: int = 5) -> list[Line]:
    """The whole check, and its two halves: describing the rows, and comparing descriptions."""
    room = Room(folder / "drift").folder
    before, after = (_dataset(room / name, rows, seed) for seed, name in enumerate(("before", "after")))
    for name, data in (("stored", before), ("new", after)):
        (room / name).mkdir()
        write_profile(room / name, profile_dataset(data))
    whole, describe, compare, peer = medians(
        repeats,
        lambda: _check(room / "stored", after),
        lambda: _describe(after),
        lambda: _compare(room / "stored", room / "new"),
        lambda: _directly(before, after),
    )
    size = f"{rows:,} x {COLUMNS}"
    name = "NumPy and SciPy on both"
    limit = MOST_S if rows == 100_000 else None
    return [
        Line(f"drift check against a stored profile, {size}", whole, peer, name, most=limit),
        Line(f"of it describing the new rows, {size}", describe, peer, name),
        Line(f"of it comparing, {size}", compare, peer, name),
    ]


def _dataset(folder: Path, n_rows: int, seed: int) -> Path:
    """The same distributions for each seed."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    for index in range(COLUMNS):
        if index % 5 == 4:
            columns[f"c{index}"] = rng.choice([f"company {number}" for number in range(60)], n_rows)
        elif index % 5 == 3:
            columns[f"c{index}"] = rng.poisson(20 + index, n_rows)
        else:
            columns[f"c{index}"] = rng.lognormal(index / 20, 0.7, n_rows)
    batch = pa.record_batch({name: pa.array(values) for name, values in columns.items()})
    reading = Reading(batch.schema, lambda: iter([Piece(batch, ("made",), 1)]))
    write_dataset(folder, reading, AllTrain(), ColumnChoice(), "")
    return folder


def _check(stored: Path, data: Path) -> float:
    started = time.perf_counter()
    before, after = read_profile(stored), profile_dataset(data)
    _judge(before, after)
    return time.perf_counter() - started


def _describe(data: Path) -> float:
    started = time.perf_counter()
    profile_dataset(data)
    return time.perf_counter() - started


def _compare(stored: Path, new: Path) -> float:
    """Both descriptions are read."""
    started = time.perf_counter()
    _judge(read_profile(stored), read_profile(new))
    return time.perf_counter() - started


def _judge(before: DataProfile, after: DataProfile) -> None:
    rule = DistanceRule("drift", "previous", 0.05)
    found = find_movements(after, {"previous": before}, [rule], Schema(()))
    errors = [item for item in found if item.severity == "error"]
    if errors:
        raise SystemExit(f"the same distributions drifted: {errors[0].message}")


def _directly(before: Path, after: Path) -> float:
    started = time.perf_counter()
    one, other = (
        pa.ipc.open_file(pa.memory_map(str(data / "train.arrow"))).read_all() for data in (before, after)
    )
    for name in one.column_names:
        values, others = (table.column(name).to_numpy() for table in (one, other))
        if values.dtype == object:
            kinds, codes = np.unique(np.concatenate([values, others]).astype(str), return_inverse=True)
            counts = [np.bincount(part, minlength=len(kinds)) for part in np.split(codes, [len(values)])]
        else:
            edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)))
            edges = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
            counts = [np.histogram(part, edges)[0] for part in (values, others)]
        jensenshannon(counts[0], counts[1], base=2)
    return time.perf_counter() - started
