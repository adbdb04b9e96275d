"""Candidate against baseline on the same rows."""

import math

import numpy as np
import pytest

from fiat.evaluate.catalog import METRICS
from fiat.evaluate.comparison import compare, mcnemar, renumber, same_rows
from fiat.evaluate.rows import ClassRows, ValueRows


def pair(generator: np.random.Generator, n_rows: int, worse: float) -> tuple[ClassRows, ClassRows]:
    """A candidate that errs in a share `worse` of the rows where the baseline is right, and both err in 20 %."""
    labels = generator.integers(0, 3, n_rows)
    base = np.where(generator.random(n_rows) < 0.2, (labels + 1) % 3, labels)
    mine = np.where(generator.random(n_rows) < worse, (labels + 2) % 3, base)
    scores = [np.eye(3)[said] * 0.7 + 0.1 for said in (mine, base)]
    made = [
        ClassRows(labels, said, score.astype(np.float32), (0, 1, 2))
        for said, score in zip((mine, base), scores, strict=True)
    ]
    return made[0], made[1]


@pytest.mark.parametrize("name", sorted(name for name in METRICS if METRICS[name].task == "classification"))
def test_a_model_is_no_worse_than_itself(name):
    rows, _ = pair(np.random.default_rng(1), 300, 0.1)
    found = compare(name, rows, rows, confidence=0.95, seed=1)
    assert found.drop == 0
    assert not found.significant


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "mcc", "log_loss", "brier", "roc_auc"])
def test_a_clearly_worse_model_is_significantly_worse_and_the_other_way_round_better(name):
    mine, theirs = pair(np.random.default_rng(2), 800, 0.15)
    found = compare(name, mine, theirs, confidence=0.95, seed=1)
    assert found.drop > 0
    assert found.significant
    assert 0 < found.low < found.drop < found.high
    back = compare(name, theirs, mine, confidence=0.95, seed=1)
    assert back.drop == -found.drop
    assert back.high < 0


def test_lower_is_better_counts_growth_as_a_drop():
    generator = np.random.default_rng(3)
    labels = generator.normal(size=500)
    mine = ValueRows(labels, labels + generator.normal(0, 2, 500))
    theirs = ValueRows(labels, labels + generator.normal(0, 1, 500))
    for name in ("mae", "rmse", "median_ae", "r2"):
        found = compare(name, mine, theirs, confidence=0.95, seed=1)
        assert found.drop > 0, name
        assert found.significant, name
    assert compare("max_error", mine, theirs, confidence=0.95, seed=1).low is None


def test_the_interval_of_a_drop_covers_the_true_drop():
    generator = np.random.default_rng(4)
    counts = {"accuracy": 0, "recall_macro": 0}
    for number in range(300):
        mine, theirs = pair(generator, 400, 0.05)
        for name in counts:
            found = compare(name, mine, theirs, confidence=0.95, seed=number)
            # A row of the worse share is lost unless the baseline erred there anyway, which it may do the same way.
            counts[name] += found.low <= 0.05 * 0.8 <= found.high
    for name, inside in counts.items():
        assert 0.90 <= inside / 300 <= 0.99, name


def test_the_same_seed_gives_the_same_comparison():
    mine, theirs = pair(np.random.default_rng(5), 300, 0.05)
    found = [compare("f1_macro", mine, theirs, confidence=0.95, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_mcnemar_is_its_closed_form():
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 0) == pytest.approx(2 / 2**5)
    assert mcnemar(1, 4) == pytest.approx(2 * (1 + 5) / 2**5)
    assert mcnemar(1100, 1000) == pytest.approx(math.erfc(99 / math.sqrt(2100) / math.sqrt(2)))
    assert mcnemar(1050, 950) == pytest.approx(math.erfc(99 / math.sqrt(2000) / math.sqrt(2)), rel=0.02)


def test_other_rows_can_t_be_compared():
    mine, theirs = pair(np.random.default_rng(5), 30, 0.05)
    with pytest.raises(ValueError, match="same rows"):
        compare("accuracy", mine, theirs.take(np.arange(29)), confidence=0.95, seed=1)
    assert same_rows(mine, theirs.take(np.arange(29))) is None
    assert same_rows(mine, ValueRows(np.zeros(30), np.zeros(30))) is None


def test_models_with_other_orders_of_classes_are_numbered_alike():
    mine = ClassRows(np.array([0, 1]), np.array([0, -1]), None, ("a", "b"))
    scores = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], np.float32)
    theirs = ClassRows(np.array([2, 1]), np.array([2, 0]), scores, ("z", "b", "a"))
    found = same_rows(mine, theirs)
    assert found is not None
    assert found[0].classes == found[1].classes == ("a", "b", "z")
    assert found[0].predicted.tolist() == [0, -1]
    assert found[1].predicted.tolist() == [0, 2]
    assert found[1].scores[0].tolist() == pytest.approx([0.7, 0.2, 0.1])
    assert renumber(mine, ("a", "b")) is mine


def test_a_number_that_is_undefined_has_no_drop():
    rows = ClassRows(np.ones(5, int), np.ones(5, int), np.full((5, 2), 0.5, np.float32), (0, 1))
    found = compare("roc_auc", rows, rows, confidence=0.95, seed=1)
    assert math.isnan(found.drop)
    assert not found.significant
