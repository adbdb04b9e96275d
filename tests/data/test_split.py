"""Splits: stable for ever, stable as data grows, and never a row without a place."""

import subprocess
import sys
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiat.data.row_hash import hash_rows, hash_values
from fiat.data.split import ByColumn, ByFiles, ByShares, ByTime, matches
from fiat.data.stream import ABOUT, Piece, tensor_array
from fiat.errors import SpecError


def piece(columns: dict[str, object], *files: str) -> Piece:
    return Piece(pa.record_batch(columns), files or ("f.csv",), 1)


def test_hashes_are_these_numbers_for_ever() -> None:
    """Another number here moves rows between train and test in every user's data: never change them."""
    assert hash_values(pa.array([0, 1, -1, None])).tolist() == [
        16294208416658607535,
        10451216379200822465,
        16490336266968443936,
        7883959562216040192,
    ]
    assert hash_values(pa.array([0.5, 7.0, float("nan")])).tolist() == [
        17647055149753731685,
        7191089600892374487,
        7883959562216040192,
    ]
    assert hash_values(pa.array(["", "a", "Zürich"])).tolist() == [
        17123953491300836062,
        10747616533167513652,
        8218935252802917954,
    ]
    row = pa.record_batch(
        {"a": [1], "b": ["x"], "c": tensor_array(np.arange(4, dtype=np.uint8).reshape(1, 2, 2))}
    )
    assert hash_rows(row).tolist() == [12587068299957562880]


def test_hashes_do_not_depend_on_the_process() -> None:
    code = (
        "import pyarrow as pa; from fiat.data.row_hash import hash_values;"
        "print(hash_values(pa.array(['a', 'b', 'c'])).tolist())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert seen == {f"{hash_values(pa.array(['a', 'b', 'c'])).tolist()}\n"}


def test_the_type_that_a_number_is_kept_in_does_not_matter() -> None:
    wanted = hash_values(pa.array([1, 0, 200])).tolist()
    for kind in (pa.int32(), pa.uint8(), pa.uint64(), pa.float64(), pa.float32()):
        assert hash_values(pa.array([1, 0, 200], kind)).tolist() == wanted
    assert hash_values(pa.array([True, False])).tolist() == wanted[:2]
    assert hash_values(pa.array([-0.0])).tolist() == [wanted[1]]


def test_missing_values_and_slices_hash_like_what_they_are() -> None:
    numbers = pa.array([1.5, None, 3.0, float("nan"), 1.5])
    hashes = hash_values(numbers)
    assert hashes[0] == hashes[4]
    assert hashes[1] == hashes[3]
    assert hash_values(numbers.slice(2)).tolist() == hashes[2:].tolist()
    tensors = tensor_array(np.arange(12, dtype=np.int16).reshape(4, 3))
    assert hash_values(tensors.slice(1, 2)).tolist() == hash_values(tensors)[1:3].tolist()
    times = pa.array([datetime(2024, 5, 1), None], pa.timestamp("s"))  # noqa: DTZ001 - a column without a zone
    assert hash_values(times).tolist() == hash_values(times.cast(pa.timestamp("ns"))).tolist()


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.none()), min_size=1, unique=True))
def test_different_integers_have_different_hashes(values: list[int | None]) -> None:
    hashes = hash_values(pa.array(values, pa.int64()))
    assert len(set(hashes.tolist())) == len(values)


def test_equal_rows_stay_together_whatever_the_order_of_columns_and_where_they_come_from() -> None:
    one = pa.record_batch({"a": [1, 1, 2], "b": ["x", "x", "x"]})
    hashes = hash_rows(one)
    assert hashes[0] == hashes[1] != hashes[2]
    assert hash_rows(one.select(["b", "a"])).tolist() == hashes.tolist()
    swapped = pa.record_batch({"a": ["x"], "b": ["y"]}), pa.record_batch({"a": ["y"], "b": ["x"]})
    assert hash_rows(swapped[0]) != hash_rows(swapped[1])
    schema = pa.schema([pa.field("a", pa.int64()), pa.field("path", pa.string(), metadata=ABOUT)])
    tagged = pa.record_batch([pa.array([5, 5]), pa.array(["one", "two"])], schema)
    assert len(set(hash_rows(tagged).tolist())) == 1


def test_shares_hold_and_rows_stay_where_they_are_as_data_grows() -> None:
    rule = ByShares((8, 1, 1), "id")
    small = rule.assign(piece({"id": np.arange(50_000)}))
    large = rule.assign(piece({"id": np.arange(100_000)}))
    assert (large[:50_000] == small).all()
    for code, share in enumerate((0.8, 0.1, 0.1)):
        assert abs(float((large == code).mean()) - share) < 0.005


