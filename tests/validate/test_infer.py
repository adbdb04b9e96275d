"""A schema inferred from data holds on that data, and not on data that are otherwise."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiat.profile.measure import profile_batches
from fiat.profile.model import ColumnProfile, DataProfile, Images, Profile
from fiat.validate.check import find_anomalies
from fiat.validate.infer import infer_schema
from fiat.validate.model import ColumnSchema, Domain, ImageDomain, Schema
from fiat.validate.schema_file import read_schema
from fiat.validate.schema_write import write_schema


def measured(label: str | None = None, **splits: pa.Table) -> DataProfile:
    profiles = tuple(profile_batches(table.to_batches(), split=name) for name, table in splits.items())
    return DataProfile(profiles, label)


def kinds(schema: Schema, data: DataProfile) -> set[tuple[str, str, str]]:
    found = find_anomalies(None, data, schema, [], {}).anomalies
    return {(item.kind, item.column, item.split) for item in found}


TRAIN = pa.table(
    {
        "city": ["Oslo", "Bergen"] * 20,
        "id": [f"user {index}" for index in range(40)],
        "age": [*range(39), None],
        "fare": [float(index) for index in range(40)],
        "odd": [float("nan"), float("inf"), 1.0, 2.0] * 10,
        "tags": [["a"], ["a", "b"]] * 20,
        "pair": [[1.0, 2.0], [3.0, 4.0]] * 20,
        "seen": [True, False] * 20,
        "at": [dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)] * 40,
        "nothing": pa.nulls(40, pa.int64()),
        "grey": pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((40, 3, 2), np.float32)),
        "nested": [{"a": 1}] * 40,
        "deep": [[[1]]] * 40,
    }
)


def test_a_schema_says_what_held_and_no_more():
    schema = infer_schema(measured(label="seen", train=TRAIN, eval=TRAIN.slice(0, 3)))
    assert schema.label == "seen"
    assert schema.columns == (
        ColumnSchema("city", "text", min_present=1.0, min_count=1, domain=Domain(values=("Bergen", "Oslo"))),
        ColumnSchema("id", "text", min_present=1.0, min_count=1),
        ColumnSchema("age", "int", min_count=1),
        ColumnSchema("fare", "float", min_present=1.0, min_count=1, nan=False, inf=False),
        ColumnSchema("odd", "float", min_present=1.0, min_count=1),
        ColumnSchema("tags", "list", min_present=1.0, min_count=1, min_values=1),
        ColumnSchema(
            "pair", "list", min_present=1.0, min_count=1, min_values=2, max_values=2, nan=False, inf=False
        ),
        ColumnSchema("seen", "bool", min_present=1.0, min_count=1, not_in_environments=("serving",)),
        ColumnSchema("at", "time", min_present=1.0, min_count=1),
        ColumnSchema("nothing", None, required=False),
        ColumnSchema("grey", "tensor", min_present=1.0, min_count=1, shape=(3, 2), nan=False, inf=False),
        ColumnSchema("nested", None, min_present=1.0, min_count=1),
        ColumnSchema("deep", None, min_present=1.0, min_count=1),
    )
    assert kinds(schema, measured(train=TRAIN)) == set()


def test_ranges_are_asked_for_on_demand():
    schema = infer_schema(measured(train=TRAIN), ranges=True)
    found = {column.name: column for column in schema.columns}
    assert found["age"].domain == Domain(min=0, max=38)
    assert found["fare"].domain == Domain(min=0, max=39)
    assert found["odd"].domain == Domain(min=1, max=None)  # there was an infinity
    assert found["at"].domain == Domain(min=1577880000, max=1577880000)
    assert (found["tags"].min_values, found["tags"].max_values) == (1, 2)
    assert kinds(schema, measured(train=TRAIN)) == set()


def test_unseen_data_violate_what_was_inferred():
    changed = TRAIN.slice(0, 4).to_pydict()
    changed |= {"city": ["Oslo", "Paris", "Oslo", "Oslo"], "fare": [1.0, float("nan"), float("-inf"), 1.0]}
    changed |= {
        "id": [None, "a", "b", "c"],
        "tags": [["a"], [], ["a"], ["a"]],
        "seen": [1.5, 0, 1, 1],
        "more": [1] * 4,
    }
    changed |= {"grey": [[0.0]] * 4}
    del changed["age"]
    data = measured(train=TRAIN, eval=pa.table(changed))
    assert {(kind, column) for kind, column, split in kinds(infer_schema(data), data) if split == "eval"} == {
        ("unexpected_values", "city"),
        ("has_nan", "fare"),
        ("has_inf", "fare"),
        ("present_share_low", "id"),
        ("too_few_values", "tags"),
        ("bool_other_float", "seen"),
        ("column_new", "more"),
        ("column_missing", "age"),
        ("shape_mismatch", "grey"),
    }


def test_the_train_split_decides_or_else_the_only_rows():
    other = pa.table({"city": ["Paris"] * 40})
    by_train = infer_schema(measured(eval=other, train=TRAIN.select(["city"])))
    assert by_train.columns[0].domain.values == ("Bergen", "Oslo")
    assert infer_schema(measured(eval=other)).columns[0].domain.values == ("Paris",)
    assert infer_schema(DataProfile(())).columns == ()
    assert infer_schema(DataProfile((), label="tips")).label is None


@pytest.mark.parametrize(
    ("n_values", "each", "is_category"), [(100, 4, True), (101, 4, False), (10, 3, False)]
)
def test_few_texts_each_seen_several_times_are_a_category(n_values: int, each: int, is_category: bool):
    table = pa.table({"c": [f"{index}" for index in range(n_values)] * each})
    values = infer_schema(measured(train=table)).columns[0].domain.values
    assert (values is not None) == is_category


def test_a_column_with_hardly_a_value_may_have_none_elsewhere():
    rare = pa.table({"a": [1, *[None] * 999], "b": [*range(10), *[None] * 990]})
    schema = infer_schema(measured(train=rare))
    assert [column.min_count for column in schema.columns] == [None, 1]
    assert "# train: 1,000 rows, over 99.9 % missing, 1 different" not in write_schema(schema)
    rarer = measured(train=pa.table({"a": [1, *[None] * 1999]}))
    assert "# train: 2,000 rows, over 99.9 % missing, 1 different" in write_schema(schema, rarer)


def test_a_split_without_rows_asks_nothing():
    columns = (ColumnProfile("a", "empty", "int64", 0), ColumnProfile("b", "empty", "string", 0))
    data = DataProfile((Profile(0, columns, "train"),))
    assert infer_schema(data).columns == (
        ColumnSchema("a", None, required=False),
        ColumnSchema("b", None, required=False),
    )


def test_pictures_are_asked_for_their_formats():
    images = Images(n=1000, formats={"png": 990, "jpeg": 7, "unsupported": 3}, max_bytes=10)
    column = ColumnProfile("p", "image", "binary", 1000, images=images)
    [asked] = infer_schema(DataProfile((Profile(1000, (column,), "train"),))).columns
    assert asked.image == ImageDomain(formats=("jpeg", "png"), min_supported=0.997)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
moments = st.datetimes(timezones=st.just(dt.UTC))
TYPES: list[tuple[pa.DataType, st.SearchStrategy]] = [
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint8(), st.integers(0, 255)),
    (pa.float64(), st.floats()),
    (pa.float32(), st.floats(width=32)),
    (pa.bool_(), st.booleans()),
    (pa.string(), texts),
    (pa.string(), st.sampled_from(["no", "1", "a b"])),
    (pa.binary(), st.binary(max_size=4)),
    (pa.timestamp("us"), moments),
    (pa.date32(), moments.map(dt.datetime.date)),
    (pa.list_(pa.int64()), st.lists(st.integers(-9, 9), max_size=3)),
    (pa.list_(pa.string()), st.lists(texts, max_size=3)),
    (pa.list_(pa.float64()), st.lists(st.floats(), min_size=2, max_size=2)),
    (pa.list_(pa.float32(), 2), st.lists(st.floats(width=32), min_size=2, max_size=2)),
    (pa.struct([("a", pa.int64())]), st.fixed_dictionaries({"a": st.integers(0, 9)})),
]


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    n_rows = draw(st.integers(1, 30))
    columns = {}
    for index in range(draw(st.integers(1, 4))):
        kind, values = draw(st.sampled_from(TYPES))
        values = draw(st.sampled_from([values, st.none() | values]))
        columns[f"c{index}"] = pa.array(draw(st.lists(values, min_size=n_rows, max_size=n_rows)), kind)
    return pa.table(columns)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), st.booleans())
def test_what_is_inferred_holds_on_the_very_data(table: pa.Table, ranges: bool):
    data = measured(label="c0", train=table)
    schema = infer_schema(data, ranges=ranges)
    assert kinds(schema, data) == set()
    assert read_schema(write_schema(schema, data), "s.yaml") == schema
