"""The dataset format out and in: what user code sees."""

import json
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.columns import ColumnChoice
from fiat.data.dataset import Dataset, open_dataset
from fiat.data.split import AllTrain, ByColumn, ByShares, SplitRule
from fiat.data.stream import Piece, Reading, tensor_array
from fiat.data.write import MOST_CLASSES, Written, write_dataset
from fiat.errors import EnvironmentFault, SpecError


def reading(columns: dict[str, object], piece_rows: int = 1000) -> Reading:
    whole = pa.record_batch(columns)
    pieces = [
        Piece(whole.slice(start, piece_rows), ("f.csv",), start + 1)
        for start in range(0, whole.num_rows, piece_rows)
    ]
    return Reading(whole.schema, lambda: iter(pieces))


def made(
    tmp_path: Path,
    columns: dict[str, object],
    rule: SplitRule | None = None,
    choice: ColumnChoice | None = None,
) -> tuple[Written, Dataset]:
    written = write_dataset(
        tmp_path / "d", reading(columns), rule or AllTrain(), choice or ColumnChoice(), "abc"
    )
    return written, open_dataset(tmp_path / "d")


def table_of(n_rows: int = 5000) -> dict[str, object]:
    rng = np.random.default_rng(0)
    return {
        "id": np.arange(n_rows),
        "age": pa.array([None if row % 7 == 3 else row % 90 for row in range(n_rows)], pa.int64()),
        "score": rng.normal(size=n_rows),
        "member": pa.array([row % 3 == 0 for row in range(n_rows)]),
        "kind": pa.array(["ab"[row % 2] for row in range(n_rows)]),
    }


def test_rows_in_are_rows_out_in_their_order(tmp_path: Path) -> None:
    written, data = made(
        tmp_path, table_of(), ByShares((8, 1, 1), "id"), ColumnChoice("kind", others=("id",))
    )
    ids = [np.array(split.table().column("id")) for split in (data.train, data.eval, data.test)]
    assert all((np.diff(part) > 0).all() for part in ids)
    assert sorted(np.concatenate(ids).tolist()) == list(range(5000))
    assert written.rows == {"train": len(ids[0]), "eval": len(ids[1]), "test": len(ids[2])}
    assert min(written.rows.values()) > 300


def test_the_folder_holds_what_the_format_says(tmp_path: Path) -> None:
    _, data = made(tmp_path, table_of(), AllTrain(), ColumnChoice("kind", drop=("id",)))
    document = json.loads((tmp_path / "d" / "dataset.json").read_text("utf-8"))
    assert document == {
        "label": "kind",
        "classes": ["a", "b"],
        "features": ["age", "score", "member"],
        "splits": {"train": {"rows": 5000}, "eval": {"rows": 0}, "test": {"rows": 0}},
        "columns": [
            {"name": "id", "type": "int64", "shape": None},
            {"name": "age", "type": "int64", "shape": None},
            {"name": "score", "type": "double", "shape": None},
            {"name": "member", "type": "bool", "shape": None},
            {"name": "kind", "type": "string", "shape": None},
        ],
        "source_digest": "abc",
    }
    assert data.eval.table().schema == data.train.table().schema
    assert data.test.n_rows == 0
    assert list(data.test.batches(10)) == []
    assert data.eval.features.shape == (0, 3)
    assert len(data.eval.codes) == 0


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_dataset(tmp_path / name, reading(table_of()), ByShares((8, 1, 1)), ColumnChoice("kind"), "abc")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_numbers_are_one_matrix_with_nan_where_a_value_is_missing(tmp_path: Path) -> None:
    columns = table_of(10)
    _, data = made(tmp_path, columns, choice=ColumnChoice("kind", drop=("id",)))
    assert data.layout == "matrix"
    found = data.train.features
    assert found.dtype == np.float32
    assert found.shape == (10, 3)
    assert np.isnan(found[3, 0])
    assert found[5].tolist() == [5.0, np.float32(columns["score"][5]), 0.0]  # type: ignore[index]
    assert list(data.inputs("train")) == ["features"]
    assert np.array_equal(data.inputs("train", slice(2, 4))["features"], found[2:4], equal_nan=True)
    found[:] = 0
    assert data.train.features[5, 0] == 5.0


