"""Equal rows within and across splits: all of them, and none that differ."""

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiat.data.row_hash import hash_values
from fiat.data.stream import ABOUT, tensor_array
from fiat.errors import EnvironmentFault, SpecError
from fiat.validate.duplicates import find_duplicates
from fiat.validate.model import DuplicatesRule
from fiat.validate.row_equal import equal_rows
from fiat.validate.row_pick import pick_rows
from tests.validate.folders import dataset

WINE = Path(__file__).parents[3] / "shared" / "data" / "wine-quality" / "wine-quality.csv"
WITHIN = DuplicatesRule(across="ignore", within="error", key="checks[1]")


def test_equal_rows_across_splits_are_told_with_both_rows(tmp_path: Path) -> None:
    train = {"a": [1, 2, 3, 4], "b": ["x", "y", None, "w"]}
    test = {"a": [9, 3, 2], "b": ["y", None, "y"]}
    folder = dataset(tmp_path / "d", train=pa.table(train), test=pa.table(test))
    (found,) = find_duplicates(folder, DuplicatesRule(key="checks[0]"), ["a"], "b")
    assert (found.kind, found.split, found.n_rows, found.severity) == (
        "duplicates_across",
        "test",
        2,
        "error",
    )
    assert [(item.split, item.row, item.value) for item in found.examples] == [
        ("test", 2, {"split": "train", "row": 3}),
        ("test", 3, {"split": "train", "row": 2}),
    ]
    assert found.message == "2 of 3 rows of test (66.67%) stand in train too, expected none"
    assert found.key == "checks[0].duplicates"


