"""The reference profile and the made-up row of a package."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fiat.errors import EnvironmentFault
from fiat.evaluate.folder import Evaluation
from fiat.evaluate.rows import ClassRows, ValueRows
from fiat.model.reference import LEAST_ROWS, MOST_COLUMNS, reference_profile
from fiat.model.warmup import read_warmup, warmup_text
from fiat.model.warmup_row import accepted_row, made_up_rows
from fiat.profile.distance import distance
from fiat.profile.document import profile_text, read_profile
from fiat.profile.measure import profile_batches
from fiat.profile.merge import merge_profiles
from fiat.profile.model import Profile

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs


def train_rows(n_rows: int = 1000) -> pa.Table:
    draw = np.random.default_rng(0)
    return pa.table(
        {
            "km": draw.gamma(2.0, 3.0, n_rows),
            "kind": pa.array(np.array(["cash", "card", "card"])[draw.integers(0, 3, n_rows)].tolist()),
            "note": [f"call {number}" for number in range(n_rows)],
            "paid": draw.random(n_rows) < 0.9,
            "secret": draw.normal(size=n_rows),
        }
    )


def described(table: pa.Table) -> Profile:
    return profile_batches(table.to_batches(), split="train")


def evaluation() -> Evaluation:
    labels = np.arange(200) % 2
    scores = np.stack([np.linspace(0.1, 0.9, 200), 1 - np.linspace(0.1, 0.9, 200)], axis=1).astype(np.float32)
    return Evaluation(
        "classification", "test", "kind", ClassRows(labels, scores.argmax(1), scores, (False, True))
    )


FEATURES = ("km", "kind", "note", "paid")


def test_it_tells_of_the_features_of_train_and_of_what_the_model_said_of_test() -> None:
    found = reference_profile(described(train_rows()), FEATURES, evaluation(), source_digest="ab")
    train, test = found.split("train"), found.split("test")
    assert train is not None
    assert test is not None
    assert [column.name for column in train.columns] == list(FEATURES)
    assert [column.name for column in test.columns] == ["label", "prediction", "score"]
    assert dict(test.column("label").counts) == {"false": 100, "true": 100}  # type: ignore[union-attr]
    score = test.column("score")
    assert score is not None
    assert score.numbers is not None
    assert (score.numbers.min, score.numbers.max) == (pytest.approx(0.502, abs=1e-4), pytest.approx(0.9))
    assert (found.source_digest, found.label) == ("ab", "label")


def test_of_a_regression_it_tells_the_numbers() -> None:
    rows = ValueRows(np.arange(50.0), np.arange(50.0) + 1)
    found = reference_profile(None, (), Evaluation("regression", "test", "price", rows))
    (test,) = found.profiles
    prediction = test.column("prediction")
    assert prediction is not None
    assert prediction.numbers is not None
    assert (prediction.numbers.min, prediction.numbers.max) == (1.0, 50.0)
    assert test.column("score") is None


def test_it_is_read_back_and_merges_with_later_rows(tmp_path: Path) -> None:
    found = reference_profile(described(train_rows()), FEATURES, evaluation())
    (tmp_path / "profile.json").write_text(profile_text(found))
    train = read_profile(tmp_path).split("train")
    assert train == found.split("train")
    assert train is not None
    both = merge_profiles(train, described(train_rows().select(list(FEATURES))))
    assert both.n_rows == 2000


def test_the_same_rows_have_not_moved_and_others_have() -> None:
    train = reference_profile(described(train_rows()), FEATURES, evaluation()).split("train")
    assert train is not None
    same = described(train_rows(997))
    moved = described(pa.table({"km": train_rows()["km"].to_numpy() * 3, "kind": ["cash"] * 1000}))
    for name in ("km", "kind"):
        reference = train.column(name)
        assert reference is not None
        assert not distance(reference, same.column(name)).beyond_noise  # type: ignore[arg-type]
        assert distance(reference, moved.column(name)).beyond_noise  # type: ignore[arg-type]


def test_truth_values_are_told_as_the_numbers_that_clients_send() -> None:
    train = reference_profile(described(train_rows()), FEATURES, evaluation()).split("train")
    assert train is not None
    sent = described(pa.table({"paid": train_rows()["paid"].cast(pa.int64())})).column("paid")
    reference = train.column("paid")
    assert reference is not None
    assert sent is not None
    assert dict(reference.counts) == dict(sent.counts)
    assert distance(reference, sent).value == 0


def test_no_value_of_a_few_rows_is_named() -> None:
    table = train_rows().append_column(
        "town", pa.array(["Ulm"] * 990 + ["Xanten"] * (LEAST_ROWS - 1) + ["Bonn"] * 6)
    )
    text = profile_text(reference_profile(described(table), (*FEATURES, "town"), evaluation()))
    assert "Ulm" in text
    assert "Bonn" in text
    assert "Xanten" not in text
    assert "call " not in text
    assert "hashes" not in text
    assert "secret" not in text


def test_a_wide_matrix_stays_small() -> None:
    draw = np.random.default_rng(0)
    names = [f"p{number:04}" for number in range(3000)]
    table = pa.table({name: draw.normal(size=300).astype(np.float32) for name in names})
    found = reference_profile(described(table), names, evaluation())
    train = found.split("train")
    assert train is not None
    assert MOST_COLUMNS // 2 < len(train.columns) <= MOST_COLUMNS
    assert len(profile_text(found)) < 1 << 20


def signature(*inputs: tuple[str, str, list[Any]], layout: str, features: list[str]) -> dict[str, Any]:
    return {
        "inputs": [{"name": name, "dtype": dtype, "shape": shape} for name, dtype, shape in inputs],
        "layout": layout,
        "features": features,
    }


def test_a_row_is_made_up_of_medians_and_frequent_values() -> None:
    taken = signature(
        ("km", "float64", [None, 1]),
        ("kind", "string", [None, 1]),
        ("note", "string", [None, 1]),
        ("paid", "float64", [None, 1]),
        layout="raw",
        features=list(FEATURES),
    )
    row = next(iter(made_up_rows(taken, described(train_rows()))))
    assert row["kind"].tolist() == [["card"]]
    assert row["note"].tolist() == [[""]]
    assert row["paid"].tolist() == [[1.0]]
    assert row["km"].item() == pytest.approx(np.median(train_rows()["km"].to_numpy()), rel=0.01)


def test_a_matrix_and_tensors_have_a_row_of_their_own(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 1, 2], "b": pa.array([None, None, None], pa.float64())})
    matrix = signature(("features", "float32", [None, 2]), layout="matrix", features=["a", "b"])
    row = next(iter(made_up_rows(matrix, described(table))))
    np.testing.assert_array_equal(row["features"], np.array([[1, np.nan]], np.float32))
    tensor = signature(("pixels", "uint8", [None, 4, 4]), layout="tensor", features=["pixels"])
    pixels = next(iter(made_up_rows(tensor, None)))["pixels"]
    assert (pixels.shape, pixels.dtype, pixels.any()) == ((1, 4, 4), np.uint8, False)
    (tmp_path / "warmup.json").write_text(warmup_text({**row, "pixels": pixels}))
    back = read_warmup(tmp_path)
    assert back is not None
    np.testing.assert_array_equal(back["features"], row["features"])
    np.testing.assert_array_equal(back["pixels"], pixels)
    assert back["features"].dtype == np.float32
    assert len((tmp_path / "warmup.json").read_text()) < 300


def test_texts_come_back_as_texts(tmp_path: Path) -> None:
    (tmp_path / "warmup.json").write_text(warmup_text({"kind": np.array([["Köln"]], object)}))
    back = read_warmup(tmp_path)
    assert back is not None
    assert back["kind"].dtype == object
    assert back["kind"].tolist() == [["Köln"]]


def test_a_package_without_a_row_has_none_and_a_damaged_one_says_so(tmp_path: Path) -> None:
    assert read_warmup(tmp_path) is None
    (tmp_path / "warmup.json").write_text('{"format": 1}')
    with pytest.raises(EnvironmentFault, match=r"warmup\.json can't be read"):
        read_warmup(tmp_path)
    (tmp_path / "warmup.json").write_text('{"format": 2}')
    assert read_warmup(tmp_path) is None


def test_the_first_row_that_the_graph_takes_is_kept(tmp_path: Path) -> None:
    graphs.write(graphs.scaling(), tmp_path / "model.onnx")
    narrow, right = ({"x": np.ones((1, width), np.float32)} for width in (2, 3))
    assert accepted_row(tmp_path / "model.onnx", [narrow, right]) is right
    assert accepted_row(tmp_path / "model.onnx", [narrow]) is None


def test_the_same_rows_give_the_same_bytes() -> None:
    texts = {
        profile_text(reference_profile(described(train_rows()), FEATURES, evaluation())) for _ in range(2)
    }
    assert len(texts) == 1
    assert json.loads(texts.pop())["fiat_profile"] == 1
