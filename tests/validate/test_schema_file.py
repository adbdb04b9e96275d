"""Schemas as YAML: read with every fault at its place, written so that the same comes back."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiat.errors import SpecError, SpecErrors
from fiat.profile.model import ColumnProfile, DataProfile, Numbers, Profile
from fiat.validate.model import ColumnSchema, Domain, ImageDomain, Limit, Schema
from fiat.validate.schema_file import read_schema
from fiat.validate.schema_words import ASKED_OF, IMAGE_FORMATS, METRICS_TO_ONE, NUMBER_METRICS, TYPES, choices
from fiat.validate.schema_write import write_schema

FULL = """\
fiat_schema: 1
label: tips
rows: {min: 100, max: 1000000}
environments: [training, serving]
columns:
  company:
    type: text
    present: {share: 0.9, count: 1}
    values: [A, B, "no", "1"]
    mass: 0.95
    regex: "[A-Z]|no|[0-9]+"
    length: {min: 1, max: 40}
    drift: {metric: linf, max: 0.01}
    severity: warn
    description: who drove
  tips:
    type: float
    range: {min: 0, max: 10.5}
    nan: false
    inf: false
    not_in: [serving]
    skew: {metric: js, max: 1e-2}
  when: {type: time, required: false, range: {min: 2020-01-31, max: "2021-06-01T12:30:00+02:00"}}
  codes: {type: list, per_row: {min: 1, max: 3}}
  grey: {type: tensor, shape: [28, any]}
  photo:
    type: image
    image: {formats: [png, jpeg], supported: 0.99, width: {min: 8, max: 64}, height: {max: 32}, max_bytes: 100000}
  id: {type: int, unique: true, distinct: {min: 10}, values: [-1, 2, 18446744073709551615], environments: [training]}
  anything: {}