def test_texts_among_the_features_make_columns(tmp_path: Path) -> None:
    columns = table_of(10) | {"city": pa.array(["x", None] * 5)}
    _, data = made(tmp_path, columns, choice=ColumnChoice("kind", features=("city", "age", "member")))
    assert data.layout == "columns"
    with pytest.raises(SpecError, match="no single array"):
        _ = data.train.features
    assert list(data.train.columns) == ["city", "age", "member"]
    inputs = data.inputs(data.train, [3, 0])
    assert {name: (array.shape, array.dtype.kind) for name, array in inputs.items()} == {
        "city": ((2, 1), "O"),
        "age": ((2, 1), "f"),
        "member": ((2, 1), "f"),
    }
    assert inputs["city"].ravel().tolist() == ["", "x"]
    assert inputs["age"].dtype == np.float32
    assert inputs["member"].ravel().tolist() == [1.0, 1.0]


def test_a_tensor_column_keeps_its_dtype_and_shape(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3000, 4, 5), np.uint8)
    columns = {"image": tensor_array(images), "label": np.arange(3000) % 10}
    _, data = made(tmp_path, columns, choice=ColumnChoice("label"))
    assert data.layout == "tensor"
    assert np.array_equal(data.train.features, images)
    assert data.train.features.dtype == np.uint8
    assert data.train.features.flags.writeable
    assert np.array_equal(data.inputs("train", slice(7, 9))["image"], images[7:9])
    assert data.classes == tuple(range(10))


def test_codes_are_positions_in_the_classes_of_train(tmp_path: Path) -> None:
    columns = {
        "x": [1.0, 2.0, 3.0, 4.0],
        "y": ["b", "a", "b", "c"],
        "part": ["train", "train", "train", "test"],
    }
    written, data = made(tmp_path, columns, ByColumn("part"), ColumnChoice("y", others=("part",)))
    assert data.classes == ("a", "b")
    assert data.train.codes.tolist() == [1, 0, 1]
    assert data.train.codes.dtype == np.int64
    assert data.train.labels.tolist() == ["b", "a", "b"]
    assert data.test.labels.tolist() == ["c"]
    with pytest.raises(SpecError, match="'c' is no class of train"):
        _ = data.test.codes
    assert written.class_rows == {"train": {"a": 1, "b": 2}, "eval": {}, "test": {"c": 1}}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([3, 1, 3], (1, 3)),
        ([True, False, True], (False, True)),
        ([0.5, 1.0, 2.0], None),
        (list(range(MOST_CLASSES)), tuple(range(MOST_CLASSES))),
        (list(range(MOST_CLASSES + 1)), None),
    ],
)
def test_classes_are_for_texts_bools_and_integers_of_few_values(
    tmp_path: Path, labels: list[object], classes: tuple[object, ...] | None
) -> None:
    _, data = made(tmp_path, {"x": np.zeros(len(labels)), "y": labels}, choice=ColumnChoice("y"))
    assert data.classes == classes
    assert data.train.labels.tolist() == labels
    if classes is None:
        with pytest.raises(SpecError, match="no classes"):
            _ = data.train.codes


def test_rows_without_a_label_are_all_told_at_once(tmp_path: Path) -> None:
    labels = pa.array([None if row in (3, 1500, 2000) else 1 for row in range(2500)], pa.int64())
    with pytest.raises(
        SpecError, match=r"3 rows have no label in column 'y': f.csv row 4, .* row 1501, .* row 2001"
    ):
        made(tmp_path, {"x": np.zeros(2500), "y": labels}, choice=ColumnChoice("y"))


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (ColumnChoice("knd"), "'knd'.*did you mean 'kind'"),
        (ColumnChoice("kind", features=("agee",)), "did you mean 'age'"),
        (ColumnChoice("kind", drop=("zzz",)), "drop names column 'zzz'"),
        (ColumnChoice("kind", others=("nokey",)), "split names column 'nokey'"),
        (ColumnChoice("kind", features=("age", "kind")), "can't be a feature"),
        (ColumnChoice("kind", features=("age", "score", "age")), "names column 'age' twice"),
        (ColumnChoice("kind", drop=("id", "age", "score", "member")), "no feature column is left"),
    ],
)
def test_a_wrong_column_is_told_with_the_nearest_right_one(
    tmp_path: Path, choice: ColumnChoice, says: str
) -> None:
    with pytest.raises(SpecError, match=says):
        made(tmp_path, table_of(10), choice=choice)