@pytest.mark.parametrize(
    ("shares", "codes"),
    [((1, 0, 0), {0}), ((8, 0, 2), {0, 2}), ((8, 2, 0), {0, 1}), ((0.8, 0.1, 0.1), {0, 1, 2})],
)
def test_a_split_without_a_share_gets_no_row(shares: tuple[float, float, float], codes: set[int]) -> None:
    assert set(ByShares(shares).assign(piece({"id": np.arange(5000)})).tolist()) == codes


def test_growing_the_share_of_train_only_moves_rows_into_train() -> None:
    data = piece({"id": np.arange(20_000)})
    before, after = ByShares((8, 1, 1), "id").assign(data), ByShares((9, 0.5, 0.5), "id").assign(data)
    assert (after[before == 0] == 0).all()


def test_a_column_names_the_split_of_each_row() -> None:
    rule = ByColumn("part")
    assert rule.assign(piece({"part": ["train", "test", "eval"]})).tolist() == [0, 2, 1]
    with pytest.raises(SpecError, match="names no split: row 2 'Test'"):
        rule.assign(piece({"part": ["train", "Test"]}))
    with pytest.raises(SpecError, match="names no split: row 1 None"):
        rule.assign(piece({"part": pa.array([None], pa.string())}))


def test_files_are_matched_by_name_or_by_a_folder_above() -> None:
    assert matches("data/fashion/train-images.gz", "train-*")
    assert matches("data/train/cat/1.png", "train")
    assert matches("data/train/cat/1.png", "train/*/1.png")
    assert matches("data/train/cat/1.png", "data/**/1.png")
    assert matches("train.csv", "./train.csv")
    assert not matches("data/retrain/1.png", "train")
    assert not matches("data/train/1.png", "data/1.png")
    assert not matches("a/b.csv", "A/b.csv")


def test_each_file_falls_into_exactly_one_split() -> None:
    rule = ByFiles({"train": "train-*", "test": "t10k-*"})
    assert rule.assign(piece({"x": [1, 2]}, "d/train-images", "d/train-labels")).tolist() == [0, 0]
    assert rule.assign(piece({"x": [1, 2]}, "d/t10k-images")).tolist() == [2, 2]
    with pytest.raises(SpecError, match="no pattern of the split matches"):
        rule.assign(piece({"x": [1]}, "d/extra"))
    with pytest.raises(SpecError, match="train and test both match"):
        ByFiles({"train": "*", "test": "t*"}).assign(piece({"x": [1]}, "d/test"))
    with pytest.raises(SpecError, match="part them"):
        rule.assign(piece({"x": [1]}, "d/train-images", "d/t10k-labels"))


def test_files_of_single_rows_are_split_row_by_row() -> None:
    columns = {"x": [1, 2], "path": ["train_1.png", "test_1.png"]}
    assert ByFiles({"train": "train_*", "test": "test_*"}).assign(
        piece(columns, *columns["path"])
    ).tolist() == [0, 2]


def test_a_share_of_eval_is_carved_out_of_train_and_leaves_test_alone() -> None:
    rule = ByFiles({"train": "train-*", "test": "t10k-*"}, 0.1)
    train = rule.assign(piece({"x": np.arange(10_000)}, "train-x"))
    assert set(train.tolist()) == {0, 1}
    assert 800 < int((train == 1).sum()) < 1200
    assert set(rule.assign(piece({"x": np.arange(1000)}, "t10k-x")).tolist()) == {2}


def test_times_decide_from_which_row_on_to_test() -> None:
    rule = ByTime("at", "2024-03-01", "2024-02-01")
    texts = [
        "2024-01-31T23:59:59",
        "2024-02-01",
        "2024-02-29 12:00",
        "2024-03-01T00:30:00+01:00",
        "2024-03-01T00:00Z",
    ]
    assert rule.assign(piece({"at": texts})).tolist() == [0, 1, 1, 1, 2]
    stamps = pa.array([datetime.fromisoformat("2024-01-01"), datetime.fromisoformat("2024-04-01")])
    assert rule.assign(piece({"at": stamps})).tolist() == [0, 2]
    with pytest.raises(SpecError, match="is no time: row 1 'yesterday'"):
        rule.assign(piece({"at": ["yesterday"]}))
    with pytest.raises(SpecError, match="no time in row 2"):
        rule.assign(piece({"at": ["2024-01-01", None]}))
    with pytest.raises(SpecError, match="holds bool, expected times"):
        rule.assign(piece({"at": [True]}))
