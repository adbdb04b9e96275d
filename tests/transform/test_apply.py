import json
import math
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from made_dataset import make_dataset

from fiat.data.dataset import open_dataset
from fiat.data.raw import raw_feed
from fiat.errors import SpecError
from fiat.transform.apply import MOST_VALUES, rows_at_once, transform_dataset
from fiat.transform.distinct import DistinctRunner
from fiat.transform.fit import fit_transforms
from fiat.transform.model import TO_MODEL, Entry, Fitted, Output
from fiat.transform.runtime import BATCH_ROWS

ALL = {"max": 100, "min_rows": 1, "unknown": "other"}
ROWS = pa.table(
    {
        "age": [10.0, None, 30.0, 20.0, math.inf, 1e308],
        "city": ["Rome", "Oslo", None, "Rome", "Bonn", "Oslo"],
        "note": ["A", "b", None, "C", "D", ""],
        "id": [1, 2, 3, 4, 5, 6],
        "big": ["yes", "no", "yes", "no", "yes", "no"],
    }
)
PARTS = ["train", "test", "train", "train", "eval", "test"]


def entry(columns: tuple[str, ...], *apply: tuple[str, object]) -> Entry:
    return Entry(columns, apply, key="transform[0]")


def transformed(folder: Path, entries: list[Entry], *, drop: tuple[str, ...] = ("note", "id")) -> Path:
    make_dataset(folder / "raw", ROWS, PARTS, label="big", drop=drop)
    raw = open_dataset(folder / "raw")
    fitted = fit_transforms(raw.train.table(), raw.feature_names, entries)
    transform_dataset(folder / "raw", fitted, folder / "made")
    return folder / "made"


def test_numbers_alone_become_one_matrix_that_a_model_trains_on(tmp_path: Path) -> None:
    made = transformed(
        tmp_path, [entry(("age",), ("impute", {"by": "zero"})), entry(("city",), ("one_hot", ALL))]
    )
    data = open_dataset(made)
    assert data.layout == "tensor"
    assert data.train.features.dtype == np.float32
    largest = float(np.finfo(np.float32).max)
    assert data.train.features.tolist() == [[10, 1, 0, 0], [30, 0, 1, 0], [20, 1, 0, 0]]
    assert data.eval.features.tolist() == [[largest, 0, 0, 1]]
    assert data.test.features.tolist() == [[0, 0, 0, 1], [largest, 0, 0, 1]]
    assert data.train.codes.tolist() == [1, 1, 0]
    assert data.classes == ("no", "yes")
    assert list(data.inputs("test")) == ["features"]


def test_columns_that_are_no_features_are_copied_in_their_order(tmp_path: Path) -> None:
    table = open_dataset(transformed(tmp_path, [entry(("city",), ("ordinal", ALL))])).test.table()
    assert table.column_names == ["features", "note", "id", "big", "part"]
    assert table.column("id").to_pylist() == [2, 6]
    assert table.column("note").to_pylist() == ["b", ""]


def test_the_document_says_what_the_columns_are(tmp_path: Path) -> None:
    document = json.loads(
        (transformed(tmp_path, [entry(("city",), ("one_hot", ALL))]) / "dataset.json").read_text()
    )
    assert document["features"] == ["features"]
    assert document["feature_names"] == ["city=Rome", "city=(missing)", "city=(other)", "age"]
    assert document["label"] == "big"
    assert document["classes"] == ["no", "yes"]
    assert document["splits"] == {"train": {"rows": 3}, "eval": {"rows": 1}, "test": {"rows": 2}}
    assert document["columns"][0] == {"name": "features", "type": "float", "shape": [4]}
    assert document["source_digest"] == "abc"


def test_texts_and_whole_numbers_of_their_own_stand_beside_the_features(tmp_path: Path) -> None:
    entries = [entry(("city",), ("embed_index", ALL)), entry(("note",), ("lower", True))]
    data = open_dataset(transformed(tmp_path, entries, drop=("id",)))
    assert data.layout == "columns"
    inputs = data.inputs("train")
    assert list(inputs) == ["features", "city", "note"]
    assert inputs["city"].dtype == np.int64
    assert inputs["city"].tolist() == [[2], [0], [2]]
    assert inputs["note"].tolist() == [["a"], [""], ["c"]]


def test_a_split_without_rows_stays_empty(tmp_path: Path) -> None:
    make_dataset(tmp_path / "raw", ROWS.select(["age", "big"]), ["train"] * 6, label="big")
    train = open_dataset(tmp_path / "raw").train.table()
    transform_dataset(tmp_path / "raw", fit_transforms(train, ("age",), []), tmp_path / "made")
    data = open_dataset(tmp_path / "made")
    assert (data.train.n_rows, data.eval.n_rows, data.test.n_rows) == (6, 0, 0)
    assert data.test.features.shape == (0, 1)