def test_lists_are_no_features_but_may_be_dropped(tmp_path: Path) -> None:
    columns = {"x": [1.0], "tags": pa.array([["a", "b"]])}
    with pytest.raises(SpecError, match=r"'tags' holds list<.*>, which no model can take"):
        made(tmp_path, columns)
    assert not (tmp_path / "d" / "dataset.json").exists()
    written = write_dataset(tmp_path / "e", reading(columns), AllTrain(), ColumnChoice(drop=("tags",)), "")
    assert written.features == ("x",)


def test_batches_cover_every_row_once_in_order_or_shuffled_by_seed(tmp_path: Path) -> None:
    _, data = made(tmp_path, {"x": np.arange(2500)})

    def order(size: int, seed: int | None) -> list[int]:
        return [
            row for batch in data.train.batches(size, shuffle=seed) for row in batch.columns["x"].tolist()
        ]

    assert [len(batch) for batch in data.train.batches(1000)] == [1000, 1000, 500]
    assert order(1000, None) == list(range(2500))
    assert order(64, 1) == order(100, 1) != order(64, 2)
    assert sorted(order(64, 1)) == list(range(2500)) != order(64, 1)
    with pytest.raises(ValueError, match="size is 0"):
        next(data.train.batches(0))


def test_rows_are_taken_in_the_order_asked_for_over_several_record_batches(tmp_path: Path) -> None:
    n_rows = 150_000
    _, data = made(tmp_path, {"x": np.arange(n_rows), "t": pa.array([str(row) for row in range(n_rows)])})
    assert len(data.train.table().to_batches()) >= 3
    wanted = [149_999, 0, 70_000, 0, -1, 65_536]
    batch = data.train.take(wanted)
    assert batch.columns["t"].tolist() == ["149999", "0", "70000", "0", "149999", "65536"]
    assert len(data.train.take([])) == 0
    assert data.train.take(slice(5, 11, 2)).columns["x"].tolist() == [5, 7, 9]
    with pytest.raises(IndexError):
        data.train.take([n_rows])


def test_batches_do_not_load_the_whole_split(tmp_path: Path) -> None:
    images = np.zeros((4000, 64, 64), np.uint8)
    _, data = made(tmp_path, {"image": tensor_array(images)})
    tracemalloc.start()
    arrow_before = pa.total_allocated_bytes()
    most = 0
    for batch in data.train.batches(32, shuffle=3):
        assert batch.features.shape == (len(batch), 64, 64)
        most = max(most, pa.total_allocated_bytes() - arrow_before)
    assert most < 2_000_000
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_dataset_can_be_sent_to_another_process(tmp_path: Path) -> None:
    _, data = made(tmp_path, {"x": np.arange(10)})
    assert data.train.n_rows == 10
    packed = pickle.dumps(data)
    assert len(packed) < 5000
    assert pickle.loads(packed).train.features[:, 0].tolist() == list(range(10))


def test_it_says_what_it_is(tmp_path: Path) -> None:
    _, data = made(tmp_path, table_of(), ByShares((8, 1, 1), "id"), ColumnChoice("kind", others=("id",)))
    counts = f"train {len(data.train):,}, eval {len(data.eval):,}, test {len(data.test):,}"
    assert repr(data) == f"Dataset({counts} rows; 3 features as matrix; label 'kind')"
    assert repr(data.train) == f"Split(train: {len(data.train):,} rows)"


def test_a_missing_or_damaged_folder_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="no dataset"):
        open_dataset(tmp_path)
    made(tmp_path, {"x": np.arange(10)})
    (tmp_path / "d" / "train.arrow").write_bytes(b"cut")
    with pytest.raises(EnvironmentFault, match="no dataset"):
        open_dataset(tmp_path / "d")


def test_nothing_to_train_on_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no row falls into train"):
        made(tmp_path, {"x": [1.0], "part": ["test"]}, ByColumn("part"), ColumnChoice(others=("part",)))