"""


def faults(text: str) -> list[str]:
    with pytest.raises(SpecErrors) as caught:
        read_schema(text, "s.yaml")
    return [str(error) for error in caught.value.errors]


def in_column(lines: str) -> list[str]:
    return faults(f"fiat_schema: 1\ncolumns:\n  a:\n    {lines}\n")


def test_every_key_of_a_schema_is_read():
    schema = read_schema(FULL, "s.yaml")
    columns = {column.name: column for column in schema.columns}
    assert (schema.label, schema.min_rows, schema.max_rows) == ("tips", 100, 1_000_000)
    assert columns["company"] == ColumnSchema(
        name="company",
        type="text",
        min_present=0.9,
        min_count=1,
        domain=Domain(
            values=("A", "B", "no", "1"), mass=0.95, regex="[A-Z]|no|[0-9]+", min_length=1, max_length=40
        ),
        drift=Limit("linf", 0.01),
        severity="warn",
        description="who drove",
    )
    assert columns["tips"] == ColumnSchema(
        name="tips",
        type="float",
        domain=Domain(min=0, max=10.5),
        nan=False,
        inf=False,
        not_in_environments=("serving",),
        skew=Limit("js", 0.01),
    )
    assert columns["when"].domain == Domain(min=1580428800, max=1622543400)
    assert not columns["when"].required
    assert (columns["codes"].min_values, columns["codes"].max_values) == (1, 3)
    assert columns["grey"].shape == (28, None)
    assert columns["photo"].image == ImageDomain(("png", "jpeg"), 0.99, 8, 64, None, 32, 100_000)
    assert columns["id"].domain.values == ("-1", "2", "18446744073709551615")
    assert columns["id"].unique
    assert columns["id"].min_unique == 10
    assert columns["id"].in_environments == ("training",)
    assert columns["anything"] == ColumnSchema(name="anything")


def test_every_fault_of_a_file_is_told_at_once_and_at_its_place():
    text = (
        "fiat_schema: 1\nlable: a\ncolumns:\n  a: {type: string}\n  b:\n    type: int\n    rnge: {min: 1}\n"
        "    present: {share: 2}\n  a: {}\n"
    )
    assert faults(text) == [
        "s.yaml:2:1: lable: unknown key `lable` (did you mean `label`?)",
        f"s.yaml:4:13: columns.a.type: expected {choices(TYPES)}, found `string` (did you mean `text`?)",
        "s.yaml:7:5: columns.b.rnge: unknown key `rnge` (did you mean `range`?)",
        "s.yaml:8:22: columns.b.present.share: expected a number from 0 to 1, found `2`",
        "s.yaml:9:3: a: the key `a` is here twice (the first is in line 4)",
    ]


@pytest.mark.parametrize(
    ("item", "taken"),
    [
        ("no", "true or false"),
        ("Yes", "true or false"),
        ("on", "true or false"),
        ("true", "true or false"),
        ("12", "a number"),
        ("1e3", "a number"),
        ("1_000", "a number"),
        ("0x1F", "a number"),
        ("010", "a number"),
        ("1:30", "a number"),
        (".inf", "a number"),
        ("2020-01-31", "a date"),
        ("null", "nothing"),
        ("~", "nothing"),
    ],
)
def test_text_that_yaml_takes_for_something_else_asks_for_quotes(item: str, taken: str):
    [error] = in_column(f"{{type: text, values: [A, {item}]}}")
    assert error.startswith("s.yaml:4:30: columns.a.values[1]: expected text, found ")
    assert f'YAML takes it for {taken}: quote it: "{item}"' in error


@pytest.mark.parametrize(
    "item", ["Norway", "No way", "1a", "a1", "n/a", "face", "1.2.3", "-", "e5", "2020-W01"]
)
def test_text_that_is_nothing_else_needs_no_quotes(item: str):
    schema = read_schema(f"fiat_schema: 1\ncolumns: {{a: {{type: text, values: [{item}]}}}}", "s.yaml")
    assert schema.columns[0].domain.values == (item,)


@pytest.mark.parametrize(
    ("lines", "key", "message"),
    [
        ("range: {min: 2, max: 1}", "range.min", "`min` 2 is more than `max` 1"),
        ("length: {min: 2, max: 1}", "length.min", "`min` 2 is more than `max` 1"),
        ("per_row: {min: 2, max: 1}", "per_row.min", "`min` 2 is more than `max` 1"),
        ("distinct: {min: 2, max: 1}", "distinct.min", "`min` 2 is more than `max` 1"),
        ("image: {width: {min: 2, max: 1}}", "image.width.min", "`min` 2 is more than `max` 1"),
        ("mass: 0.9", "mass", "`mass` without `values`"),
        ("values: []", "values", "the list is empty"),
        ("values: [A, A]", "values[1]", "`A` is listed twice"),
        ('{regex: "[a-z]+", values: [a, B]}', "values[1]", "`B` is listed but does not match `regex`"),
        ("{type: text, range: {min: 1}}", "range", "`range` does not fit the type `text`"),
        ("{type: int, values: [1, x]}", "values[1]", "expected a whole number, found `x`"),
        ('{type: int, values: ["1"]}', "values[0]", "expected a whole number, found the text `1`"),
        ("{type: bool, values: [yes]}", "values[0]", "expected `true` or `false`, found `yes`"),
        ("{type: float, values: [A]}", "values", "`values` does not fit the type `float`"),
        ("{type: int, nan: false}", "nan", "`nan` does not fit the type `int`"),
        ("{type: text, image: {formats: [png]}}", "image", "`image` does not fit the type `text`"),
        ("{type: int, shape: [1]}", "shape", "`shape` does not fit the type `int`"),
        ("{type: int, per_row: {min: 1}}", "per_row", "`per_row` does not fit the type `int`"),
        ("not_in: [servng]", "not_in[0]", "unknown environment `servng`"),
        ("not_in: [serving, training]", "not_in", "the column belongs to no environment"),
        (
            "{environments: [serving], not_in: [training]}",
            "not_in",
            "`environments` and `not_in` are both said",
        ),
        ("drift: {metric: js, max: 2}", "drift.max", "`js` is never above 1, `max` is 2"),
        ("{type: text, skew: {metric: ks, max: 1}}", "skew.metric", "`ks` is a distance of numbers"),
        ("drift: {max: 1}", "drift.metric", "`metric` is missing"),
        ("nan: no", "nan", "expected `true` or `false`, found `no`"),
        ("range: {min: .inf}", "range.min", "expected a number, found `.inf`"),
        ("range: {min: 1_000}", "range.min", "expected a number, found `1_000`"),
        ("range: {min: 1e999}", "range.min", "expected a number, found `1e999`"),
        ("{type: time, range: {min: yesterday}}", "range.min", "expected a date such as 2020-01-31"),
        ("range: 1", "range", "expected a mapping with `min` or `max`, found `1`"),
        ("length: {min: -1}", "length.min", "expected 0 or more, found `-1`"),
        ("type:", "type", "`type` has no value"),
        ("description: 5", "description", "expected text, found `5`"),
        ("values: A", "values", "expected a list of the values that are allowed, found `A`"),
    ],
)
def test_a_contradiction_is_found_at_its_key(lines: str, key: str, message: str):
    errors = in_column(lines)
    assert len(errors) == 1, errors
    assert f": columns.a.{key}: {message}" in errors[0]


@pytest.mark.parametrize("regex", ["(a", "(?=a)a", r"(a)\\1", "a)(b", "[z-a]", "a{5000}", "x" * 1001])
def test_a_pattern_that_re2_refuses_is_told(regex: str):
    [error] = in_column(f'regex: "{regex}"')
    assert "columns.a.regex: the pattern can't be used: " in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "anchors (`&name`) are not allowed"),
        ("a: *x", "aliases (`*name`) are not allowed"),
        ("fiat_schema: !!python/object:os.system 1", "tags (`!name`) are not allowed"),
        ("<<: {a: 1}", "merge keys (`<<`) are not allowed"),
        ("{{a: 1}: 2}", "a key must be text"),
        ("a: " + "[" * 50, "nested deeper than 12 levels"),
        ("a: 1\n---\nb: 1", "only one document is allowed"),
        ("%YAML 1.1\n---\na: 1", "directives (`%NAME`) are not allowed"),
        ("", "expected a mapping such as `fiat_schema: 1`"),
        ("- a", "expected a mapping such as `fiat_schema: 1`"),
        ("a: [1", "not valid YAML"),
        ("a:\n\tb: 1", "tabs can't indent"),
        ("a: \u202eb", "the character U+202E is not allowed"),
        ("fiat_schema: 1\ncolumns: {a: {description: x\x00}}", "the character U+0000 is not allowed"),
        ("#" * (9 * 1024 * 1024), "at most 8,388,608 are read"),
        ("a: [" + "1," * 500_001 + "]", "more than 500,000 values and keys"),
    ],
)
def test_yaml_that_hides_something_or_never_ends_is_refused(text: str, message: str):
    [error] = faults(text)
    assert message in error


def test_what_is_missing_at_the_top_is_told():
    assert faults("rows: {min: 5, max: 1}\n") == [
        "s.yaml:1:1: columns: `columns` is missing (name each column below it)",
        "s.yaml:1:1: fiat_schema: `fiat_schema` is missing (begin with `fiat_schema: 1`)",
        "s.yaml:1:1: rows: `min` 5 is more than `max` 1 (nothing could ever fit)",
    ]
    [error] = faults("fiat_schema: 2\ncolumns: {}")
    assert "expected 1, found `2`" in error
    [error] = faults("fiat_schema: 1\nlabel: tip\ncolumns: {tips: {}}")
    assert error == "s.yaml:2:8: label: no column is called `tip` (did you mean `tips`?)"
    [error] = faults("fiat_schema: 1\ncolumns: {tips: }")
    assert "the column has no value" in error


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
whole = st.integers(0, 2**63 - 1)
shares = st.floats(0, 1)
finite = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64))


@st.composite
def bounds(draw: st.DrawFn, numbers: st.SearchStrategy = whole) -> tuple:
    low, high = sorted([draw(numbers), draw(numbers)])
    return draw(st.sampled_from([(None, None), (low, None), (None, high), (low, high)]))


@st.composite
def limits(draw: st.DrawFn, kind: str | None) -> Limit | None:
    metrics = ["js", "linf", "psi"] + (
        [] if kind in ("text", "bytes", "bool", "image") else list(NUMBER_METRICS)
    )
    metric = draw(st.sampled_from(metrics))
    most = draw(shares if metric in METRICS_TO_ONE else st.floats(0, 1e300))
    return draw(st.sampled_from([None, Limit(metric, most)]))


@st.composite
def columns(draw: st.DrawFn, name: str) -> ColumnSchema:
    kind = draw(st.sampled_from([None, *TYPES]))

    def asked(key: str) -> bool:
        return (kind is None or kind in ASKED_OF[key]) and draw(st.booleans())

    listed = {"int": st.integers(-(2**63), 2**64 - 1).map(str), "bool": st.sampled_from(["true", "false"])}
    values = None
    if asked("values"):
        values = tuple(draw(st.lists(listed.get(kind, texts), min_size=1, max_size=5, unique=True)))
    seconds = st.one_of(st.integers(-(10**11), 10**12), st.floats(-1e9, 1e9))
    ends = draw(bounds(seconds if kind == "time" else finite)) if asked("range") else (None, None)
    lengths = draw(bounds()) if asked("length") else (None, None)
    per_row = draw(bounds()) if asked("per_row") else (None, None)
    environments = draw(st.sampled_from([((), ()), (("serving",), ()), ((), ("training",))]))
    image = None
    if asked("image"):
        formats = tuple(draw(st.lists(st.sampled_from(IMAGE_FORMATS), unique=True, max_size=3)))
        sizes = (*draw(bounds()), *draw(bounds()), draw(st.none() | whole))
        image = ImageDomain(formats, draw(shares), *sizes)
    return ColumnSchema(
        name=name,
        type=kind,
        required=draw(st.booleans()),
        min_present=draw(st.none() | shares),
        min_count=draw(st.none() | whole),
        domain=Domain(
            min=ends[0],
            max=ends[1],
            values=values,
            mass=draw(shares) if values else 1.0,
            regex=draw(st.sampled_from(["[A-Z]+", r"\d{3}", '"a\\"', ""]))
            if asked("regex") and not values
            else None,
            min_length=lengths[0],
            max_length=lengths[1],
        ),
        image=image,
        min_values=per_row[0],
        max_values=per_row[1],
        shape=tuple(draw(st.lists(st.none() | whole, max_size=4))) if asked("shape") else None,
        min_unique=draw(st.none() | whole),
        unique=draw(st.booleans()),
        nan=not asked("nan"),
        inf=not asked("inf"),
        in_environments=environments[0],
        not_in_environments=environments[1],
        drift=draw(limits(kind)),
        skew=draw(limits(kind)),
        severity=draw(st.sampled_from(["error", "warn"])),
        description=draw(st.just("") | texts),
    )


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    names = draw(st.lists(st.one_of(texts, st.just(""), st.just("n" * 1500)), unique=True, max_size=4))
    rows = draw(bounds())
    more = draw(st.lists(texts, unique=True, max_size=2))
    environments = ("training", "serving", *(name for name in more if name not in ("training", "serving")))
    found = tuple(draw(columns(name)) for name in names)
    label = draw(st.none() | st.sampled_from(names)) if names else None
    return Schema(found, rows[0], rows[1], environments, label)


@settings(max_examples=200, deadline=None)
@given(schemas())
def test_what_is_written_reads_back_the_same(schema: Schema):
    text = write_schema(schema)
    assert read_schema(text, "s.yaml") == schema
    assert write_schema(read_schema(text, "s.yaml")) == text


@settings(max_examples=300, deadline=None)
@given(st.text(string.printable, max_size=60) | st.sampled_from(FULL.splitlines()))
def test_any_text_is_a_schema_or_located_errors(text: str):
    for content in (text, FULL + text, FULL.replace("company", text)):
        found: list[SpecError] = []
        try:
            read_schema(content, "s.yaml")
        except SpecErrors as errors:
            found = errors.errors
        assert all(error.where and error.where.file == "s.yaml" for error in found)


def test_what_was_seen_stands_beside_what_must_hold():
    numbers = Numbers(n=998, mean=3.5, sd=1, min=0, max=99.5, n_nan=2)
    seen = ColumnProfile("fare", "float", "double", 1003, n_missing=3, n_distinct=77, numbers=numbers)
    text = write_schema(
        Schema((ColumnSchema("fare", "float"), ColumnSchema("new")), notes=("feature `x`: nothing\nof `y`",)),
        DataProfile((Profile(1003, (seen,), "train"), Profile(3, (seen,), "train", "sex=F"))),
    )
    assert "\n# Passed over: feature `x`: nothing of `y`\n" in text
    assert (
        "  fare:\n    # train: 1,003 rows, 0.299 % missing, 77 different, 0 to 99.5, mean 3.5, 2 NaN\n    type: float\n"
        in text
    )
    assert text.count("# train") == 1
    assert read_schema(text, "s.yaml").columns == (ColumnSchema("fare", "float"), ColumnSchema("new"))


def test_many_values_are_written_one_a_line():
    values = tuple(f"company number {index}" for index in range(30))
    text = write_schema(Schema((ColumnSchema("c", "text", domain=Domain(values=values)),)))
    assert "\n    values:\n      - company number 0\n      - company number 1\n" in text
    assert text.count("\n      - ") == 30
    assert read_schema(text, "s.yaml").columns[0].domain == Domain(values=values)
