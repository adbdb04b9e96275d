"""Watching: how often windows alarm that should and that should not, and what a logged request costs.

Trips of `../shared/data/chicago-taxi` and people of `../shared/data/adult`, beside the repository; where they are not, only
the costs are measured. Clean windows are the same rows in random order. Drift is true (the taxis' months after those that
were trained on), or a column moved by a part of its standard deviation.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from stopwatch import Line, Room

from fiat.monitor.comparison import Reference, compare_window, reference_of
from fiat.monitor.model import ColumnDrift, DriftPlan
from fiat.profile.measure import profile_batches
from fiat.profile.model import DataProfile
from fiat.serving.log_buffer import PredictionLog
from fiat.serving.log_files import Retention
from fiat.serving.log_pipe import LogPipe
from fiat.serving.log_writer import Writer
from fiat.serving.place import Place
from fiat.serving.release import LogPlan

SHARED = Path(__file__).parents[2] / "shared" / "data"
LEVEL = 0.05
LIMIT = 0.02
WINDOW = 500
SHIFTS = (0.1, 0.3, 1.0)
_DIGEST = "0" * 32 + ".dir"
_REQUESTS = 20_000
_TOGETHER = 100
_PEOPLE = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital", "occupation", "relationship"),
    *("race", "sex", "capital_gain", "capital_loss", "hours", "country", "income"),
)


@dataclass(frozen=True)
class Rows:
    """Rows to watch.

    Attributes:
        name: what they are.
        table: in their own order.
        column: that is moved.
    """

    name: str
    table: pa.Table
    column: str


def measure(folder: Path, *, orders: int = 20, repeats: int = 5) -> list[Line]:
    """Rates of alarms on every data set that is there, then the costs.

    Args:
        folder: for files.
        orders: random orders of the rows.
        repeats: takes of each cost; the smallest counts, as everything else only adds to it.
    """
    lines = []
    for rows in _data():
        lines += _rates(rows, orders)
    return [*lines, *_costs(Room(folder / "monitor").folder, repeats)]


def _data() -> Iterator[Rows]:
    taxi, adult = SHARED / "chicago-taxi" / "data.csv", SHARED / "adult" / "adult.data"
    if taxi.is_file():
        table = pacsv.read_csv(taxi).sort_by("trip_start_timestamp")
        yield Rows("taxi", table.drop_columns(["trip_start_timestamp"]), "fare")
    if adult.is_file():
        options = pacsv.ReadOptions(column_names=list(_PEOPLE))
        yield Rows("adult", pacsv.read_csv(adult, read_options=options), "age")


def _rates(rows: Rows, orders: int) -> list[Line]:
    clean, limited = [], []
    moved: dict[float, list[bool]] = {shift: [] for shift in SHIFTS}
    draw = np.random.default_rng(0)
    half = rows.table.num_rows // 2
    for order in range(orders):
        mixed = rows.table.take(pa.array(draw.permutation(rows.table.num_rows)))
        kept, later = _reference(mixed.slice(0, half)), mixed.slice(half, 20 * WINDOW)
        found = _windows(kept, later, 0.0)
        clean += [any(item.alarms for item in columns) for columns in found]
        limited += [any(item.alarms and item.effect > LIMIT for item in columns) for columns in found]
        if order < max(1, orders // 4):
            for shift in SHIFTS:
                found = _windows(kept, _shifted(later, rows.column, shift), LIMIT)
                moved[shift] += [any(item.alarms for item in columns) for columns in found]
    stated = f"stated {LEVEL:g}, {len(clean)} windows of {WINDOW}"
    # Two standard deviations of the rate of so many windows above what is stated.
    most = LEVEL + 2 * float(np.sqrt(LEVEL * (1 - LEVEL) / len(clean)))
    lines = [
        Line(
            f"{rows.name}: clean windows that alarm, no limit ({stated})", _share(clean), most=most, unit=""
        ),
        Line(f"{rows.name}: clean windows that alarm, limit {LIMIT:g}", _share(limited), most=LEVEL, unit=""),
    ]
    lines += [
        Line(f"{rows.name}: windows found with {rows.column} moved by {shift:g} sd", _share(found), unit="")
        for shift, found in moved.items()
    ]
    in_order = _windows(_reference(rows.table.slice(0, half)), rows.table.slice(half), LIMIT)
    alarms = [any(item.alarms for item in columns) for columns in in_order]
    return [*lines, Line(f"{rows.name}: windows found in the order of the file", _share(alarms), unit="")]


def _reference(train: pa.Table) -> Reference:
    return reference_of(DataProfile((profile_batches(train.to_batches(), split="train"),)))


def _windows(kept: Reference, rows: pa.Table, limit: float) -> list[tuple[ColumnDrift, ...]]:
    plan = DriftPlan(max=limit, window=WINDOW, false_alarms=LEVEL)
    starts = range(0, rows.num_rows - WINDOW + 1, WINDOW)
    return [compare_window(kept, rows.slice(start, WINDOW), plan, WINDOW).columns for start in starts]


def _shifted(rows: pa.Table, name: str, shift: float) -> pa.Table:
    values = rows.column(name).to_numpy().astype(float)
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, name, pa.array(values + shift * np.nanstd(values)))


def _share(found: list[bool]) -> float:
    return sum(found) / max(1, len(found))


def _costs(folder: Path, repeats: int) -> list[Line]:
    features = [f"f{place}" for place in range(64)]
    inputs = {"features": np.random.default_rng(0).random((1, 64), np.float32)}
    answers = {"label": np.array(["7"], object), "probabilities": np.full((1, 10), 0.1, np.float32)}
    # No writer: blocks are packed and thrown away.
    pipe = LogPipe(("/nonexistent",))
    log = PredictionLog(pipe, LogPlan())
    log.learn(_DIGEST, inputs=["features"], features=features, layout="matrix")

    def offer() -> None:
        for _ in range(400):
            log.offer("0f3a-77", "1", _DIGEST, inputs, answers, 500)
        log.spill()
        pipe.waiting.clear()

    packed = bytearray()
    for number in range(_REQUESTS):
        log.offer(f"request-{number}", "1", _DIGEST, inputs, answers, 500)
        if number % _TOGETHER == 0:
            log.spill()
            packed += pipe.waiting
            pipe.waiting.clear()
    log.spill()
    packed += pipe.waiting

    def write() -> None:
        writer = Writer(Place(folder), 0, Retention(1 << 30))
        start, view = 0, memoryview(packed)
        while start < len(packed):
            size = int.from_bytes(view[start : start + 4], "little")
            writer.take(view[start + 4 : start + 4 + size])
            start += 4 + size
        writer.write(now_s=time.time(), everything=True)

    written = _least(repeats, write, time.process_time) / _REQUESTS
    size_bytes = sum(path.stat().st_size for path in (folder / "predictions").iterdir())
    return [
        Line(
            "log: a request of 64 floats and 10 classes, in the server",
            _least(10 * repeats, offer) / 400,
            most=5e-6,
        ),
        Line("log: the same in the writer, time of the processor", written),
        Line("log: bytes a request on disk", size_bytes / _REQUESTS / repeats, unit=""),
    ]


def _least(repeats: int, take: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> float:
    times = []
    for _ in range(repeats):
        started = clock()
        take()
        times.append(clock() - started)
    return min(times)
