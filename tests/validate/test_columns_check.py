"""Columns that are missing or new, rows without a value, lists and tensors of another size, values that repeat."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.stream import tensor_array
from fiat.validate.model import ColumnSchema, ColumnsRule, Say, Severity
from tests.validate.judged import BY_PART, Case, dataset, judge, show_and_clear

ID = ColumnSchema("id", type="int")


def asked(kind: str | None, **more: object) -> ColumnSchema:
    return ColumnSchema("x", type=kind, **more)  # type: ignore[arg-type]  # settings of a test


EMPTY = pa.array([None, None], pa.int64())
LISTS = pa.array([[1], None, [2, 3], [4, 5, 6]])
CASES = [
    Case(
        "column_empty",
        asked("int"),
        EMPTY,
        pa.array([1, None]),
        (1, 2),
        says="none of 2 rows has a value",
    ),
    Case(
        "no_values",
        asked("list"),
        pa.array([[], None, []], pa.list_(pa.int64())),
        pa.array([[], [1]]),
        (1, 3),
        value=[],
        says="all lists of 2 rows are empty",
    ),
    Case(
        "present_share_low",
        asked("int", min_present=0.5),
        pa.array([None, 1, None]),
        pa.array([None, 1]),
        (1, 3),
        says="2 rows have no value: 0.3333 of the rows have one, expected 0.5",
    ),
    Case(
        "present_count_low",
        asked("int", min_count=3),
        pa.array([1, None, 2]),
        pa.array([1, None, 2, 3]),
        (2,),
        says="2 rows have a value, expected 3",
    ),
    Case(
        "too_few_values",
        asked("list", min_values=2),
        LISTS,
        pa.array([[1, 2], None]),
        (1,),
        value=[1],
        says="1 row holds fewer than 2 values, the fewest 1",
    ),
    Case(
        "too_many_values",
        asked("list", max_values=2),
        LISTS,
        pa.array([[1, 2], None]),
        (4,),
        value=[4, 5, 6],
        says="1 row holds more than 2 values, the most 3",
    ),
    Case(
        "too_many_values",
        asked("list", max_values=2),
        tensor_array(np.ones((2, 3))),
        tensor_array(np.ones((2, 2))),
        (1, 2),
        value={"shape": "3", "first": [1.0, 1.0, 1.0]},
    ),
    Case(
        "shape_mismatch",
        asked("tensor", shape=(2, None)),
        tensor_array(np.ones((1, 3, 2))),
        tensor_array(np.ones((1, 2, 5))),
        (1,),
        value={"shape": "3x2", "first": [1.0] * 6},
        says="the shape is 3x2, expected 2xany",
    ),
    Case(
        "shape_mismatch",
        asked("tensor", shape=(4,)),  # an embedding
        tensor_array(np.zeros((2, 3), np.float32)),
        tensor_array(np.zeros((2, 4), np.float32)),
        (1, 2),
        value={"shape": "3", "first": [0.0, 0.0, 0.0]},
        says="the shape is 3, expected 4",
    ),
    Case(
        "shape_mismatch",
        asked("tensor", shape=(2,)),
        LISTS,
        pa.array([[1, 2], None]),
        (1, 4),
        value=[1],
        says="2 rows hold another number of values (1 to 3) than 2",
    ),
    Case(
        "shape_mismatch",
        asked("image", shape=(16, 16)),
        tensor_array(np.zeros((1, 16, 17), np.uint8)),
        tensor_array(np.zeros((1, 16, 16), np.uint8)),
        (1,),
        value={"shape": "16x17", "first": [0] * 10},
    ),
    Case(
        "not_unique",
        asked("text", unique=True),
        pa.array(["a", "b", None, "a", None]),
        pa.array(["a", "b", None, None]),
        (1, 4),
        value="a",
        says="2 rows share their values with others: 2 different values in 3 rows, expected no value twice",
    ),
    Case(
        "too_few_distinct",
        asked("text", min_unique=3),
        pa.array(["a", "b", "a"]),
        pa.array(["a", "b", "c"]),
        says="2 different values, expected at least 3",
    ),
    Case(
        "too_many_distinct",
        asked("int", max_unique=2),
        pa.array([1, 2, 3]),
        pa.array([1, 2, 2]),
        says="3 different values, expected at most 2",
    ),
    Case(
        "distinct_not_counted",
        asked("list", max_unique=2),
        LISTS,
        pa.array([None], pa.list_(pa.int64())),
        says="different rows of a list column are not counted",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_lacks_repeats_or_has_another_size_is_told(case: Case, tmp_path: Path) -> None:
    if case.kind == "distinct_not_counted":
        case = Case(**{**vars(case), "asked": asked("list", max_unique=2, required=False)})
    show_and_clear(case, tmp_path)


def test_a_missing_column_is_told_once_for_all_splits(tmp_path: Path) -> None:
    columns = {"id": pa.array([1, 2, 3]), "part": pa.array(["train", "eval", "test"])}
    folder = dataset(tmp_path / "d", columns, rule=BY_PART)
    known = [ID, ColumnSchema("part")]
    (found,) = judge(folder, [*known, asked("int")]).anomalies
    assert (found.kind, found.column, found.split) == ("column_missing", "x", "")
    assert (found.severity, found.n_rows, found.key) == ("error", 0, "columns.x.required")
    assert judge(folder, [*known, asked("int", required=False)]).anomalies == ()
    assert judge(folder, known).anomalies == ()


def test_a_new_column_is_told_with_its_type(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1]), "y": pa.array(["a"])})
    (found,) = judge(folder, [ID]).anomalies
    assert (found.kind, found.column, found.severity) == ("column_new", "y", "error")
    assert "(string)" in found.message
    assert judge(folder, [ID, ColumnSchema("y")]).anomalies == ()


def test_without_a_schema_no_column_is_new(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1])})
    assert judge(folder, [], [ColumnsRule()]).anomalies == ()


@pytest.mark.parametrize(
    ("say", "own", "expected"),
    [
        ("error", "error", "error"),
        ("warn", "error", "warn"),
        ("error", "warn", "warn"),
        ("ignore", "error", None),
    ],
)
def test_the_rule_and_the_column_say_how_bad_a_missing_one_is(
    say: Say, own: Severity, expected: Severity | None, tmp_path: Path
) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1])})
    found = judge(folder, [ID, asked("int", severity=own)], [ColumnsRule(missing=say)]).anomalies
    assert [item.severity for item in found] == ([expected] if expected else [])


@pytest.mark.parametrize("say", ["error", "warn", "ignore"])
def test_the_rule_says_how_bad_a_new_column_is(say: Say, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1]), "y": pa.array(["a"])})
    found = judge(folder, [ID], [ColumnsRule(unexpected=say, key="checks[0]")]).anomalies
    assert [(item.severity, item.key) for item in found] == (
        [] if say == "ignore" else [(say, "checks[0].columns.unexpected")]
    )


@pytest.mark.parametrize(
    "column",
    [asked("int", not_in_environments=("serving",)), asked("int", in_environments=("training",))],
)
def test_a_column_of_another_environment_is_neither_asked_for_nor_new(
    column: ColumnSchema, tmp_path: Path
) -> None:
    without = dataset(tmp_path / "without", {"id": pa.array([1])})
    assert judge(without, [ID, column], environment="serving").anomalies == ()
    assert [item.kind for item in judge(without, [ID, column]).anomalies] == ["column_missing"]
    wrong = dataset(tmp_path / "with", {"id": pa.array([1]), "x": pa.array(["a"])})
    assert judge(wrong, [ID, column], environment="serving").anomalies == ()


def test_an_empty_column_that_nothing_is_asked_of_is_no_anomaly(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1, 2]), "x": EMPTY})
    assert judge(folder, [ID, asked(None)]).anomalies == ()
    assert judge(folder, [ID, asked("int", required=False)]).anomalies == ()
    (found,) = judge(folder, [ID, asked(None, min_count=1)]).anomalies
    assert (found.kind, found.n_rows) == ("column_empty", 2)


def test_where_distinct_values_are_an_estimate_rows_decide(tmp_path: Path) -> None:
    n = 30_000  # more than a profile tracks
    unique = dataset(tmp_path / "unique", {"id": pa.array(range(n)), "x": pa.array(range(n))})
    assert judge(unique, [ID, asked("int", unique=True, min_unique=n, max_unique=n)]).anomalies == ()
    values = np.arange(n)
    values[n - 1] = 7
    twice = dataset(tmp_path / "twice", {"id": pa.array(range(n)), "x": pa.array(values)})
    found = judge(twice, [ID, asked("int", unique=True, min_unique=n)]).anomalies
    assert [(item.kind, item.n_rows) for item in found] == [("not_unique", 2), ("too_few_distinct", 0)]
    assert [item.row for item in found[0].examples] == [8, n]
    assert found[1].value == n - 1
