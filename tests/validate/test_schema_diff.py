"""What changed between two schemas, in sentences, and whether it may break."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.validate.model import ColumnSchema, Domain, ImageDomain, Limit, Schema
from fiat.validate.schema_diff import Change, by_column, diff_schemas
from fiat.validate.schema_file import read_schema


def changed(before: str, after: str) -> list[tuple[str, bool]]:
    old, new = (
        read_schema(f"fiat_schema: 1\ncolumns: {{a: {{{text}}}}}", "s.yaml") for text in (before, after)
    )
    return [(change.sentence, change.breaking) for change in diff_schemas(old, new)]


@pytest.mark.parametrize(
    ("before", "after", "sentence", "breaking"),
    [
        ("type: int", "type: float", "`type` of `a` was int and is float now", False),
        ("type: float", "type: int", "`type` of `a` was float and is int now", True),
        ("type: int", "", "`type` of `a` was int and is any now", False),
        ("required: false", "", "`required` of `a` was false and is true now", True),
        ("present: {share: 0.9}", "present: {share: 0.5}", "`present.share` of `a` was 0.9 and is 0.5 now", False),
        ("present: {share: 0.5}", "present: {share: 0.9}", "`present.share` of `a` was 0.5 and is 0.9 now", True),
        ("", "present: {count: 5}", "`present.count` of `a` is new: 5", True),
        ("present: {count: 5}", "", "`present.count` of `a` is no longer asked for, it was 5", False),
        ("range: {min: 0}", "range: {min: -1000}", "`range.min` of `a` was 0 and is -1,000 now", False),
        ("range: {max: 9}", "range: {max: 8.5}", "`range.max` of `a` was 9 and is 8.5 now", True),
        ("length: {max: 9}", "length: {max: 10}", "`length.max` of `a` was 9 and is 10 now", False),
        ("per_row: {min: 1}", "per_row: {min: 2}", "`per_row.min` of `a` was 1 and is 2 now", True),
        ("distinct: {max: 1}", "distinct: {max: 2}", "`distinct.max` of `a` was 1 and is 2 now", False),
        ("values: [x, z]", "values: [x, z, w]", "`values` of `a` now also has `w`", False),
        ("values: [x, z]", "values: [z]", "`values` of `a` no longer has `x`", True),
        ("values: [x]", "", "`values` of `a` is no longer asked for, it was `x`", False),
        ("", "values: [x]", "`values` of `a` is new: `x`", True),
        ("{values: [x], mass: 0.9}", "values: [x]", "`mass` of `a` was 0.9 and is 1 now", True),
        ("regex: x", "regex: z", "`regex` of `a` was x and is z now", True),
        ("shape: [2, 3]", "shape: [2, any]", "`shape` of `a` was [2, 3] and is [2, any] now", False),
        ("shape: [2, any]", "shape: [2, 3]", "`shape` of `a` was [2, any] and is [2, 3] now", True),
        ("unique: true", "", "`unique` of `a` was true and is false now", False),
        ("", "nan: false", "`nan` of `a` was true and is false now", True),
        ("", "inf: false", "`inf` of `a` was true and is false now", True),
        ("", "image: {formats: [png]}", "`image` of `a` is new: pictures", True),
        ("not_in: [serving]", "", "`not_in` of `a` is no longer asked for, it was `serving`", True),
        ("", "drift: {metric: js, max: 0.1}", "`drift` of `a` is new: js up to 0.1", True),
        ("severity: warn", "", "`severity` of `a` was warn and is error now", True),
        ("description: b", "description: c", "`description` of `a` was b and is c now", False),
    ],
)  # fmt: skip
def test_a_change_is_said_in_a_sentence(before: str, after: str, sentence: str, breaking: bool):
    assert changed(before.strip("{}") if ", mass" in before else before, after) == [(sentence, breaking)]


def test_another_distance_may_break_and_a_higher_limit_does_not():
    js, ks = "skew: {metric: js, max: 1}", "skew: {metric: ks, max: 1}"
    assert changed(js, ks) == [("`skew` of `a` was js up to 1 and is ks up to 1 now", True)]
    low = "skew: {metric: js, max: 0.5}"
    assert changed(low, js) == [("`skew` of `a` was js up to 0.5 and is js up to 1 now", False)]
    assert changed(js, low) == [("`skew` of `a` was js up to 1 and is js up to 0.5 now", True)]


def test_columns_come_and_go_and_change_places():
    a, b, c = (ColumnSchema(name, "int") for name in "abc")
    assert [change.sentence for change in diff_schemas(Schema((a, b)), Schema((c, b)))] == [
        "`c` is new: int, required",
        "`a` is gone",
    ]
    assert diff_schemas(Schema((a, b)), Schema((b, a))) == (
        Change("", "columns", "`a`, `b`", "`b`, `a`", False, "the order of the columns changed"),
    )
    optional = replace(c, type=None, required=False)
    assert [change.breaking for change in diff_schemas(Schema((a,)), Schema((a, optional)))] == [False]


def test_the_dataset_itself_changes():
    old = Schema((), min_rows=100, label="a")
    new = Schema((), min_rows=50, max_rows=2000, environments=("training", "edge"))
    assert [change.sentence for change in diff_schemas(old, new)] == [
        "`rows.min` was 100 and is 50 now",
        "`rows.max` is new: 2,000",
        "`label` is no longer asked for, it was a",
        "`environments` no longer has `serving`",
        "`environments` now also has `edge`",
    ]


def test_of_many_values_the_first_ten_are_named():
    old = Schema((ColumnSchema("a", "text", domain=Domain(values=tuple("xyz"))),))
    new = Schema((ColumnSchema("a", "text", domain=Domain(values=tuple("xyzabcdefghijkl"))),))
    [change] = diff_schemas(old, new)
    assert change.after == "`a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j` and 2 more"


def test_pictures_change():
    old = ImageDomain(("png",), min_supported=1.0, max_bytes=100)
    new = ImageDomain(("png", "jpeg"), min_supported=0.9, max_bytes=50)
    schemas = [Schema((ColumnSchema("p", "image", image=image),)) for image in (old, new)]
    assert [(change.what, change.breaking) for change in diff_schemas(*schemas)] == [
        ("image.formats", False),
        ("image.supported", False),
        ("image.max_bytes", True),
    ]
    assert [change.breaking for change in diff_schemas(*reversed(schemas))] == [True, True, False]


bounds = st.none() | st.integers(0, 3)
columns = st.builds(
    ColumnSchema,
    name=st.sampled_from("abc"),
    type=st.sampled_from([None, "int", "float"]),
    required=st.booleans(),
    min_present=st.sampled_from([None, 0.5, 1.0]),
    domain=st.builds(Domain, min=bounds, max=bounds, values=st.sampled_from([None, ("1",), ("1", "2")])),
    min_values=bounds,
    max_unique=bounds,
    nan=st.booleans(),
    drift=st.sampled_from([None, Limit("js", 0.1), Limit("linf", 0.1)]),
)
schemas = st.builds(
    Schema,
    st.lists(columns, max_size=3, unique_by=lambda column: column.name).map(tuple),
    min_rows=bounds,
    label=st.sampled_from([None, "a"]),
)


@settings(max_examples=200, deadline=None)
@given(schemas, schemas)
def test_schemas_differ_in_something_that_is_told_or_are_the_same(old: Schema, new: Schema):
    assert (diff_schemas(old, new) == ()) == (old == new)
    forth, back = by_column(diff_schemas(old, new)), by_column(diff_schemas(new, old))
    assert forth.keys() == back.keys()
