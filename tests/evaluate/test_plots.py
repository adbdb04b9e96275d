"""Data of the plots."""

import json

import numpy as np
import pytest
from sklearn.metrics import auc, confusion_matrix, roc_auc_score

from fiat.errors import SpecError
from fiat.evaluate.plots import MOST_POINTS, MOST_RESIDUALS, plot_data
from fiat.evaluate.rows import NO_CLASS, ClassRows, ValueRows


def rows_of(n_rows: int, n_classes: int) -> ClassRows:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, n_classes, n_rows)
    logits = generator.normal(size=(n_rows, n_classes))
    logits[np.arange(n_rows), labels] += 1
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = tuple(f"class {number}" for number in range(n_classes))
    return ClassRows(labels, scores.argmax(axis=1), scores.astype(np.float32), names)


def test_the_confusion_matrix_is_scikit_learn_s_and_leaves_out_rows_without_a_prediction():
    rows = rows_of(300, 3)
    found = plot_data(rows, ["confusion"], seed=0)["confusion"]
    assert found["counts"] == confusion_matrix(rows.labels, rows.predicted).tolist()
    assert found["labels"] == ["class 0", "class 1", "class 2"]
    predicted = rows.predicted.copy()
    predicted[:5] = NO_CLASS
    gaps = ClassRows(rows.labels, predicted, None, rows.classes)
    found = plot_data(gaps, ["confusion"], seed=0)["confusion"]
    assert (np.sum(found["counts"]), found["unpredicted"]) == (295, 5)


def test_a_thinned_roc_curve_keeps_its_ends_and_almost_its_area():
    rows = rows_of(5000, 2)
    [curve] = plot_data(rows, ["roc"], seed=0)["roc"]["curves"]
    assert len(curve["fpr"]) == len(curve["tpr"]) <= MOST_POINTS
    assert (curve["fpr"][0], curve["tpr"][0], curve["fpr"][-1], curve["tpr"][-1]) == (0, 0, 1, 1)
    assert curve["auc"] == pytest.approx(roc_auc_score(rows.labels, rows.scores[:, 1]))
    assert auc(curve["fpr"], curve["tpr"]) == pytest.approx(curve["auc"], abs=0.002)
    assert curve["label"] == "class 1"


def test_many_classes_have_a_curve_each_up_to_a_limit():
    assert len(plot_data(rows_of(500, 4), ["roc"], seed=0)["roc"]["curves"]) == 4
    assert len(plot_data(rows_of(2000, 30), ["roc"], seed=0)["roc"]["curves"]) == 20


def test_precision_recall_curves_run_from_no_recall_to_all():
    [curve] = plot_data(rows_of(900, 2), ["precision_recall"], seed=0)["precision_recall"]["curves"]
    assert curve["recall"] == sorted(curve["recall"])
    assert (curve["recall"][0], curve["recall"][-1]) == (0, 1)


def test_a_model_that_is_right_as_often_as_it_says_has_a_small_calibration_error():
    generator = np.random.default_rng(2)
    sure = generator.random(20_000)
    labels = (generator.random(20_000) < sure).astype(int)
    scores = np.stack([1 - sure, sure], axis=1).astype(np.float32)
    found = plot_data(ClassRows(labels, (sure > 0.5).astype(int), scores, (0, 1)), ["calibration"], seed=0)
    assert found["calibration"]["ece"] < 0.02
    assert len(found["calibration"]["bins"]) == 10
    assert sum(part["n_rows"] for part in found["calibration"]["bins"]) == 20_000
    boastful = ClassRows(labels, labels * 0 + 1, np.tile(np.array([[0, 1]], np.float32), (20_000, 1)), (0, 1))
    worst = plot_data(boastful, ["calibration"], seed=0)["calibration"]
    assert worst["ece"] == pytest.approx(1 - labels.mean())
    assert worst["bins"][0]["confidence"] is None


def test_residuals_are_thinned_by_the_seed_but_all_are_in_the_histogram():
    generator = np.random.default_rng(3)
    labels = generator.normal(size=5000)
    predicted = labels - generator.normal(size=5000)
    predicted[0] = np.nan
    rows = ValueRows(labels, predicted)
    found = [plot_data(rows, [], seed=seed)["residuals"] for seed in (1, 1, 2)]
    assert len(found[0]["points"]) == MOST_RESIDUALS
    assert sum(found[0]["histogram"]["counts"]) == 4999
    assert found[0] == found[1]
    assert found[0]["points"] != found[2]["points"]


@pytest.mark.parametrize("rows", [rows_of(100, 2), rows_of(100, 3), ValueRows(np.ones(9), np.ones(9))])
def test_all_plots_are_json(rows):
    names = (
        ["residuals"]
        if isinstance(rows, ValueRows)
        else ["confusion", "roc", "precision_recall", "calibration", "scores"]
    )
    found = plot_data(rows, names, seed=0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == names


def test_scores_are_counted_by_whether_they_are_right():
    rows = rows_of(400, 3)
    counts = plot_data(rows, ["scores"], seed=0)["scores"]["counts"]
    assert sum(counts["right"]) == np.count_nonzero(rows.labels == rows.predicted)
    assert sum(counts["wrong"]) == np.count_nonzero(rows.labels != rows.predicted)


def test_rows_of_one_class_have_no_curve():
    rows = rows_of(50, 2)
    one = rows.take(np.flatnonzero(rows.labels == 0))
    assert plot_data(one, ["roc"], seed=0)["roc"] == {"curves": []}


def test_a_plot_of_the_other_task_is_refused():
    with pytest.raises(SpecError, match="no residuals plot for this classification"):
        plot_data(rows_of(10, 2), ["residuals"], seed=0)
    with pytest.raises(SpecError, match="no roc plot for this regression"):
        plot_data(ValueRows(np.ones(3), np.ones(3)), ["roc"], seed=0)
