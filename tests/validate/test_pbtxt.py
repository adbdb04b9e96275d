"""Schemas of TFX: what both can say comes over, what ours can't is told, faults have their line."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.errors import SpecErrors
from fiat.validate.model import ColumnSchema, Domain, ImageDomain, Limit
from fiat.validate.pbtxt import import_pbtxt
from fiat.validate.pbtxt_record import FEATURE_TYPES
from fiat.validate.schema_file import read_schema
from fiat.validate.schema_write import write_schema

RICH = (Path(__file__).parent / "tfx_schema.pbtxt").read_text(encoding="utf-8")
TAXI = Path(__file__).parents[3] / "shared" / "data" / "chicago-taxi" / "schema.pbtxt"
HOME = ("training", "serving")


def faults(text: str) -> list[str]:
    with pytest.raises(SpecErrors) as caught:
        read_schema(text, "s.pbtxt")
    return [str(error) for error in caught.value.errors]


def column_of(fields: str) -> ColumnSchema:
    return import_pbtxt(f'feature {{ name: "a" {fields} }}', "s.pbtxt").columns[0]


def test_all_that_both_can_say_comes_over():
    schema = import_pbtxt(RICH, "s.pbtxt")
    found = {column.name: column for column in schema.columns}
    assert (schema.min_rows, schema.max_rows) == (10, 1000)
    assert schema.environments == ("training", "serving", "SHADOW")
    assert found["city"] == ColumnSchema(
        name="city",
        type="text",
        min_present=0.5,
        min_count=1,
        domain=Domain(values=("Oslo", "København", 'a"bc'), mass=0.95),
        min_unique=2,
        max_unique=50,
        in_environments=HOME,
        drift=Limit("linf", 0.01),
        description="Where it was",
    )
    assert found["age"].domain == Domain(min=0, max=127)
    assert found["age"].skew == Limit("js", 0.01)
    assert not found["age"].required
    assert found["income"] == ColumnSchema(
        name="income",
        type="float",
        required=False,
        domain=Domain(min=-1.5),
        nan=False,
        inf=False,
        in_environments=HOME,
    )
    assert found["words"].type == "list"
    assert (found["words"].min_values, found["words"].max_values) == (1, 5)
    assert found["words"].domain.values == ("x", "y")
    assert (found["open"].min_values, found["open"].max_values) == (1, None)
    assert found["pixels"].shape == (28, 28)
    assert found["pixels"].type == "tensor"
    assert found["pixels"].required
    assert (found["one"].type, found["one"].shape) == ("int", None)
    assert found["photo"].image == ImageDomain(min_supported=0.9, max_bytes=1000)
    assert found["photo2"].image == ImageDomain(min_supported=0.0)
    assert (found["year"].type, found["year"].domain.min) == ("int", 1900)
    assert found["yes"].domain.values == ("no", "yes")
    assert found["flag"].domain.values == ("0", "1")
    assert (found["half"].domain.min, found["half"].domain.max) == (0, 1)
    assert found["truth"].type == "bool"
    assert found["label"].in_environments == ("training",)
    assert found["extra"].not_in_environments == HOME
    assert found["old"] == ColumnSchema(name="old", required=False)
    assert found["older"] == ColumnSchema(name="older", required=False)
    assert "derived" not in found
    assert found["live"].type == "int"
    assert (found["deep"].min_values, found["deep"].max_values) == (1, 3)
    assert read_schema(write_schema(schema), "s.yaml") == schema


def test_all_that_ours_cannot_say_is_told():
    assert set(import_pbtxt(RICH, "s.pbtxt").notes) == {
        "`city`: of the two distances of `drift_comparator` only infinity_norm is held",
        "`words`, `open`: that the values of its lists are BYTES is not held",
        "`half`: of its `bool_domain` only the range 0 to 1 is held",
        "`old`: it is deprecated: nothing is asked of it",
        "`older`: it is DEPRECATED: nothing is asked of it",
        "`derived`: it is derived for validation and no column of the data",
        "`tree`: its type is STRUCT: the fields within are not looked at",
        "`tree`: `struct_domain` is not held",
        "`deep`: of `value_counts` only the outermost level is held",
        "`deep`: that the values of its lists are INT is not held",
        "`deep`: `value_counts.value_count.min` is not held",
        "`city`: `annotation.tag` is not held",
        "`age`: `skew_comparator.jensen_shannon_divergence.source` is not held",
        "`income`: `float_domain.is_embedding` is not held",
        "`pixels`: `shape.dim.name` is not held",
        "`note`: `natural_language_domain` is not held: say `length` or `regex` where that is meant",
        "`when`: `time_domain` is not held",
        "`link`: `url_domain` is not held",
        "`seq`: `sequence_metadata` is not held",
        "`seq`: `drift_comparator.normalized_abs_difference` is not held: no such distance is measured",
        "`sparse`: a sparse_feature is not held: its columns are looked at one by one",
        "`weighted`: a weighted_feature is not held: its columns are looked at one by one",
        "`city`: `string_domain.is_categorical` is not held",
        "`lonely`: no feature uses this domain",
        "`represent_variable_length_as_ragged` is not held",
        "`tensor_representation_group` is not held",
        "`annotation` is not held",
        (
            "`dataset_constraints.num_examples_drift_comparator` is not held: say it in the spec as a check "
            "`rows: {change: ...}`"
        ),
    }
    assert import_pbtxt("newer_thing { a: 1 }", "s").notes == (
        "the field `newer_thing` in line 1 is not known",
    )


@pytest.mark.skipif(
    not TAXI.exists() and not os.environ.get("CI"),
    reason=f"{TAXI.name} of the taxi data is not beside the checkout",
)
def test_the_taxi_schema_of_tfx_comes_over_whole():
    schema = read_schema(TAXI.read_text(encoding="utf-8"), "schema.pbtxt")
    assert len(schema.columns) == 18
    assert schema.notes == ()
    company, tract = schema.column("company"), schema.column("pickup_census_tract")
    assert company is not None
    assert tract is not None
    assert company.type == "text"
    assert (company.required, company.min_present, company.min_count) == (True, None, 1)
    assert company.domain.values is not None
    assert len(company.domain.values) == 50
    assert company.domain.values[-1] == "Top Cab Affiliation"
    assert tract == ColumnSchema(name="pickup_census_tract", type="int", required=False)
    assert schema.column("tips") == ColumnSchema(name="tips", type="float", min_present=1.0, min_count=1)
    assert read_schema(write_schema(schema), "s.yaml") == schema


@pytest.mark.parametrize(
    ("head", "fields", "belongs"),
    [
        ("", 'in_environment: "SERVING"', (("serving",), ())),
        ("", 'not_in_environment: "SERVING"', ((), ("serving",))),
        ("", "", ((), ())),
        ('default_environment: "TRAINING"', 'in_environment: "SERVING"', ((), ())),
        ('default_environment: ["TRAINING", "LIVE"]', 'not_in_environment: "LIVE"', ((), ("LIVE",))),
        (
            'default_environment: "TRAINING"',
            'in_environment: "LIVE" not_in_environment: "TRAINING"',
            ((), ("training",)),
        ),
    ],
)
def test_a_column_belongs_where_tfx_says(head: str, fields: str, belongs: tuple):
    [column] = import_pbtxt(f'{head} feature {{ name: "a" {fields} }}', "s.pbtxt").columns
    assert (column.in_environments, column.not_in_environments) == belongs


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'a' \"b\"", "ab"),
        (r'"\x41\102\u00e6\U0001F600\n\t\'\"\\\?"', "ABæ😀\n\t'\"\\?"),
        (r'"\303\246"', "æ"),
        ("'# no comment' # a comment", "# no comment"),
        ("'a'\n  # between\n 'b'", "ab"),
    ],
)
def test_strings_are_read_as_protobuf_reads_them(written: str, value: str):
    column = column_of(f"type: BYTES string_domain {{ value: {written}\n }}")
    assert column.domain.values == (value,)


@pytest.mark.parametrize(
    ("written", "value"),
    [("-0x10", -16), ("017", 15), ("1.5e3", 1500.0), ("2f", 2.0), (".5", 0.5), ("-7", -7), ("-inf", None)],
)
def test_numbers_are_read_as_protobuf_reads_them(written: str, value: float | None):
    assert column_of(f"type: FLOAT float_domain {{ min: {written} }}").domain.min == value


def test_every_fault_is_told_at_once_with_its_line():
    text = """\
