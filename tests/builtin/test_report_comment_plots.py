import math
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from markdown_reader import read
from page_samples import sample_page

from fiat.builtin.report_comment_plots import curves_part, plots_part
from fiat.builtin.view_spark import WIDTH, sparkline
from fiat.run.model import Metric


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "▁▂▃▄▅▆▇█"),
        ([3.0, 3.0], "▅▅"),
        ([0.0, math.nan, 1.0, math.inf], "▁·█·"),
        ([math.nan], "·"),
        ([], ""),
        ([-1.7e308, 1.7e308], "▁█"),
        ([1e-320, 2e-320], "▁█"),
    ],
)
def test_a_curve_is_drawn_between_its_lowest_and_highest_value(values: list[float], drawn: str) -> None:
    assert sparkline(values) == drawn


@given(st.lists(st.floats(), max_size=200))
def test_any_numbers_can_be_drawn(values: list[float]) -> None:
    drawn = sparkline(values)
    assert len(drawn) == min(WIDTH, len(values))
    assert set(drawn) <= set("▁▂▃▄▅▆▇█·")


def test_a_long_curve_is_averaged() -> None:
    assert sparkline([float(number) for number in range(6400)], 4) == "▁▃▆█"


def test_training_curves_go_from_their_first_to_their_last_value() -> None:
    curves = [("train", Metric("loss", 4.0 - at, at)) for at in (2, 0, 3, 1)]
    found = read(curves_part([*curves, ("train", Metric("lonely", 1.0, 0)), ("train", Metric("final", 1.0))]))
    assert found.rows == [["curve", "step", "first", "", "last"], ["loss", "train", "4", "█▆▃▁", "1"]]
    assert curves_part([]) == ""


def test_every_plot_of_an_evaluation_has_its_text() -> None:
    found = read(plots_part(sample_page().plots))
    assert ["1", "30", "2"] in found.rows
    assert ["8", "5", "32"] in found.rows
    assert found.rows[3:5] == [["class", "area", ""], ["8", "0.9300", "▁▃▅▇" + "█" * 28]]
    assert ["85%", "70%", "███████   ", "9"] in found.rows
    assert "Expected calibration error 0.0123." in found.text
    assert "Scores from 0 to 1: right ▁█, wrong █▁" in found.text
    assert "Residuals (label − prediction) from -1 to 1: ▁█" in found.text


def test_many_classes_are_told_by_their_most_frequent_confusions() -> None:
    labels = [f"c{number}" for number in range(12)]
    counts = [[9 if row == column else 0 for column in range(12)] for row in range(12)]
    counts[3][4], counts[5][6] = 3, 1
    found = read(plots_part({"confusion": {"labels": labels, "counts": counts}}))
    assert found.rows == [
        ["true", "predicted", "rows", "of the class"],
        ["c3", "c4", "3", "25.0%"],
        ["c5", "c6", "1", "10.0%"],
    ]
    right = [[9 if row == column else 0 for column in range(12)] for row in range(12)]
    found = read(plots_part({"confusion": {"labels": labels, "counts": right}}))
    assert found.text.endswith("No row was taken for another class.")


@pytest.mark.parametrize(
    "plots",
    [
        {},
        {"confusion": 5, "roc": [], "calibration": "x", "scores": None, "residuals": {"histogram": 3}},
        {"confusion": {"labels": ["a"], "counts": [[1, 2]]}, "roc": {"curves": [{"fpr": [0], "tpr": []}]}},
        {"calibration": {"bins": [{"confidence": math.nan, "right": 2.0, "n_rows": 3}, 7]}},
        {
            "scores": {"edges": [1, 0], "counts": {"a": [1]}},
            "residuals": {"histogram": {"edges": [0], "counts": [1]}},
        },
    ],
)
def test_what_cannot_be_read_is_left_out(plots: dict[str, object]) -> None:
    assert plots_part(plots) == ""


@pytest.mark.parametrize(
    ("fpr", "tpr", "drawn"),
    [
        ([0, 1], [0, 1], "▁▁▁▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇████"),
        ([0, 0, 1], [0, 1, 1], "█" * 32),
        ([0, 0, 1], [0, 0.5, 0.5], "▅" * 31 + "█"),
    ],
)
def test_a_roc_curve_is_drawn_from_point_to_point_on_the_scale_of_rates(
    fpr: list[float], tpr: list[float], drawn: str
) -> None:
    found = read(plots_part({"roc": {"curves": [{"label": "a", "auc": 0.5, "fpr": fpr, "tpr": tpr}]}}))
    assert found.rows[1] == ["a", "0.5000", drawn]


def test_how_fast_a_training_went_comes_behind_its_curves() -> None:
    names = ("samples_per_s", "loss", "accuracy")
    found = read(curves_part([("train", Metric(name, 1.0 + at, at)) for at in range(2) for name in names]))
    assert [row[0] for row in found.rows[1:]] == ["loss", "accuracy", "samples_per_s"]


def test_values_of_one_step_stay_in_the_order_in_which_they_came() -> None:
    values = (9.0, 1.0, 5.0, 3.0)
    found = read(curves_part([("train", Metric("loss", value, 7)) for value in values]))
    assert found.rows[1][2:] == ["9", "█▁▅▃", "3"]
