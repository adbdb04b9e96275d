import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from page_samples import sample_page

from fiat.builtin.page_metrics import MOST_SLICES, metric_rows, slice_tables
from fiat.builtin.page_model import RunPage
from fiat.run.model import Metric


def with_metrics(*metrics: Metric, **config: object) -> RunPage:
    page = sample_page()
    return replace(page, run=replace(page.run, metrics=metrics, config={**page.run.config, **config}))


def test_a_change_has_a_colour_only_when_it_is_clear() -> None:
    accuracy, loss, writers = metric_rows(sample_page())
    assert (accuracy.change, accuracy.tone, accuracy.better) == ("+0.0122", "", "higher is better")
    assert (loss.change, loss.tone) == ("+0.0031", "bad")
    assert (writers.baseline, writers.change, writers.tone, writers.chart) == ("", "", "", "")


def test_how_fast_a_training_went_is_no_metric_of_the_model() -> None:
    page = with_metrics(Metric("samples_per_s", 1234.0), Metric("accuracy", 0.9))
    assert [row.name for row in metric_rows(page)] == ["accuracy"]


def test_the_limits_of_gates_are_drawn_with_their_side() -> None:
    accuracy = metric_rows(sample_page())[0]
    assert "≥ 0.95" in accuracy.chart
    page = with_metrics(Metric("rmse", 0.7, low=0.6, high=0.8), gates=[{"metric": "rmse", "max": 0.75}])
    assert "≤ 0.75" in metric_rows(page)[0].chart


def test_slices_stand_worst_first_and_undefined_ones_last() -> None:
    (table,) = slice_tables(sample_page())
    assert (table.by, table.metrics, table.note) == ("digit", ("accuracy",), "worst first by accuracy")
    assert [row.name for row in table.rows] == ["8", "3", "1", "9"]
    assert [row.worse for row in table.rows] == [True, False, False, False]
    assert table.rows[3].values == ("undefined",)


def test_of_a_metric_where_lower_is_better_the_highest_is_worst() -> None:
    page = with_metrics(
        Metric("rmse", 0.5),
        Metric("rmse", 0.4, slice="a=x"),
        Metric("rmse", 0.9, slice="a=y", low=0.8, high=1.0),
    )
    (table,) = slice_tables(page)
    assert [(row.name, row.worse) for row in table.rows] == [("y", True), ("x", False)]


def test_the_metric_that_a_gate_watches_orders_its_slices() -> None:
    page = with_metrics(
        Metric("accuracy", 0.9, slice="a=x"),
        Metric("recall", 0.8, slice="a=x"),
        Metric("accuracy", 0.7, slice="a=y"),
        Metric("recall", 0.9, slice="a=y"),
        gates=[{"metric": "recall", "slice": "a", "min": 0.6}],
    )
    (table,) = slice_tables(page)
    assert table.metrics == ("recall", "accuracy")
    assert [row.name for row in table.rows] == ["x", "y"]


def test_crosses_and_columns_have_a_table_each() -> None:
    page = with_metrics(
        Metric("accuracy", 0.9, slice="sex=F,age_group=30-40"), Metric("accuracy", 0.9, slice="sex=F")
    )
    assert [(table.by, table.rows[0].name) for table in slice_tables(page)] == [
        ("sex × age_group", "F, 30-40"),
        ("sex", "F"),
    ]


def test_many_slices_are_folded_after_the_worst() -> None:
    page = with_metrics(*(Metric("accuracy", number / 100, slice=f"a={number}") for number in range(100)))
    (table,) = slice_tables(page)
    assert (len(table.rows), len(table.more)) == (MOST_SLICES, 100 - MOST_SLICES)
    assert table.rows[0].name == "0"


def test_a_clear_change_is_good_when_it_goes_the_way_that_is_better() -> None:
    now, before = Metric("accuracy", 0.9, low=0.88, high=0.92), Metric("accuracy", 0.8, low=0.78, high=0.82)
    assert metric_rows(replace(with_metrics(now), baseline_metrics=(before,)))[0].tone == "good"
    assert metric_rows(replace(with_metrics(before), baseline_metrics=(now,)))[0].tone == "bad"
