"""Real data in their order of time: what truly moved is found, the same rows in random order hardly ever alarm."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from fiat.monitor.comparison import Reference, compare_window, reference_of
from fiat.monitor.model import ColumnDrift, DriftPlan
from tests.monitor.watch_stage import reference

TAXI = Path(__file__).parents[3] / "shared" / "data" / "chicago-taxi" / "data.csv"
pytestmark = pytest.mark.skipif(
    not TAXI.is_file(), reason="needs ../shared/data/chicago-taxi beside the repository"
)
WINDOW = 500


@pytest.fixture(scope="module")
def trips() -> pa.Table:
    return pacsv.read_csv(TAXI).sort_by("trip_start_timestamp").drop_columns(["trip_start_timestamp"])


def alarms(kept: Reference, rows: pa.Table, plan: DriftPlan) -> list[list[ColumnDrift]]:
    """Columns that alarm, for each whole window of the rows."""
    found = []
    for start in range(0, rows.num_rows - plan.window + 1, plan.window):
        compared = compare_window(kept, rows.slice(start, plan.window), plan, plan.window)
        found.append([item for item in compared.columns if item.alarms])
    return found


def test_months_that_training_had_not_seen_alarm_in_every_window(trips: pa.Table) -> None:
    kept = reference_of(reference(trips.slice(0, 7500)))
    found = alarms(kept, trips.slice(7500), DriftPlan(max=0.1, window=WINDOW))
    assert len(found) == 15
    assert all("trip_start_month" in [item.name for item in columns] for columns in found)


def test_the_same_rows_in_random_order_alarm_no_more_often_than_was_said(trips: pa.Table) -> None:
    draw = np.random.default_rng(0)
    plan = DriftPlan(max=0.0, window=WINDOW, false_alarms=0.05)  # chance alone has to hold them
    found: list[list[ColumnDrift]] = []
    for _ in range(6):
        mixed = trips.take(pa.array(draw.permutation(trips.num_rows)))
        found += alarms(reference_of(reference(mixed.slice(0, 7500))), mixed.slice(7500), plan)
    assert len(found) == 90
    assert sum(map(bool, found)) <= 11  # of 90 with one in twenty, more happens once in a hundred times
    with_limit = DriftPlan(max=0.05, window=WINDOW, false_alarms=0.05)
    assert not any(alarms(reference_of(reference(mixed.slice(0, 7500))), mixed.slice(7500), with_limit))


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("fare", lambda values: values * 1.5),
        ("trip_miles", lambda values: values * 1.609),
        ("trip_seconds", lambda values: values / 60),
        ("trip_start_hour", lambda values: (values + 6) % 24),
    ],
)
def test_what_breaks_in_practice_is_found_in_the_column_where_it_broke(
    trips: pa.Table, column: str, change: object
) -> None:
    mixed = trips.take(pa.array(np.random.default_rng(1).permutation(trips.num_rows)))
    kept = reference_of(reference(mixed.slice(0, 7500)))
    rows = mixed.slice(7500, 3 * WINDOW)
    values = rows.column(column).to_numpy().astype(float)
    place = rows.schema.get_field_index(column)
    broken = rows.set_column(place, column, pa.array(change(values), from_pandas=True))  # type: ignore[operator]
    for columns in alarms(kept, broken, DriftPlan(max=0.03, window=WINDOW)):
        assert [item.name for item in columns] == [column]
