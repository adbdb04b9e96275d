"""Cutting rows into slices, and what metrics say about them."""

import math

import numpy as np
import pytest

from fiat.errors import SpecError
from fiat.evaluate.measure import check_metrics, measure, undefined_warnings
from fiat.evaluate.metrics import metric_value
from fiat.evaluate.rows import ClassRows, ValueRows
from fiat.evaluate.slices import SliceColumn, category_column, cut, number_column, show_value

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 2])
ROWS = ClassRows(LABELS, PREDICTED, None, ("a", "b", "c"))
LABEL = SliceColumn("label", LABELS, ("a", "b", "c"), (0, 1, 2))


def test_a_column_is_cut_by_its_values_and_missing_ones_have_a_name():
    column = category_column("sex", np.array([0, 1, -1, 0]), ["F", "M"])
    found = {part.name: part.rows.tolist() for part in cut([column])}
    assert found == {"sex=F": [0, 3], "sex=M": [1], "sex=missing": [2]}


def test_a_cross_has_only_the_parts_that_occur():
    sex = category_column("sex", np.array([0, 1, 0, 0]), ["F", "M"])
    group = category_column("age_group", np.array([0, 0, 1, 1]), ["20-30", "30-40"])
    found = {part.name: part.rows.tolist() for part in cut([sex, group])}
    assert found == {
        "sex=F,age_group=20-30": [0],
        "sex=F,age_group=30-40": [2, 3],
        "sex=M,age_group=20-30": [1],
    }


def test_few_numbers_are_values_and_many_are_cut_at_deciles():
    few = number_column("floor", np.array([2.0, 1.0, np.nan, 2.0]))
    assert [part.name for part in cut([few])] == ["floor=1", "floor=2", "floor=missing"]
    many = number_column("age", np.arange(1000))
    parts = cut([many])
    assert len(parts) == 10
    assert {len(part.rows) for part in parts} <= {99, 100, 101}
    assert sum(len(part.rows) for part in parts) == 1000
    assert all(part.name.startswith("age=") and ".." in part.name for part in parts)


def test_many_numbers_of_which_most_are_equal_still_make_distinct_slices():
    numbers = np.concatenate([np.zeros(900), np.arange(1, 101)])
    parts = cut([number_column("price", numbers)])
    assert sum(len(part.rows) for part in parts) == 1000
    assert len({part.name for part in parts}) == len(parts) >= 2


def test_more_than_1000_slices_are_refused():
    column = category_column("id", np.arange(1001), [str(n) for n in range(1001)])
    with pytest.raises(SpecError, match="1001 slices"):
        cut([column])


def test_values_are_shown_plainly():
    assert [show_value(value) for value in (True, 7.0, 7.5, "x", -3)] == ["true", "7", "7.5", "x", "-3"]


def test_precision_by_label_is_that_class_against_the_rest():
    found = {
        (item.name, item.slice): item
        for item in measure(
            ROWS, ["accuracy", "precision", "recall", "f1_macro"], cut([LABEL]), confidence=0.95, seed=0
        )
    }
    assert found["recall", "label=a"].value == pytest.approx(2 / 3)
    assert found["precision", "label=a"].value == pytest.approx(2 / 3)
    assert found["precision", "label=b"].value == pytest.approx(1 / 2)
    assert found["f1_macro", "label=b"].value == pytest.approx(1 / 2)
    assert found["accuracy", "label=b"].value == found["recall", "label=b"].value
    assert found["recall", "label=a"].n_rows == 3
    assert found["recall", ""].value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_a_cross_with_the_label_judges_among_the_rows_of_the_other_columns():
    sex = category_column("sex", np.array([0, 0, 0, 0, 1, 1]), ["F", "M"])
    parts = {part.name: part for part in cut([LABEL, sex])}
    assert parts["label=a,sex=F"].context.tolist() == [0, 1, 2, 3]
    found = {
        item.slice: item for item in measure(ROWS, ["precision"], cut([LABEL, sex]), confidence=0.95, seed=0)
    }
    assert found["label=b,sex=F"].value == pytest.approx(1 / 2)
    assert found["label=b,sex=F"].n_rows == 1


def test_a_slice_without_label_judges_its_own_rows():
    column = category_column("half", np.array([0, 0, 0, 1, 1, 1]), ["first", "second"])
    found = {item.slice: item.value for item in measure(ROWS, ["f1"], cut([column]), confidence=0.95, seed=0)}
    assert found["half=second"] == metric_value("f1", ROWS.take(np.array([3, 4, 5])))


def test_metrics_are_checked_before_any_is_computed():
    assert check_metrics([], ROWS) == ("accuracy", "f1_macro")
    assert check_metrics(["f1", "f1"], ROWS) == ("f1",)
    with pytest.raises(SpecError, match="log_loss needs class scores"):
        check_metrics(["log_loss"], ROWS)
    with pytest.raises(SpecError, match="metric of regression"):
        check_metrics(["mae"], ROWS)
    assert check_metrics([], ValueRows(np.zeros(2), np.zeros(2))) == ("mae", "rmse", "r2")


def test_an_undefined_metric_is_told_in_a_sentence():
    rows = ClassRows(np.ones(3, int), np.ones(3, int), np.full((3, 2), 0.5, np.float32), (0, 1))
    measured = measure(rows, ["roc_auc", "accuracy"], (), confidence=0.95, seed=0)
    assert math.isnan(measured[0].value)
    assert undefined_warnings(measured, 0) == (
        "roc_auc is undefined on 3 rows: only one class occurs among the labels",
    )
    assert "no finite prediction for 2 rows" in undefined_warnings([], 2)[0]
