"""A schema that can't be meant is told, whoever wrote it; the columns that it spoils are not checked further."""

from pathlib import Path

import pyarrow as pa
import pytest

from fiat.errors import SpecErrors
from fiat.validate.model import ColumnSchema, Domain, ImageDomain, Schema
from fiat.validate.schema_file import read_schema
from tests.validate.judged import dataset, judge

ID = ColumnSchema("id", type="int")


def asked(kind: str | None, name: str = "x", **more: object) -> ColumnSchema:
    return ColumnSchema(name, type=kind, **more)  # type: ignore[arg-type]  # settings of a test


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return dataset(tmp_path / "d", {"id": pa.array([1, 2]), "x": pa.array(["a", "b"])})


COLUMNS = [
    (
        "domain_invalid_for_type",
        asked("text", domain=Domain(min=0)),
        asked("text"),
        "`range` does not fit the type `text`",
    ),
    ("domain_invalid_for_type", asked("text", shape=(2,)), asked("text"), "`shape` does not fit"),
    (
        "domain_invalid",
        asked("text", domain=Domain(min_length=3, max_length=2)),
        asked("text", domain=Domain(min_length=1, max_length=2)),
        "`min` 3 is more than `max` 2",
    ),
    (
        "domain_invalid",
        asked("text", domain=Domain(values=("a", "b", "a"))),
        asked("text", domain=Domain(values=("a", "b"))),
        "listed twice",
    ),
    (
        "domain_invalid",
        asked("text", domain=Domain(regex="(")),
        asked("text", domain=Domain(regex="(a|b)")),
        "the pattern can't be used",
    ),
    (
        "domain_invalid",
        asked("text", domain=Domain(mass=0.5)),
        asked("text", domain=Domain(values=("a", "b"), mass=0.5)),
        "`mass` without `values`",
    ),
    (
        "schema_invalid",
        asked("text", min_present=1.5),
        asked("text", min_present=1.0),
        "`present.share` is 1.5, expected a share",
    ),
    (
        "schema_invalid",
        asked("text", min_unique=5, max_unique=2),
        asked("text", min_unique=2, max_unique=5),
        "is more than",
    ),
    (
        "schema_invalid",
        asked("text", not_in_environments=("nowhere",)),
        asked("text", not_in_environments=("serving",)),
        "unknown environment",
    ),
]


@pytest.mark.parametrize(("kind", "wrong", "right", "says"), COLUMNS)
def test_what_is_said_of_a_column_must_be_possible(
    kind: str, wrong: ColumnSchema, right: ColumnSchema, says: str, folder: Path
) -> None:
    (found,) = judge(folder, [ID, wrong]).anomalies
    assert (found.kind, found.column, found.severity) == (kind, "x", "error")
    assert says in found.message
    assert found.key.startswith("columns.x.")
    assert judge(folder, [ID, right]).anomalies == ()


def test_bools_are_true_and_false(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1, 2]), "x": pa.array([True, None])})
    wrong = asked("bool", domain=Domain(values=("true", "yes")))
    (found,) = judge(folder, [ID, wrong]).anomalies
    assert (found.kind, found.column) == ("bool_domain_invalid", "x")
    assert "expected `true` or `false`" in found.message
    assert judge(folder, [ID, asked("bool", domain=Domain(values=("true", "false")))]).anomalies == ()


def test_a_column_of_the_schema_has_a_name(folder: Path) -> None:
    (found,) = judge(folder, [ID, asked("text"), ColumnSchema("", required=False)]).anomalies
    assert (found.kind, found.message) == ("column_unnamed", "column 3 of the schema has no name")
    assert judge(folder, [ID, asked("text"), asked("int", "other", required=False)]).anomalies == ()


def test_limits_without_a_type_are_a_warning(folder: Path) -> None:
    (found,) = judge(folder, [ID, asked(None, domain=Domain(values=("a", "b")))]).anomalies
    assert (found.kind, found.column, found.severity) == ("type_missing", "x", "warn")
    assert judge(folder, [ID, asked("text", domain=Domain(values=("a", "b")))]).anomalies == ()
    assert judge(folder, [ID, asked(None)]).anomalies == ()


def test_limits_that_the_data_do_not_have_are_told_where_no_type_is_said(folder: Path) -> None:
    found = judge(folder, [ID, asked(None, domain=Domain(max=3))]).anomalies
    assert [(item.kind, item.severity) for item in found] == [
        ("domain_invalid_for_type", "error"),
        ("type_missing", "warn"),
    ]
    assert "found text (string)" in found[0].message


WHOLE = [
    (Schema((ID, asked("text"), asked("text"))), Schema((ID, asked("text"))), "says 2 times"),
    (Schema((ID, asked("text")), label="y"), Schema((ID, asked("text")), label="x"), "the label 'y' is no column"),
    (Schema((ID, asked("text")), 3, 1), Schema((ID, asked("text")), 1, 3), "3 or more and 1 or fewer rows"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "right", "says"), WHOLE)
def test_a_schema_must_not_contradict_itself(wrong: Schema, right: Schema, says: str, folder: Path) -> None:
    first = judge(folder, wrong).anomalies[0]
    assert first.kind == "schema_invalid"
    assert says in first.message
    assert judge(folder, right).anomalies == ()


def test_the_share_of_pictures_is_a_share(folder: Path) -> None:
    wrong = asked("image", image=ImageDomain(min_supported=2), required=False)
    kinds = [item.kind for item in judge(folder, [ID, wrong]).anomalies]
    assert "schema_invalid" in kinds


def test_a_schema_file_that_can_not_be_meant_is_refused_before_any_data() -> None:
    text = "fiat_schema: 1\ncolumns:\n  age: {type: int, range: {min: 9, max: 1}}\n"
    with pytest.raises(SpecErrors) as refused:
        read_schema(text, "schema.yaml")
    assert "schema.yaml:3:" in str(refused.value)
