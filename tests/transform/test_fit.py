import numpy as np
import pyarrow as pa
import pytest

from fiat.errors import SpecError
from fiat.transform.distinct import DistinctRunner
from fiat.transform.fit import fit_transforms
from fiat.transform.model import Entry

CATEGORIES = {"max": 100, "min_rows": 1, "unknown": "other"}
TRAIN = pa.table(
    {
        "age": [10.0, 20.0, None, 40.0],
        "city": ["Rome", "Oslo", None, "Rome"],
        "rooms": [1, 2, 3, 2],
        "about": ["big", "small", "", "big"],
    }
)


def entry(columns: tuple[str, ...], *apply: tuple[str, object], at: int = 0) -> Entry:
    return Entry(columns, apply, key=f"transform[{at}]")


def outputs_of(fitted, table: pa.Table) -> dict[str, np.ndarray]:
    return DistinctRunner(fitted).run(table.combine_chunks().to_batches()[0])


def test_numbers_stand_side_by_side_in_the_order_of_the_entries_and_untouched_columns_come_last() -> None:
    fitted = fit_transforms(
        TRAIN,
        ("age", "city", "rooms"),
        [
            entry(("city",), ("one_hot", CATEGORIES)),
            entry(("age",), ("impute", {"by": "median"}), ("standardize", True), at=1),
        ],
    )
    (output,) = fitted.outputs
    assert output.names == ("city=Rome", "city=(missing)", "city=Oslo", "city=(other)", "age", "rooms")
    found = outputs_of(fitted, TRAIN)["features"]
    age = np.array([10.0, 20.0, 20.0, 40.0])
    expected = np.array(
        [[1, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 2], [0, 1, 0, 0, 0, 3], [1, 0, 0, 0, 0, 2]], np.float32
    )
    expected[:, 4] = (age - age.mean()) / age.std()
    np.testing.assert_array_equal(found, expected)


def test_untouched_texts_are_outputs_of_their_own_and_missing_ones_are_empty() -> None:
    fitted = fit_transforms(TRAIN, ("rooms", "city"), [])
    assert [(item.name, item.dtype, item.shape) for item in fitted.outputs] == [
        ("features", "float32", (1,)),
        ("city", "string", (1,)),
    ]
    assert outputs_of(fitted, TRAIN)["city"].tolist() in (
        [["Rome"], ["Oslo"], [""], ["Rome"]],
        ["Rome", "Oslo", "", "Rome"],
    )


def test_what_follows_an_operation_learns_from_what_it_gave() -> None:
    fitted = fit_transforms(
        TRAIN, ("age",), [entry(("age",), ("impute", {"value": 100}), ("min_max", True), ("scale", 10))]
    )
    assert fitted.learned[1]["max"] == [100.0]
    assert outputs_of(fitted, TRAIN)["features"].reshape(-1).tolist() == pytest.approx(
        [0, 10 / 9, 10, 10 / 3]
    )


def test_an_operation_that_cannot_take_a_column_is_named_with_its_key_and_what_it_takes() -> None:
    with pytest.raises(SpecError) as caught:
        fit_transforms(TRAIN, ("age", "city"), [entry(("age", "city"), ("standardize", True), at=3)])
    assert caught.value.message == (
        "transform[3].apply[0]: `standardize` takes numbers or whole numbers, but column 'city' holds texts there"
    )


def test_a_column_that_is_no_feature_is_named() -> None:
    with pytest.raises(SpecError, match=r"transform\[0\]: 'town' is no feature column"):
        fit_transforms(TRAIN, ("age",), [entry(("town",), ("one_hot", CATEGORIES))])


def test_what_float32_can_not_hold_is_the_largest_that_it_can() -> None:
    table = pa.table({"x": [1e308, -1e308, float("inf"), float("-inf"), 1.0, None]})
    found = outputs_of(fit_transforms(table, ("x",), []), table)["features"].reshape(-1)
    largest = np.finfo(np.float32).max
    np.testing.assert_array_equal(found, [largest, -largest, largest, -largest, 1, np.nan])


def test_a_column_may_stand_in_several_entries_but_leave_as_itself_only_once() -> None:
    hashed = entry(("city",), ("hash", 10))
    index = entry(("city",), ("embed_index", CATEGORIES), at=1)
    fitted = fit_transforms(TRAIN, ("city",), [hashed, index])
    assert [output.name for output in fitted.outputs] == ["features", "city"]
    with pytest.raises(SpecError, match="two outputs of `transform` are called 'city'"):
        fit_transforms(TRAIN, ("city",), [index, entry(("city",), ("lower", True), at=2)])


def test_words_alone_are_nothing_for_a_model() -> None:
    with pytest.raises(SpecError, match="the words of column 'about' are no input of a model"):
        fit_transforms(TRAIN, ("about",), [entry(("about",), ("tokenize", {}))])


def test_a_word_that_is_no_transform_is_told_with_its_key() -> None:
    with pytest.raises(SpecError, match=r"transform\[0\]\.apply\[1\]: there is no transform 'one_hit'"):
        fit_transforms(TRAIN, ("city",), [entry(("city",), ("lower", True), ("one_hit", {}))])


def test_a_fault_that_fitting_finds_has_its_key() -> None:
    with pytest.raises(
        SpecError, match=r"transform\[0\]\.apply\[0\]: column 'age' holds texts|no row of train"
    ):
        fit_transforms(
            pa.table({"age": pa.array([None, None], pa.float64())}),
            ("age",),
            [entry(("age",), ("min_max", True))],
        )


def test_train_rows_are_read_only_where_something_learns_from_them() -> None:
    class Table:
        """A train split that only says what its columns are."""

        schema = TRAIN.schema

    entries = [entry(("city",), ("lower", True), ("hash", 10)), entry(("age",), ("clip", {"min": 0}), at=1)]
    fitted = fit_transforms(Table(), ("city", "age"), entries)
    assert outputs_of(fitted, TRAIN)["features"].shape == (4, 2)


def test_many_batches_of_train_rows_teach_what_one_does() -> None:
    draws = np.random.default_rng(3)
    rows = pa.table({"x": draws.normal(size=150_000), "w": draws.choice(["a b", "c", "a"], 150_000)})
    entries = [
        entry(("x",), ("clip", {"min": -1}), ("standardize", True)),
        entry(("w",), ("tokenize", {}), ("embed_index", {"max": 2, "min_rows": 1, "length": 2}), at=1),
    ]
    fitted = fit_transforms(rows, ("x", "w"), entries)
    clipped = np.maximum(rows["x"].to_numpy(), -1)
    assert fitted.learned[1]["mean"] == pytest.approx([clipped.mean()])
    assert fitted.learned[1]["sd"] == pytest.approx([clipped.std()])
    words = "  ".join(rows["w"].to_pylist()).split()
    assert (
        fitted.learned[3]["categories"] == sorted(set(words), key=lambda word: (-words.count(word), word))[:2]
    )
