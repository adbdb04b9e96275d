import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from fiat.errors import EnvironmentFault
from fiat.evaluate.predictions import read_classes
from fiat.serving.answers import Answerer
from fiat.serving.tensors import ModelInfo
from tests.serving.request_stage import model

WIDE = [("y", "FP32", (-1, 3))]
ONE = [("y", "FP32", (-1, 1))]


def classifier(outputs=WIDE, labels=("a", "b", "c"), scores="logits") -> ModelInfo:  # type: ignore[no-untyped-def]
    return model(("x", "FP32", (-1, 3)), outputs=outputs, labels=labels, scores=scores)


def added(info: ModelInfo, **outputs: object) -> dict[str, list[object]]:
    arrays = {
        name: value if isinstance(value, np.ndarray) else np.array(value) for name, value in outputs.items()
    }
    found = Answerer(info).add(arrays)
    assert set(found) - set(arrays) == {tensor.name for tensor in info.added}
    for tensor in info.added:
        assert found[tensor.name].dtype == tensor.dtype
    return {name: found[name].tolist() for name in found if name not in arrays}


@pytest.mark.parametrize("n_rows", [1, 2])
def test_logits_get_the_name_of_the_best_class_and_probabilities(n_rows: int) -> None:
    found = added(classifier(), y=np.float32([[1, 3, 2]] * n_rows))
    assert found["label"] == ["b"] * n_rows
    np.testing.assert_allclose(
        found["probabilities"], [[0.09003057, 0.66524096, 0.24472847]] * n_rows, rtol=1e-6
    )


@pytest.mark.parametrize("n_rows", [1, 2])
def test_probabilities_stay_what_they_are(n_rows: int) -> None:
    found = added(classifier(scores="probabilities"), y=np.float32([[0.5, 0.5, 0]] * n_rows))
    assert found == {"label": ["a"] * n_rows}


@pytest.mark.parametrize("n_rows", [1, 3])
def test_integer_classes_are_answered_as_integers(n_rows: int) -> None:
    assert (
        added(classifier(labels=(10, 20, 30)), y=np.float32([[0, 0, 9]] * n_rows))["label"] == [30] * n_rows
    )
    assert added(classifier(labels=(0, 2)), y=np.float32([[0, 5, 1]] * n_rows))["label"] == [1] * n_rows
    assert (
        added(classifier(labels=(0.5, True, "c")), y=np.float32([[0, 5, 1]] * n_rows))["label"]
        == ["true"] * n_rows
    )


@pytest.mark.parametrize("n_rows", [1, 2])
def test_a_row_whose_scores_are_not_finite_has_no_class(n_rows: int) -> None:
    rows = np.float32([[0, np.nan, 1], [0, 1, np.inf]])[:n_rows]
    found = added(classifier(), y=rows)
    assert found["label"] == [""] * n_rows
    assert np.isnan(found["probabilities"]).all()
    assert added(classifier(labels=(7, 8, 9)), y=rows)["label"] == [-1] * n_rows


@pytest.mark.parametrize("n_rows", [1, 2])
def test_one_score_is_the_second_of_two_classes(n_rows: int) -> None:
    logits = classifier(ONE, ("no", "yes"))
    found = added(logits, y=np.float32([[2]] * n_rows))
    assert found["label"] == ["yes"] * n_rows
    np.testing.assert_allclose(found["probabilities"], [[0.11920292, 0.88079708]] * n_rows, rtol=1e-6)
    np.testing.assert_allclose(
        added(logits, y=np.float32([[-800]] * n_rows))["probabilities"], [[1, 0]] * n_rows, atol=1e-6
    )
    given_shares = classifier(ONE, ("no", "yes"), "probabilities")
    assert added(given_shares, y=np.float32([[0.3]] * n_rows)) == {"label": ["no"] * n_rows}


def test_a_batch_may_be_empty() -> None:
    found = Answerer(classifier()).add({"y": np.zeros((0, 3), np.float32)})
    assert found["label"].shape == (0,)
    assert found["probabilities"].shape == (0, 3)


def test_a_label_that_the_graph_gives_is_named() -> None:
    outputs = [("class", "INT64", (-1,)), ("y", "FP32", (-1, 3))]
    info = classifier(outputs, scores="probabilities")
    assert added(info, **{"class": np.int64([2, 0]), "y": np.zeros((2, 3), np.float32)}) == {
        "label": ["c", "a"]
    }
    known = classifier(outputs, labels=(5, 0, 9), scores="probabilities")
    assert added(known, **{"class": np.int64([9, 0, 1]), "y": np.zeros((3, 3), np.float32)}) == {
        "label": [9, 0, 0]
    }
    texts = classifier([("class", "BYTES", (-1, 1))], scores="none")
    assert added(texts, **{"class": np.array([["b"], ["d"]], object)}) == {"label": ["b", "d"]}


def test_texts_that_the_graph_gives_stay_texts_whatever_the_classes_are() -> None:
    texts = classifier([("class", "BYTES", (-1,))], labels=(1, 2), scores="none")
    assert added(texts, **{"class": np.array(["1", "x"], object)}) == {"label": ["1", "x"]}


def test_numbers_are_left_alone() -> None:
    outputs = {"y": np.zeros((1, 3), np.float32)}
    assert Answerer(classifier(labels=None)).add(outputs) == outputs


def test_scores_for_another_number_of_classes_are_the_package_s_fault() -> None:
    with pytest.raises(EnvironmentFault, match="4 scores a row, but has 3 classes"):
        Answerer(classifier([("y", "FP32", (-1, -1))])).add({"y": np.zeros((1, 4), np.float32)})


ROWS = hn.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(3)), elements=st.floats(-50, 50, width=32))


@given(ROWS, st.sampled_from(["logits", "probabilities"]))
@settings(max_examples=200, deadline=None)
def test_answers_are_those_that_were_evaluated(rows: np.ndarray, kind: str) -> None:
    """Row by row and together, as `fiat.evaluate.predictions` reads them."""
    if kind == "probabilities":
        rows = np.exp(rows.astype(np.float64) / 10)
        rows = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    judged = read_classes({"y": rows}, ("a", "b", "c"))
    ordered = np.sort(rows, axis=1)
    if judged.kind != kind or (ordered[:, -1] - ordered[:, -2] < 1e-5).any():
        return  # equal once they are rounded as probabilities, which only the evaluation does first
    answerer = Answerer(classifier(scores=kind))
    together = answerer.add({"y": rows})
    alone = [answerer.add({"y": row[None]}) for row in rows]
    expected = [judged.classes[code] for code in judged.predicted]
    assert together["label"].tolist() == [one["label"][0] for one in alone] == expected
    if kind == "logits":
        np.testing.assert_allclose(together["probabilities"], judged.scores, atol=1e-6)
        np.testing.assert_allclose(
            np.concatenate([one["probabilities"] for one in alone]), judged.scores, atol=1e-6
        )


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_scores_of_a_kind_nobody_said_are_looked_at_row_by_row(rows: np.ndarray) -> None:
    answerer = Answerer(classifier(scores="unknown"))
    together = answerer.add({"y": rows})["probabilities"]
    for row, share in zip(rows, together, strict=True):
        judged = read_classes({"y": row[None]}, ("a", "b", "c"))
        np.testing.assert_allclose(share, judged.scores[0], atol=1e-6)  # type: ignore[index]
        np.testing.assert_allclose(answerer.add({"y": row[None]})["probabilities"][0], share, atol=1e-6)