feature {
  name: "a"
  type: BITES
  presense { min_count: 1 }
}
feature { name: "a" }
feature {
  name: "b" type: FLOAT
  int_domain { min: 1 }
}
feature { name: "c" type: BYTES domain: "citty" }
feature { name: "d" type: INT int_domain { min: 5 max: 1 } }
feature { name: "e" presence { min_fraction: 1.5 min_count: -1 } type: INT type: INT }
feature { type: INT }
feature { name: "f" value_count { min: 1 } shape { } }
feature { name: 3 drift_comparator { infinity_norm { threshold: "x" } } }
feature { name: "g" drift_comparator { infinity_norm { threshold: 2 } } presence: 5 }
string_domain { name: "city" value: "x" }
string_domain { name: "city" }
dataset_constraints { min_examples_count: 9 max_examples_count: 1 }
"""
    assert faults(text) == [
        f"s.pbtxt:3:3: feature.type: expected one of {', '.join(FEATURE_TYPES)}, found `BITES` (did you mean `BYTES`?)",
        "s.pbtxt:4:3: feature.presense: unknown field `presense` (did you mean `presence`?)",
        "s.pbtxt:6:1: feature: the feature `a` is here twice",
        "s.pbtxt:9:3: feature.int_domain: `int_domain` does not fit the type FLOAT (it can have float_domain, bool_domain)",
        "s.pbtxt:11:33: feature.domain: unknown domain `citty` (did you mean `city`?)",
        "s.pbtxt:12:1: feature `d`: `min` 5 is more than `max` 1 (nothing could ever fit)",
        "s.pbtxt:13:32: feature.presence.min_fraction: expected a number from 0 to 1, found 1.5",
        "s.pbtxt:13:50: feature.presence.min_count: expected 0 or more, found -1",
        "s.pbtxt:13:76: feature.type: `type` is here twice",
        "s.pbtxt:14:1: feature: a feature has no name",
        "s.pbtxt:15:21: feature.value_count: `shape` and `value_count` are both said, one is allowed",
        "s.pbtxt:16:1: feature: a feature has no name",
        "s.pbtxt:16:11: feature.name: expected a string, found `3`",
        "s.pbtxt:16:54: feature.drift_comparator.infinity_norm.threshold: expected a number, found `x`",
        "s.pbtxt:17:1: feature `g`: `linf` is never above 1, `max` is 2",
        "s.pbtxt:17:73: feature.presence: expected a message in `{ }`, found `5`",
        "s.pbtxt:19:1: string_domain: the domain `city` is here twice",
        "s.pbtxt:20:1: dataset_constraints: `min_examples_count` 9 is more than `max_examples_count` 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("feature {\n  name: 'a", "s:2:9: a string does not end on its line"),
        ("feature {\n", "s:2:1: expected `}`, found the end of the file"),
        ("feature { name 'a' }", "s:1:16: expected `:` or `{`, found `'a'`"),
        ("feature < name: 'a' }", "s:1:21: expected the name of a field, found `}`"),
        ("}", "s:1:1: expected the name of a field, found `}`"),
        ("default_environment: ['a' 'b' 3]", "s:1:31: expected `,` or `]`, found `3`"),
        ("default_environment: ['a',]", "s:1:27: expected a value, found `]`"),
        (r"default_environment: '\q'", r"s:1:22: unknown escape `\q`"),
        (r"default_environment: '\377'", "s:1:22: the string is not UTF-8"),
        (r"default_environment: '\U00110000'", "s:1:22: there is no character U+110000"),
        ("a: @", "s:1:4: unexpected '@'"),
        ("[a.b", "s:1:5: expected `]` after the name of an extension"),
        ("a {" * 40, "s:1:99: nested deeper than 32 levels"),
        ("#" * (9 * 1024 * 1024), "s: the file has 9,437,184 bytes, at most 8,388,608 are read"),
    ],
)
def test_what_is_no_text_format_is_told_at_its_place(text: str, message: str):
    with pytest.raises(SpecErrors) as caught:
        import_pbtxt(text, "s")
    assert [str(error) for error in caught.value.errors] == [message]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_text_is_a_schema_or_located_errors(data: st.DataObject):
    start = data.draw(st.integers(0, len(RICH)))
    end = data.draw(st.integers(start, min(len(RICH), start + 20)))
    text = (
        RICH[:start]
        + data.draw(st.text(st.sampled_from("{}<>[]:;,.-'\"\\#x1e +\n"), max_size=8))
        + RICH[end:]
    )
    schema, lines = None, []
    try:
        schema = import_pbtxt(text, "s")
    except SpecErrors as errors:
        lines = [error.where.line if error.where else 0 for error in errors.errors]
    assert all(line > 0 for line in lines)
    if schema is not None:
        assert read_schema(write_schema(schema), "s.yaml") == schema
