"""Numbers against scikit-learn and closed forms, and the resampled form of each against the plain one."""

import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sk

from fiat.errors import SpecError
from fiat.evaluate import metrics
from fiat.evaluate.catalog import DEFAULT_METRICS, METRICS, direction_of, metric_info
from fiat.evaluate.metrics import metric_value, true_class_rank
from fiat.evaluate.resampled import (
    FROM_COUNTS,
    cell_of,
    class_counts,
    from_means,
    from_weights,
    row_numbers,
)
from fiat.evaluate.rows import NO_CLASS, ClassRows, ValueRows


def class_rows(n_rows: int = 400, n_classes: int = 4, seed: int = 3, signal: float = 1.2) -> ClassRows:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, n_classes, n_rows)
    logits = generator.normal(size=(n_rows, n_classes))
    logits[np.arange(n_rows), labels] += signal
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # Two decimals make ties, which is where rank-based metrics go wrong.
    scores = np.round(scores, 2) + 1e-6
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    return ClassRows(labels, scores.argmax(axis=1), scores, tuple(range(n_classes)))


def value_rows(n_rows: int = 300, seed: int = 4) -> ValueRows:
    generator = np.random.default_rng(seed)
    labels = generator.normal(50, 10, n_rows)
    return ValueRows(labels, labels + generator.normal(1, 3, n_rows))


def test_every_metric_of_the_catalog_has_a_function_of_its_task():
    of_classes, of_values = class_rows(), value_rows()
    for name, info in METRICS.items():
        rows = of_classes if info.task == "classification" else of_values
        assert math.isfinite(metric_value(name, rows)), name
        assert info.name == name


def test_the_default_metrics_are_in_the_catalog():
    for task, names in DEFAULT_METRICS.items():
        assert {METRICS[name].task for name in names} == {task}


