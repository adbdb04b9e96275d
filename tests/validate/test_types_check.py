"""A column of another type than its schema's is told, in every direction, with the rows that show it."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.stream import tensor_array
from fiat.validate.model import ColumnSchema, ColumnType, Domain, ImageDomain
from tests.validate.judged import Case, dataset, judge, show_and_clear

INTS = pa.array([5, None, 7, 9])
FLOATS = pa.array([0.5, None, 7.0, 9.25])
BOOLS = pa.array([True, None, False, True])
TEXTS = pa.array(["a", None, "b", "c"])
BYTES = pa.array([b"a", None, b"b", b"c"])
DAYS = pa.array([date(2024, 1, 2), None, date(2024, 1, 3), date(2024, 1, 4)])
LISTS = pa.array([[1, 2], None, [3], [4, 5, 6]])
NESTED = pa.array([[[1]], None, [[2, 3]], [[4]]])
STRUCTS = pa.array([{"a": 1}, None, {"a": 2}, {"a": 3}])
TENSORS = tensor_array(np.arange(8.0).reshape(4, 2))


def typed(kind: ColumnType, **more: object) -> ColumnSchema:
    return ColumnSchema("x", type=kind, **more)  # type: ignore[arg-type]  # settings of a test


def case(kind: str, asked: ColumnType, wrong: pa.Array, right: pa.Array, value: object, says: str) -> Case:
    """A whole column of another type: every row with a value shows it."""
    rows = tuple(row + 1 for row in range(len(wrong)) if wrong[row].is_valid)
    return Case(kind, typed(asked), wrong, right, rows, value=value, says=says)


WHOLE = [
    case("not_bool", "bool", BYTES, BOOLS, "a", "expected bools, found bytes (binary)"),
    case("not_bool", "bool", pa.array([0.5, 2.5]), BOOLS, 0.5, "found numbers, none of them 0 or 1"),
    case("not_bool", "bool", pa.array([5, 7]), BOOLS, 5, "found whole numbers, none of them 0 or 1"),
    case("not_bool", "bool", TEXTS, BOOLS, "a", "expected bools, found texts"),
    case("not_bool", "bool", DAYS, BOOLS, "2024-01-02", "found dates or times (date32[day])"),
    case("not_int", "int", BOOLS, INTS, True, "expected whole numbers, found bools (bool)"),
    case("not_int", "int", BYTES, INTS, "a", "found bytes"),
    case("not_int", "int", DAYS, INTS, "2024-01-02", "found dates"),
    case("not_int", "int", STRUCTS, INTS, {"a": 1}, "found struct<a: int64>"),
    case("not_int", "int", pa.array([3.0, 4.0]), INTS, 3.0, "found numbers (double)"),
    case("not_int", "int", pa.array(["3", "-4"]), INTS, "3", "found them written as texts"),
    case("not_float", "float", BOOLS, FLOATS, True, "expected numbers, found bools"),
    case("not_float", "float", BYTES, FLOATS, "a", "found bytes"),
    case("not_float", "float", DAYS, INTS, "2024-01-02", "found dates"),
    case("not_float", "float", STRUCTS, FLOATS, {"a": 1}, "found struct"),
    case("not_float", "float", pa.array(["3.5", "1e3"]), INTS, "3.5", "found them written as texts"),
    case("not_text", "text", BYTES, TEXTS, "a", "expected texts, found bytes"),
    case("not_text", "text", BOOLS, TEXTS, True, "found bools"),
    case("not_text", "text", DAYS, TEXTS, "2024-01-02", "found dates"),
    case("not_text", "text", STRUCTS, TEXTS, {"a": 1}, "found struct"),
    case("text_now_int", "text", INTS, TEXTS, 5, "expected texts, found whole numbers (int64)"),
    case("text_now_float", "text", FLOATS, TEXTS, 0.5, "expected texts, found numbers (double)"),
    case("not_bytes", "bytes", TEXTS, BYTES, "a", "expected bytes, found texts"),
    case("not_bytes", "bytes", INTS, BYTES, 5, "found whole numbers"),
    case("not_time", "time", TEXTS, DAYS, "a", "expected dates or times, found texts"),
    case("not_time", "time", INTS, DAYS, 5, "found whole numbers"),
    case("not_list", "list", INTS, LISTS, 5, "expected lists, found whole numbers"),
    case("not_list", "list", TEXTS, LISTS, "a", "expected lists, found texts"),
    case("not_tensor", "tensor", INTS, TENSORS, 5, "expected tensors, found whole numbers"),
    case("not_tensor", "tensor", LISTS, TENSORS, [1, 2], "found lists"),
    case("not_image", "image", INTS, TENSORS, 5, "expected pictures, found whole numbers"),
    case(
        "unexpected_repeated", "int", LISTS, INTS, [1, 2], "expected whole numbers, found a list in each row"
    ),
    case("unexpected_repeated", "text", pa.array([["a"], ["b", "c"]]), TEXTS, ["a"], "found a list"),
    case("nested_values", "list", NESTED, LISTS, [[1]], "found lists of lists"),
]
PIXELS = tensor_array(np.zeros((2, 16, 16), np.uint8))


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_a_whole_column_of_another_type_is_told(case: Case, tmp_path: Path) -> None:
    if case.kind == "not_image":
        case = Case(**{**vars(case), "right": PIXELS})
    show_and_clear(case, tmp_path)


SOME = [
    Case(
        "not_int",
        typed("int"),
        pa.array([1.0, 2.5, None, float("nan")]),
        INTS,
        (2, 4),
        value=2.5,
        says="2 rows hold fractions",
    ),
    Case(
        "unparsable_int",
        typed("int"),
        pa.array(["1", "x", None, "2.5"]),
        INTS,
        (2, 4),
        value="x",
        says="2 rows are no whole number",
    ),
    Case(
        "unparsable_float",
        typed("float"),
        pa.array(["1.5", "1,5", None, "n/a"]),
        FLOATS,
        (2, 4),
        value="1,5",
        says="2 rows are no number",
    ),
    Case(
        "bool_above",
        typed("bool"),
        pa.array([0, 1, 2, None, 7]),
        pa.array([0, 1]),
        (3, 5),
        value=2,
        says="2 rows are above 1, the largest 7",
    ),
    Case(
        "bool_below",
        typed("bool"),
        pa.array([0, 1, -2, None]),
        pa.array([0, 1]),
        (3,),
        value=-2,
        says="1 row is below 0, the smallest -2",
    ),
    Case(
        "bool_other_text",
        typed("bool"),
        pa.array(["true", "yes", None, "false", "no"]),
        pa.array(["true", None, "false"]),
        (2, 5),
        value="yes",
        says="2 rows are neither 'true' nor 'false'",
    ),
    Case(
        "bool_other_float",
        typed("bool"),
        pa.array([0.0, 0.5, 1.0, float("nan")]),
        pa.array([0.0, 1.0]),
        (2, 4),
        value=0.5,
        says="2 rows are neither 0 nor 1",
    ),
    Case(
        "invalid_utf8",
        typed("text"),
        pa.array([b"a", b"\xff\xfe", None, "ä".encode("latin-1")]),
        TEXTS,
        (2, 4),
        value="\\xff\\xfe",
        says="2 rows are no UTF-8",
    ),
]


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_rows_that_are_not_of_the_type_are_named(case: Case, tmp_path: Path) -> None:
    show_and_clear(case, tmp_path)


def test_an_int_column_that_is_too_low_and_too_high_for_a_bool_shows_both(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1, 2, 3]), "x": pa.array([-1, 0, 2])})
    found = judge(folder, [ColumnSchema("id"), typed("bool")]).anomalies
    assert [(item.kind, item.examples[0].row) for item in found] == [("bool_above", 3), ("bool_below", 1)]


FITTING = [
    ("float", INTS),
    ("list", TENSORS),
    ("bytes", BYTES),
    ("text", pa.array(["a", "b"]).dictionary_encode().cast(pa.string())),
    ("tensor", PIXELS),
    ("bool", pa.array([1, 0, None])),
    ("int", pa.array([1, 2], pa.uint8())),
    ("time", pa.array([1, 2], pa.timestamp("us"))),
]


@pytest.mark.parametrize(("asked", "values"), FITTING)
def test_what_can_stand_for_a_type_is_of_it(asked: ColumnType, values: pa.Array, tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array(range(len(values))), "x": values})
    assert judge(folder, [ColumnSchema("id"), typed(asked)]).anomalies == ()


def test_values_of_another_type_are_not_held_against_the_rest_of_the_schema(tmp_path: Path) -> None:
    asked = typed("int", domain=Domain(min=0, max=1), min_present=1.0)
    folder = dataset(tmp_path / "d", {"id": pa.array([1, 2]), "x": pa.array(["9", None])})
    kinds = [item.kind for item in judge(folder, [ColumnSchema("id"), asked]).anomalies]
    assert kinds == ["present_share_low", "not_int"]


def test_bytes_where_pictures_are_expected_are_judged_as_pictures_only_when_asked(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1, 2]), "x": pa.array([b"a", b"b"])})
    assert [item.kind for item in judge(folder, [ColumnSchema("id"), typed("image")]).anomalies] == [
        "not_image"
    ]
    asked = typed("image", image=ImageDomain(min_supported=0.0))
    assert judge(folder, [ColumnSchema("id"), asked]).anomalies == ()