def test_each_two_splits_are_compared(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", train={"a": [1, 2]}, eval_={"a": [2, 3]}, test={"a": [3, 4, 1]})
    found = find_duplicates(folder, DuplicatesRule(across="warn"), ["a"], None)
    told = [(item.split, item.examples[0].value, item.severity) for item in found]
    assert told == [
        ("eval", {"split": "train", "row": 2}, "warn"),
        ("test", {"split": "train", "row": 1}, "warn"),
        ("test", {"split": "eval", "row": 2}, "warn"),
    ]


def test_repeats_within_a_split_count_each_row_after_the_first(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", train={"a": [5, 7, 5, 5, 8, 7]})
    (found,) = find_duplicates(folder, WITHIN, ["a"], None)
    assert (found.kind, found.n_rows, found.value) == ("duplicates_within", 3, 0.5)
    assert [(item.row, item.value) for item in found.examples] == [
        (3, {"split": "train", "row": 1}),
        (4, {"split": "train", "row": 1}),
        (6, {"split": "train", "row": 2}),
    ]


def test_a_share_may_be_tolerated(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", train={"a": list(range(100))}, test={"a": [5, *range(200, 299)]})
    assert find_duplicates(folder, DuplicatesRule(max_share=0.01), ["a"], None) == ()
    (found,) = find_duplicates(folder, DuplicatesRule(max_share=0.009), ["a"], None)
    assert found.limit == 0.009
    assert "expected at most 0.90%" in found.message


def test_only_compared_columns_count(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", train={"a": [1, 2], "id": [10, 11]}, test={"a": [1, 3], "id": [20, 21]})
    assert find_duplicates(folder, DuplicatesRule(), ["a", "id"], None) == ()
    assert len(find_duplicates(folder, DuplicatesRule(columns=("a",)), ["a", "id"], None)) == 1
    with pytest.raises(SpecError, match="compare column 'b', which the data does not have"):
        find_duplicates(folder, DuplicatesRule(columns=("b",)), ["a"], None)


def test_columns_that_say_where_a_row_comes_from_count_only_when_named(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("a", pa.int64()), pa.field("path", pa.string(), metadata=ABOUT)])
    train = pa.table({"a": [1], "path": ["x.png"]}, schema)
    test = pa.table({"a": [1], "path": ["y.png"]}, schema)
    folder = dataset(tmp_path / "d", train=train, test=test)
    assert len(find_duplicates(folder, DuplicatesRule(), ["a", "path"], None)) == 1
    assert find_duplicates(folder, DuplicatesRule(columns=("a", "path")), ["a"], None) == ()


def test_pictures_are_compared_by_all_their_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 8), np.uint8)
    other = pixels[[2, 4]].copy()
    other[1, 7, 7] ^= 1
    folder = dataset(
        tmp_path / "d", train={"image": tensor_array(pixels)}, test={"image": tensor_array(other)}
    )
    (found,) = find_duplicates(folder, DuplicatesRule(), ["image"], None)
    assert [(item.row, item.value) for item in found.examples] == [(1, {"split": "train", "row": 3})]


def test_rows_whose_hashes_meet_and_that_differ_are_not_called_equal(tmp_path: Path) -> None:
    """The whole number whose hash is that of a missing value, by the finisher turned round."""
    word = int(hash_values(pa.array([None], pa.int64()))[0])
    word ^= word >> 31 ^ word >> 62
    word = word * pow(0x94D049BB133111EB, -1, 2**64) % 2**64
    word ^= word >> 27 ^ word >> 54
    word = word * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64
    word ^= word >> 30 ^ word >> 60
    number = (word - 0x9E3779B97F4A7C15) % 2**64
    number -= 2**64 * (number >= 2**63)
    both = pa.array([number, None])
    hashes = hash_values(both)
    assert hashes[0] == hashes[1]
    folder = dataset(tmp_path / "d", train={"a": both[:1]}, test={"a": both[1:]})
    assert find_duplicates(folder, DuplicatesRule(), ["a"], None) == ()


cells = st.tuples(st.sampled_from([0.0, 1.0, 1.5, float("nan"), None]), st.sampled_from(["a", "b", None]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(cells, min_size=1, max_size=30), st.lists(cells, max_size=30))
def test_what_is_found_is_what_a_plain_loop_finds(
    tmp_path_factory: pytest.TempPathFactory,
    train: list[tuple[float | None, str | None]],
    test: list[tuple[float | None, str | None]],
) -> None:
    def table(rows: list[tuple[float | None, str | None]]) -> pa.Table:
        numbers = pa.array([number for number, _ in rows], pa.float64(), from_pandas=False)
        return pa.table({"n": numbers, "t": pa.array([text for _, text in rows], pa.string())})

    folder = dataset(tmp_path_factory.mktemp("x") / "d", chunk_rows=7, train=table(train), test=table(test))
    rule = DuplicatesRule(across="error", within="error")
    found = {(item.kind, item.split): item.n_rows for item in find_duplicates(folder, rule, ["n", "t"], None)}
    # To a model a missing number is NaN.
    first, second = (
        [(None if number != number else number, text) for number, text in rows] for rows in (train, test)
    )
    expected = {
        ("duplicates_across", "test"): sum(row in first for row in second),
        ("duplicates_within", "train"): len(first) - len(set(first)),
        ("duplicates_within", "test"): len(second) - len(set(second)),
    }
    assert found == {key: count for key, count in expected.items() if count}


@pytest.mark.skipif(not WINE.is_file(), reason=f"{WINE} is not here")
def test_wine_quality_repeats_937_rows(tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(WINE)
    folder = dataset(tmp_path / "d", train=table)
    (found,) = find_duplicates(folder, WITHIN, table.column_names, None)
    assert found.n_rows == 937
    assert len(found.examples) == 10
    for example in found.examples:
        first = example.value["row"]  # type: ignore[index]
        assert table.slice(example.row - 1, 1).to_pylist() == table.slice(first - 1, 1).to_pylist()


def test_ten_pairs_are_shown_of_however_many(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", train={"a": list(range(5000))}, test={"a": list(range(5000))})
    (found,) = find_duplicates(folder, DuplicatesRule(), ["a"], None)
    assert found.n_rows == 5000
    assert len(found.examples) == 10


def test_memory_is_bounded_by_a_few_words_a_row(tmp_path: Path) -> None:
    n_rows = 400_000
    rng = np.random.default_rng(0)
    columns = {f"c{index}": rng.normal(size=n_rows) for index in range(12)}
    folder = dataset(
        tmp_path / "d", chunk_rows=65_536, train=columns, test={n: v[:1000] for n, v in columns.items()}
    )
    tracemalloc.start()
    (found,) = find_duplicates(folder, DuplicatesRule(), list(columns), None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.n_rows == 1000
    assert peak < 25 * n_rows, f"{peak / n_rows:.0f} bytes a row; a row has 96"


def test_a_folder_that_is_no_dataset_is_a_fault_of_the_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"train\.arrow of the dataset can't be read"):
        find_duplicates(tmp_path, DuplicatesRule(), ["a"], None)


def test_rows_are_picked_in_the_order_asked_for() -> None:
    table = pa.concat_tables([pa.table({"a": [0, 1, 2]}), pa.table({"a": [3, 4]})])
    assert pick_rows(table, np.array([4, 0, 3, 0])).column("a").to_pylist() == [4, 0, 3, 0]
    assert pick_rows(table, np.array([], np.int64)).num_rows == 0


def test_values_of_every_kind_are_compared_as_they_are() -> None:
    tensor = tensor_array(np.array([[1.0, np.nan], [1.0, 2.0]]))
    table = pa.table(
        {
            "f": pa.array([float("nan"), 1.0]),
            "l": pa.array([[1, None], None], pa.list_(pa.int64())),
            "t": tensor,
            "s": pa.array([{"a": 1}, None]),
        }
    )
    assert equal_rows(table, table).tolist() == [True, True]
    other = table.take(pa.array([1, 0]))
    assert equal_rows(table, other).tolist() == [False, False]
