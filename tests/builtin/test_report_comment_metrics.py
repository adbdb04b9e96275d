import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from markdown_reader import read
from page_samples import sample_page

from fiat.builtin.page_metrics import difference
from fiat.builtin.page_model import RunPage
from fiat.builtin.report_comment_metrics import (
    gates_part,
    gates_summary,
    metrics_part,
    slices_part,
)
from fiat.run.model import GateResult, Metric


def page(*metrics: Metric, before: tuple[Metric, ...] = (), gates: tuple[str, ...] = ()) -> RunPage:
    found = sample_page()
    config = {"gates": [{"metric": name, "min": 0.5} for name in gates]}
    run = replace(found.run, metrics=metrics, config=config)
    return replace(found, run=run, baseline_metrics=before or None)


def spread(name: str, value: float, around: float = 0.01) -> Metric:
    return Metric(name, value, low=value - around, high=value + around)


@pytest.mark.parametrize(
    ("now", "before", "word"),
    [
        (spread("accuracy", 0.9), spread("accuracy", 0.8), "better"),
        (spread("accuracy", 0.8), spread("accuracy", 0.9), "worse"),
        (spread("log_loss", 0.8), spread("log_loss", 0.9), "better"),
        (spread("log_loss", 0.9), spread("log_loss", 0.8), "worse"),
        (spread("accuracy", 0.9), spread("accuracy", 0.895), "unclear"),
        (spread("accuracy", 0.9), spread("accuracy", 0.92), "unclear"),
        (spread("accuracy", 0.9), spread("accuracy", 0.9), "same"),
        (Metric("accuracy", 0.9), Metric("accuracy", 0.8), "better"),
        (spread("writers", 0.9), spread("writers", 0.1), ""),
        (spread("accuracy", math.nan), spread("accuracy", 0.1), ""),
        (spread("accuracy", 0.9), None, "new"),
    ],
)
def test_a_difference_is_judged_by_direction_and_intervals(
    now: Metric, before: Metric | None, word: str
) -> None:
    assert difference(now, before) == word


def test_a_row_has_both_values_with_their_intervals_and_what_they_mean() -> None:
    found = read(
        metrics_part(
            page(
                spread("accuracy", 0.9),
                spread("log_loss", 0.4),
                spread("recall", 0.7),
                Metric("mae", 2.0),
                Metric("writers", 12.0),
                before=(
                    spread("accuracy", 0.8),
                    spread("log_loss", 0.2),
                    spread("recall", 0.701),
                    Metric("mae", 3.0),
                    Metric("accuracy", 0.1, slice="a=1"),
                ),
            )
        )
    )
    rows = {row[0]: row[1:] for row in found.rows}
    assert rows["metric"] == ["now", "baseline", "difference", ""]
    assert rows["accuracy ↑"] == [
        "0.9000 (0.8900 to 0.9100)",
        "0.8000 (0.7900 to 0.8100)",
        "+0.1000",
        "better",
    ]
    assert rows["log_loss ↓"] == [
        "0.4000 (0.3900 to 0.4100)",
        "0.2000 (0.1900 to 0.2100)",
        "+0.2000",
        "worse",
    ]
    assert rows["recall ↑"][2:] == ["−0.0010", "no clear difference"]
    assert rows["mae ↓"] == ["2", "3", "−1", "better, without an interval"]
    assert rows["writers"][:3] == ["12", "", ""]
    assert not rows["writers"][3].startswith("new")
    assert "↑ higher is better, ↓ lower is better." in found.text
    assert "Measured on 360 rows of the test split." in found.text
    assert "Baseline: run 20261119-081512-77ab01, released from branch main." in found.text


def test_judged_metrics_come_first_then_worse_ones() -> None:
    metrics = [spread(name, 0.9) for name in ("precision", "f1", "accuracy", "recall")]
    before = (spread("precision", 0.9), spread("f1", 0.8), spread("accuracy", 0.9), spread("recall", 0.99))
    found = read(metrics_part(page(*metrics, before=before, gates=("accuracy",))))
    assert [row[0] for row in found.rows[1:]] == ["accuracy ↑", "recall ↑", "f1 ↑", "precision ↑"]


def test_without_a_baseline_only_values_stand_there_and_why() -> None:
    found = read(
        metrics_part(replace(page(spread("accuracy", 0.9)), baseline="no other model was released before"))
    )
    assert found.rows == [["metric", "now"], ["accuracy ↑", "0.9000 (0.8900 to 0.9100)"]]
    assert "No baseline: no other model was released before." in found.text
    assert metrics_part(page()) == ""


def test_how_fast_a_training_went_is_no_metric_of_the_model() -> None:
    found = read(metrics_part(page(spread("accuracy", 0.9), Metric("samples_per_s", 1234.0))))
    assert [row[0] for row in found.rows[1:]] == ["accuracy ↑"]


def test_many_metrics_are_cut_with_a_sentence() -> None:
    found = read(metrics_part(page(*(Metric(f"m{number}", 1.0) for number in range(31)))))
    assert len(found.rows) == 31
    assert "1 more metric in the report." in found.text


def test_gates_are_told_refusals_first() -> None:
    gates = [GateResult(state, state, f"it is {state}") for state in ("pass", "skipped", "fail", "warn")]  # type: ignore[arg-type]
    found = read(gates_part(gates))
    assert [row[0] for row in found.rows[1:]] == ["❌ refused", "⚠️ warning", "– skipped", "✅ passed"]
    assert gates_summary(gates) == "Gates: 1 refused, 1 warned, 1 skipped, 1 passed"
    assert gates_part([]) == ""


def test_the_worst_slices_stand_first_and_the_clearly_worse_are_marked() -> None:
    found = read(slices_part(sample_page(), most=2))
    assert found.rows == [
        ["digit", "rows", "accuracy ↑", "interval"],
        ["8 ⚠️", "37", "0.8000", "0.7000 to 0.9000"],
        ["3", "41", "0.9500", "0.9000 to 0.9800"],
    ]
    assert "By digit: the first 2 of 4 slices, worst first by accuracy." in found.text
    assert "clearly worse than all rows together" in found.text


def test_a_slice_has_its_other_metrics_beside_the_first() -> None:
    metrics = [
        Metric(name, 0.5, slice=f"a={value}", n_rows=3) for value in "xy" for name in ("accuracy", "recall")
    ]
    found = read(slices_part(page(*metrics)))
    assert found.rows[0] == ["a", "rows", "accuracy ↑", "interval", "recall ↑"]
    assert found.rows[1] == ["x", "3", "0.5000", "", "0.5000"]
    assert "clearly worse" not in found.text


def test_only_a_metric_that_the_evaluation_is_told_to_measure_is_new() -> None:
    found = page(Metric("loss", 0.3), Metric("f1", 0.8), Metric("lift", 2.0), before=(Metric("mae", 1.0),))
    config = {"evaluate": {"metrics": ["f1", {"call": "judge:lift"}]}}
    told = metrics_part(replace(found, run=replace(found.run, config=config)))
    words = {row[0].split(" ")[0]: row[4] for row in read(told).rows[1:]}
    assert (words["f1"], words["lift"][:3], words["loss"][:3]) == ("new", "new", "")
