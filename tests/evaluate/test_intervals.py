"""Intervals: closed forms, coverage by simulation, repeatability."""

import math

import numpy as np
import pytest

from fiat.evaluate.catalog import METRICS
from fiat.evaluate.draws import FEWEST_RESAMPLES, RESAMPLES, percentiles, resample_count, row_weights
from fiat.evaluate.intervals import interval, wilson
from fiat.evaluate.metrics import metric_value
from fiat.evaluate.rows import NO_CLASS, ClassRows, ValueRows


def draw_classes(generator: np.random.Generator, n_rows: int, n_classes: int = 3) -> ClassRows:
    labels = generator.integers(0, n_classes, n_rows)
    logits = generator.normal(size=(n_rows, n_classes))
    logits[np.arange(n_rows), labels] += 1.5
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return ClassRows(labels, scores.argmax(axis=1), scores.astype(np.float32), tuple(range(n_classes)))


def draw_values(generator: np.random.Generator, n_rows: int) -> ValueRows:
    labels = generator.normal(0, 2, n_rows)
    return ValueRows(labels, labels + generator.normal(0, 1, n_rows))


def test_wilson_is_its_closed_form():
    z = 1.959963984540054
    low, high = wilson(8, 10, 0.95)
    middle = (0.8 + z**2 / 20) / (1 + z**2 / 10)
    half = z / (1 + z**2 / 10) * math.sqrt(0.8 * 0.2 / 10 + z**2 / 400)
    assert (low, high) == pytest.approx((middle - half, middle + half))
    assert wilson(0, 5, 0.95)[0] == 0
    assert wilson(5, 5, 0.95)[1] == 1


def test_wilson_is_wider_at_a_higher_confidence():
    narrow, wide = wilson(30, 100, 0.8), wilson(30, 100, 0.99)
    assert wide[0] < narrow[0] < 0.3 < narrow[1] < wide[1]


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "mcc", "log_loss", "roc_auc", "average_precision"])
def test_a_95_percent_interval_of_a_class_metric_covers_its_true_value(name):
    truth = metric_value(name, draw_classes(np.random.default_rng(1), 100_000))
    generator = np.random.default_rng(2)
    inside = 0
    for number in range(300):
        low, high = interval(name, draw_classes(generator, 200), confidence=0.95, seed=number)
        inside += low <= truth <= high
    assert 0.90 <= inside / 300 <= 0.99


@pytest.mark.parametrize("name", ["mae", "rmse", "r2", "median_ae"])
def test_a_95_percent_interval_of_a_value_metric_covers_its_true_value(name):
    truth = metric_value(name, draw_values(np.random.default_rng(1), 200_000))
    generator = np.random.default_rng(3)
    inside = 0
    for number in range(300):
        low, high = interval(name, draw_values(generator, 200), confidence=0.95, seed=number)
        inside += low <= truth <= high
    assert 0.90 <= inside / 300 <= 0.99


@pytest.mark.parametrize("name", sorted(name for name in METRICS if name != "max_error"))
def test_every_interval_holds_its_value_and_repeats_under_the_same_seed(name):
    generator = np.random.default_rng(5)
    classes = METRICS[name].task == "classification"
    rows = draw_classes(generator, 300) if classes else draw_values(generator, 300)
    first = interval(name, rows, confidence=0.9, seed=11, stream="sex=F")
    assert first is not None
    assert first[0] <= metric_value(name, rows) <= first[1]
    assert interval(name, rows, confidence=0.9, seed=11, stream="sex=F") == first


def test_another_seed_draws_other_resamples():
    rows = draw_classes(np.random.default_rng(5), 300)
    found = {interval("f1_macro", rows, confidence=0.9, seed=seed) for seed in (1, 2)}
    assert len(found) == 2


def test_precision_and_recall_of_a_positive_class_have_wilson_intervals():
    rows = ClassRows(np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0]), None, (False, True))
    assert interval("recall", rows, confidence=0.95, seed=0) == wilson(2, 3, 0.95)
    assert interval("precision", rows, confidence=0.95, seed=0) == wilson(2, 3, 0.95)


def test_there_is_no_interval_of_a_maximum_or_of_one_row():
    rows = draw_values(np.random.default_rng(1), 50)
    assert interval("max_error", rows, confidence=0.95, seed=0) is None
    assert interval("mae", rows.take(np.array([3])), confidence=0.95, seed=0) is None


def test_rows_without_a_prediction_leave_counted_metrics_their_interval_only():
    rows = draw_classes(np.random.default_rng(1), 50)
    predicted = rows.predicted.copy()
    predicted[0] = NO_CLASS
    scores = rows.scores.copy()
    scores[0] = np.nan
    broken = ClassRows(rows.labels, predicted, scores, rows.classes)
    assert interval("f1_macro", broken, confidence=0.95, seed=0) is not None
    assert interval("log_loss", broken, confidence=0.95, seed=0) is None
    assert interval("roc_auc", broken, confidence=0.95, seed=0) is None


def test_a_perfect_model_has_an_auc_interval_of_no_width():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], np.float32)
    rows = ClassRows(np.array([0, 0, 1]), scores.argmax(axis=1), scores, (0, 1))
    assert interval("roc_auc", rows, confidence=0.95, seed=0) == (1, 1)


def test_large_data_gets_fewer_resamples():
    assert resample_count(1000) == RESAMPLES
    assert FEWEST_RESAMPLES < resample_count(100_000) < RESAMPLES
    assert resample_count(10**9) == FEWEST_RESAMPLES


def test_weights_of_a_resample_add_up_to_the_rows():
    pieces = list(row_weights(7, 5, np.random.default_rng(0)))
    weights = np.concatenate(pieces)
    assert weights.shape == (5, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_an_interval_from_a_part_of_many_rows_is_as_wide_as_one_from_all():
    generator = np.random.default_rng(7)
    labels = generator.integers(0, 2, 150_000)
    own = np.clip(0.5 + 0.15 * (labels - 0.5) + generator.normal(0, 0.1, 150_000), 0, 1)
    rows = ClassRows(labels, (own > 0.5).astype(int), np.stack([1 - own, own], 1).astype(np.float32), (0, 1))
    low, high = interval("average_precision", rows, confidence=0.95, seed=1)
    assert low < metric_value("average_precision", rows) < high
    part = rows.take(np.arange(37_500))
    around = interval("average_precision", part, confidence=0.95, seed=1)
    assert (high - low) * 2 == pytest.approx(around[1] - around[0], rel=0.3)


def test_mostly_undefined_resamples_give_no_interval():
    assert percentiles(np.array([np.nan, np.nan, 1.0]), 0.95) is None
    assert percentiles(np.array([np.nan, 1.0, 1.0]), 0.95) == (1, 1)