def test_reading_the_catalog_loads_no_heavy_library():
    program = (
        "import sys, fiat.evaluate.catalog as c; "
        "print(c.direction_of('mae'), sorted({'numpy', 'sklearn', 'pyarrow'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "lower []"


def test_an_unknown_metric_says_the_nearest_one():
    with pytest.raises(SpecError) as caught:
        metric_info("acuracy")
    assert "accuracy" in caught.value.hint
    assert direction_of("cost") is None
    assert direction_of("log_loss") == "lower"


@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_of_labels_equal_scikit_learn(n_classes):
    rows = class_rows(n_classes=n_classes)
    truth, said = rows.labels, rows.predicted
    assert metric_value("accuracy", rows) == sk.accuracy_score(truth, said)
    assert metric_value("balanced_accuracy", rows) == pytest.approx(sk.balanced_accuracy_score(truth, said))
    assert metric_value("mcc", rows) == sk.matthews_corrcoef(truth, said)
    assert metric_value("f1_micro", rows) == pytest.approx(sk.f1_score(truth, said, average="micro"))
    own = "binary" if n_classes == 2 else "macro"
    for name, score in [("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)]:
        assert metric_value(name, rows) == score(truth, said, average=own)
        assert metric_value(name + "_macro", rows) == score(truth, said, average="macro")
        assert metric_value(name + "_weighted", rows) == score(truth, said, average="weighted")


@pytest.mark.parametrize("n_classes", [2, 4])
def test_metrics_of_scores_equal_scikit_learn(n_classes):
    rows = class_rows(n_classes=n_classes)
    scores = rows.scores.astype(float)
    scores /= scores.sum(axis=1, keepdims=True)
    shaped = scores[:, 1] if n_classes == 2 else scores
    assert metric_value("log_loss", rows) == pytest.approx(sk.log_loss(rows.labels, scores), rel=1e-6)
    assert metric_value("roc_auc", rows) == pytest.approx(
        sk.roc_auc_score(rows.labels, shaped, multi_class="ovr")
    )
    assert metric_value("average_precision", rows) == pytest.approx(
        sk.average_precision_score(rows.labels, shaped)
    )
    if n_classes == 2:
        assert metric_value("brier", rows) == pytest.approx(sk.brier_score_loss(rows.labels, shaped))
    else:
        truth = np.eye(4)[rows.labels]
        assert metric_value("brier", rows) == pytest.approx(((scores - truth) ** 2).sum(axis=1).mean())
        for k in (2, 3):
            assert metric_value(f"top_{k}", rows) == sk.top_k_accuracy_score(rows.labels, scores, k=k)


def test_metrics_of_numbers_equal_scikit_learn():
    rows = value_rows()
    truth, said = rows.labels, rows.predicted
    assert metric_value("rmse", rows) == pytest.approx(math.sqrt(np.mean((truth - said) ** 2)))
    assert metric_value("mae", rows) == sk.mean_absolute_error(truth, said)
    assert metric_value("median_ae", rows) == sk.median_absolute_error(truth, said)
    assert metric_value("max_error", rows) == np.abs(truth - said).max()
    assert metric_value("mape", rows) == sk.mean_absolute_percentage_error(truth, said)
    assert metric_value("r2", rows) == sk.r2_score(truth, said)
    assert metric_value("explained_variance", rows) == sk.explained_variance_score(truth, said)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(
    "name",
    sorted(name for name, info in METRICS.items() if info.task == "classification" and info.family != "auc"),
)
def test_the_resampled_form_of_a_class_metric_on_drawn_rows_is_the_plain_one(name, n_classes):
    rows = class_rows(n_rows=150, n_classes=n_classes)
    index = np.random.default_rng(8).integers(0, 150, 150)
    weights = np.bincount(index, minlength=150).astype(float)[None, :]
    family = METRICS[name].family
    if family == "counts":
        cells, inverse = np.unique(cell_of(rows), return_inverse=True)
        drawn = np.bincount(inverse, weights=weights[0])[None, :]
        found = FROM_COUNTS[name](class_counts(drawn, cells, n_classes))
    elif family == "ranks":
        found = from_weights(name, rows, weights)
    else:
        found = from_means(name, weights @ row_numbers(name, rows) / 150)
    assert found.shape == (1,)
    assert found[0] == pytest.approx(metric_value(name, rows.take(index)), rel=1e-9)


@pytest.mark.parametrize("n_rows", [150, 151])
@pytest.mark.parametrize(
    "name",
    sorted(name for name, info in METRICS.items() if info.task == "regression" and name != "max_error"),
)
def test_the_resampled_form_of_a_value_metric_on_drawn_rows_is_the_plain_one(name, n_rows):
    rows = value_rows(n_rows=n_rows)
    index = np.random.default_rng(9).integers(0, n_rows, n_rows)
    weights = np.bincount(index, minlength=n_rows).astype(float)[None, :]
    if METRICS[name].family == "ranks":
        found = from_weights(name, rows, weights)
    else:
        found = from_means(name, weights @ row_numbers(name, rows) / n_rows)
    assert found[0] == pytest.approx(metric_value(name, rows.take(index)), rel=1e-9)


def test_roc_auc_with_one_class_is_undefined_and_no_crash():
    rows = ClassRows(np.ones(5, int), np.ones(5, int), np.full((5, 2), 0.5, np.float32), (0, 1))
    assert math.isnan(metric_value("roc_auc", rows))
    assert math.isnan(metric_value("average_precision", rows))


def test_recall_without_a_row_of_the_class_is_undefined_and_precision_never_predicted_is_0():
    none_true = ClassRows(np.zeros(4, int), np.zeros(4, int), None, ("no", "yes"))
    assert math.isnan(metric_value("recall", none_true))
    assert math.isnan(metric_value("f1", none_true))
    never = ClassRows(np.array([0, 1]), np.array([0, 0]), None, ("no", "yes"))
    assert metric_value("precision", never) == 0
    assert metric_value("f1", never) == 0


def test_an_average_counts_only_classes_that_occur_among_the_labels():
    rows = ClassRows(np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1]), None, ("a", "b", "c"))
    assert metric_value("recall", rows) == pytest.approx(0.75)
    assert metric_value("balanced_accuracy", rows) == pytest.approx(0.75)


def test_a_row_without_a_prediction_is_never_right():
    rows = ClassRows(np.array([0, 1]), np.array([0, NO_CLASS]), None, ("a", "b"))
    assert metric_value("accuracy", rows) == 0.5
    assert metric_value("recall", rows) == 0
    assert rows.invalid_rows == 1
    numbers = ValueRows(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    assert math.isnan(metric_value("mae", numbers))


def test_no_rows_give_no_number():
    assert math.isnan(metric_value("accuracy", class_rows().take(np.array([], int))))
    assert math.isnan(metric_value("r2", value_rows(1)))


def test_a_metric_of_the_other_task_is_refused():
    with pytest.raises(ValueError, match="numbers"):
        metric_value("mae", class_rows())
    with pytest.raises(ValueError, match="classes"):
        metric_value("accuracy", value_rows())


def test_the_rank_of_the_true_class_counts_later_equals_first():
    rows = ClassRows(np.array([0, 2]), np.array([0, 0]), np.full((2, 3), 1 / 3, np.float32), (0, 1, 2))
    assert true_class_rank(rows).tolist() == [2, 0]


def test_a_score_of_0_for_the_true_class_costs_the_resolution_of_float32():
    rows = ClassRows(np.array([1]), np.array([0]), np.array([[1, 0]], np.float32), (0, 1))
    assert metric_value("log_loss", rows) == pytest.approx(-math.log(metrics.TINY))