def test_the_same_rows_give_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        transformed(tmp_path / name, [entry(("city",), ("one_hot", ALL))])
    for file in ("train.arrow", "test.arrow", "dataset.json"):
        assert (tmp_path / "a" / "made" / file).read_bytes() == (tmp_path / "b" / "made" / file).read_bytes()


def test_a_row_that_the_graph_refuses_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        transformed(tmp_path, [entry(("city",), ("one_hot", {**ALL, "unknown": "error"}))])
    assert caught.value.message == "there is a category of city that training did not see"
    assert "unknown: other" in caught.value.hint


def test_a_column_called_like_an_output_is_named(tmp_path: Path) -> None:
    table = ROWS.select(["age", "big"]).rename_columns(["age", "features"])
    make_dataset(tmp_path / "raw", table, PARTS, label="features")
    fitted = fit_transforms(table, ("age",), [])
    with pytest.raises(SpecError, match="column 'features' is called like an output"):
        transform_dataset(tmp_path / "raw", fitted, tmp_path / "made")


def test_a_column_that_the_data_no_longer_has_is_named(tmp_path: Path) -> None:
    make_dataset(tmp_path / "raw", ROWS.select(["city", "big"]), PARTS, label="big")
    with pytest.raises(SpecError, match="doesn't have age"):
        transform_dataset(tmp_path / "raw", fit_transforms(ROWS, ("age",), []), tmp_path / "made")


def everything_of_texts() -> tuple[Fitted, pa.RecordBatch]:
    """Every way in which texts become something else, and a batch in which they repeat."""
    draws = np.random.default_rng(1)
    n_rows = 4000
    cities = np.array(["Rome", "Oslo", "", "日本", "Bonn"], object)
    rows = pa.table(
        {
            "city": pa.array(cities[draws.integers(0, 5, n_rows)]),
            "about": pa.array(np.array(["A b", "b  b c", "", None], object)[draws.integers(0, 4, n_rows)]),
            "day": pa.array([f"2024-02-{1 + day:02}" for day in draws.integers(0, 28, n_rows)]),
            "fare": pa.array(draws.normal(size=n_rows), mask=draws.random(n_rows) < 0.1),
            "hour": pa.array(draws.integers(0, 24, n_rows)),
            "own": pa.array([f"id {row}" for row in range(n_rows)]),
        }
    )
    entries = [
        entry(("city",), ("impute", {"value": "none", "flag": True}), ("lower", True), ("one_hot", ALL)),
        entry(("city",), ("embed_index", ALL)),
        entry(("about",), ("tokenize", {}), ("tf_idf", {"max": 10, "min_rows": 1, "ngrams": 2})),
        entry(("about",), ("strip", True)),
        entry(("about",), ("tokenize", {}), ("hash", 7)),
        entry(("day",), ("date_parts", {"parts": ["day", "weekday"], "unit": "s"}), ("standardize", True)),
        entry(("fare", "hour"), ("bucketize", {"buckets": 4}), ("cross", True), ("hash", 50)),
        entry(("city", "hour", "day"), ("cross", True), ("hash", 500)),
        entry(("city", "about"), ("cross", True), ("ordinal", ALL), ("min_max", True)),
        entry(("own",), ("hash", 100)),
    ]
    return fit_transforms(
        rows.slice(0, 500), tuple(rows.column_names), entries
    ), rows.combine_chunks().to_batches()[0]


def test_running_distinct_texts_alone_gives_bit_for_bit_what_all_rows_give() -> None:
    fitted, batch = everything_of_texts()
    assert len(fitted.parts) == 7
    session = ort.InferenceSession(fitted.graph, providers=["CPUExecutionProvider"])
    names = [output.name for output in fitted.outputs]
    whole = session.run([TO_MODEL + name for name in names], raw_feed(batch, fitted.inputs))
    found = DistinctRunner(fitted).run(batch)
    assert names == ["features", "city", "about"]
    for name, expected in zip(names, whole, strict=True):
        array = found[name]
        if isinstance(array, pa.Array):
            array = np.array(array.to_pylist(), object).reshape(-1, 1)
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


def test_columns_that_the_transforms_do_not_know_are_ignored() -> None:
    fitted = fit_transforms(ROWS, ("id",), [])
    batch = ROWS.combine_chunks().to_batches()[0]
    assert DistinctRunner(fitted).run(batch)["features"].reshape(-1).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("width", "n_rows"), [(1, BATCH_ROWS), (1024, BATCH_ROWS), (65_536, 1024), (MOST_VALUES + 1, 1)]
)
def test_few_rows_are_computed_together_where_they_become_wide(width: int, n_rows: int) -> None:
    outputs = (Output("features", "float32", (width - 1,)), Output("code", "int64", (1,)))
    assert rows_at_once(Fitted(b"", (), outputs)) == n_rows
