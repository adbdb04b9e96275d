"""What outputs of models mean."""

import numpy as np
import pytest

from fiat.errors import SpecError
from fiat.evaluate.predictions import class_rows, read_classes, read_values, single_numbers
from fiat.evaluate.rows import NO_CLASS, probabilities


def test_rows_that_sum_to_1_are_probabilities():
    scores = np.array([[0.2, 0.8], [0.9995, 0.0]], np.float32)
    found = read_classes({"p": scores}, ["no", "yes"])
    assert found.kind == "probabilities"
    assert found.predicted.tolist() == [1, 0]
    assert found.scores is not None
    assert np.array_equal(found.scores, scores)


def test_other_scores_are_logits_and_become_probabilities():
    found = read_classes({"z": np.array([[1.0, 1.0, 1.0], [1000.0, 0.0, -1000.0]], np.float32)}, None)
    assert found.kind == "logits"
    assert found.classes == (0, 1, 2)
    assert found.scores is not None
    assert found.scores[0] == pytest.approx([1 / 3] * 3)
    assert found.scores[1] == pytest.approx([1, 0, 0])


def test_one_number_a_row_is_the_positive_class():
    found = read_classes({"z": np.array([[-2.0], [0.0], [800.0]], np.float32)}, [False, True])
    assert found.kind == "logits"
    assert found.scores is not None
    assert found.scores[:, 1] == pytest.approx([1 / (1 + np.exp(2)), 0.5, 1])
    sure = read_classes({"p": np.array([0.1, 0.7], np.float32)}, None)
    assert (sure.kind, sure.predicted.tolist()) == ("probabilities", [0, 1])


def test_a_label_output_says_the_prediction_and_scores_only_the_rest():
    outputs = {
        "label": np.array(["b", "a"], object),
        "probabilities": np.array([[0.9, 0.1], [0.8, 0.2]], np.float32),
    }
    found = read_classes(outputs, ["a", "b"])
    assert found.predicted.tolist() == [1, 0]
    assert found.scores is not None


def test_integers_that_are_no_class_are_indexes_of_classes():
    assert read_classes({"y": np.array([1, 0])}, ["cat", "dog"]).predicted.tolist() == [1, 0]
    assert read_classes({"y": np.array([3, 5])}, [3, 4, 5]).predicted.tolist() == [0, 2]
    assert read_classes({"y": np.array([1, 0])}, [False, True]).predicted.tolist() == [1, 0]


def test_a_predicted_class_that_nobody_knew_is_added():
    found = read_classes({"y": np.array(["c", "a"], object)}, ["a", "b"])
    assert found.classes == ("a", "b", "c")
    assert found.predicted.tolist() == [2, 0]


def test_scores_that_are_not_finite_predict_nothing():
    scores = np.array([[0.5, np.nan], [0.3, 0.7]], np.float32)
    found = read_classes({"label": np.array([1, 1]), "p": scores}, [0, 1])
    assert found.predicted.tolist() == [NO_CLASS, 1]
    assert read_classes({"p": scores}, [0, 1]).predicted.tolist() == [NO_CLASS, 1]
    logits = read_classes({"z": np.array([[np.inf, 1], [3, 1]], np.float32)}, [0, 1])
    assert logits.predicted.tolist() == [NO_CLASS, 0]


def test_integer_classes_with_gaps_are_numbered_by_the_scores():
    found = read_classes({"z": np.eye(5, dtype=np.float32) * 3}, [0, 2, 4])
    assert found.classes == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("outputs", "classes", "said"),
    [
        ({"z": np.zeros((4, 3), np.float32)}, ["a", "b"], "3 scores a row, but there are 2 classes"),
        ({"z": np.zeros(4, np.float32)}, ["a", "b", "c"], "one score a row, but there are 3 classes"),
        ({"z": np.zeros((4, 3, 2), np.float32)}, ["a", "b"], "shape"),
        ({"z": np.zeros((4, 3), np.int64)}, ["a", "b"], "no output of the model"),
    ],
)
def test_outputs_that_fit_no_rule_are_refused(outputs, classes, said):
    with pytest.raises(SpecError, match=said):
        read_classes(outputs, classes)


def test_axes_of_length_1_don_t_matter():
    found = read_classes({"z": np.zeros((4, 3, 1, 1), np.float32), "y": np.zeros((4, 1), np.int64)}, None)
    assert found.predicted.shape == (4,)
    assert read_values({"y": np.ones((4, 1), np.float32)}).shape == (4,)
    assert single_numbers({"y": np.ones((4, 1), np.float32)})
    assert not single_numbers({"y": np.ones((4, 2), np.float32)})


def test_a_regression_without_one_number_a_row_is_refused():
    with pytest.raises(SpecError, match="one number a row"):
        read_values({"y": np.ones((4, 2), np.float32)})


def test_a_label_that_the_model_doesn_t_know_gets_score_0():
    output = read_classes({"p": np.array([[0.2, 0.8], [0.6, 0.4]], np.float32)}, ["a", "b"])
    rows = class_rows(output, np.array(["b", "new"], object))
    assert rows.classes == ("a", "b", "new")
    assert rows.labels.tolist() == [1, 2]
    assert probabilities(rows)[1].tolist() == pytest.approx([0.6, 0.4, 0])


def test_probabilities_that_rounding_lifts_above_one_are_no_logits() -> None:
    raw = np.array([[1.0000001, 0.0, 0.0], [0.2, 0.3, 0.5]], np.float32)
    read = read_classes({"probabilities": raw}, ("a", "b", "c"))
    assert read.kind == "probabilities"
    assert read.scores is not None
    assert read.scores.max() <= 1.0
    assert np.allclose(read.scores, raw, atol=1e-6)
    single = read_classes({"score": np.array([1.0000001, -1e-7, 0.5], np.float32)}, ("no", "yes"))
    assert single.kind == "probabilities"
