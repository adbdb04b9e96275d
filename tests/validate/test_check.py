"""All that is found of a dataset together: rules, other data, severity, order, and nothing where all is well."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.stream import tensor_array
from fiat.profile.measure import profile_batches, profile_dataset
from fiat.profile.model import DataProfile
from fiat.validate.check import find_anomalies
from fiat.validate.infer import infer_schema
from fiat.validate.model import (
    ColumnSchema,
    DistanceRule,
    Domain,
    DuplicatesRule,
    LabelRule,
    LeakRule,
    Limit,
    RowsRule,
    Rule,
    Schema,
    SqlRule,
)
from tests.validate.judged import BY_PART, dataset, judge

ID = ColumnSchema("id", type="int")
NOTHING = Schema(())


def part(*names: str) -> pa.Array:
    return pa.array(names)


def test_a_sound_dataset_of_all_types_has_no_anomalies(tmp_path: Path) -> None:
    n = 600
    rng = np.random.default_rng(5)
    columns = {
        "id": pa.array(range(n)),
        "number": pa.array(rng.normal(size=n)),
        "gaps": pa.array([None if row % 7 == 0 else row / 3 for row in range(n)]),
        "wild": pa.array([float("nan") if row % 9 == 0 else float("inf") for row in range(n)]),
        "flag": pa.array([row % 3 == 0 for row in range(n)]),
        "word": pa.array([f"w{row % 5}" for row in range(n)]),
        "free": pa.array([f"text {row}" for row in range(n)]),
        "bytes": pa.array([f"{row}".encode() for row in range(n)]),
        "day": pa.array(np.arange(n).astype("datetime64[D]")),
        "items": pa.array([[*range(row % 4)] for row in range(n)]),
        "pixels": tensor_array(rng.integers(0, 255, (n, 8, 8), np.uint8)),
        "embedding": tensor_array(rng.normal(size=(n, 4))),
        "nothing": pa.array([None] * n, pa.int64()),
        "part": pa.array(["train", "train", "train", "train", "eval", "test"] * (n // 6)),
    }
    features = tuple(name for name in ("number", "flag", "word"))
    folder = dataset(tmp_path / "d", columns, label="word", features=features[:2], rule=BY_PART)
    # Each split has one word for its part; what each holds is its own.
    schema = infer_schema(profile_dataset(folder))
    known = replace(
        schema,
        columns=tuple(
            replace(item, domain=Domain()) if item.name in ("part", "word") else item
            for item in schema.columns
        ),
    )
    findings = judge(folder, known)
    assert findings.anomalies == ()
    assert findings.n_rows == {"train": 400, "eval": 100, "test": 100}
    assert findings.compared == {}


def test_errors_come_first_and_warnings_let_go_on(tmp_path: Path) -> None:
    columns = {"id": pa.array([1, 2]), "a": pa.array([9, 1]), "b": pa.array([9, 1])}
    folder = dataset(tmp_path / "d", columns)
    low = Domain(max=5)
    schema = [
        ID,
        ColumnSchema("a", type="int", domain=low, severity="warn"),
        ColumnSchema("b", type="int", domain=low),
    ]
    findings = judge(folder, schema)
    assert [(item.column, item.severity) for item in findings.anomalies] == [("b", "error"), ("a", "warn")]
    assert [item.column for item in findings.errors] == ["b"]
    assert judge(folder, schema) == findings


def test_each_split_is_judged_and_its_rows_are_its_own(tmp_path: Path) -> None:
    columns = {
        "id": pa.array([1, 2, 3, 4, 5]),
        "x": pa.array([9, 1, 1, 9, 9]),
        "part": part("train", "train", "eval", "eval", "test"),
    }
    folder = dataset(tmp_path / "d", columns, rule=BY_PART)
    found = judge(folder, [ID, ColumnSchema("x", type="int", domain=Domain(max=5)), ColumnSchema("part")])
    assert [(item.split, item.examples[0].row) for item in found.anomalies] == [
        ("train", 1),
        ("eval", 2),
        ("test", 1),
    ]


def test_no_rows_at_all_is_an_anomaly(tmp_path: Path) -> None:
    empty = DataProfile((profile_batches([pa.record_batch({"id": pa.array([], pa.int64())})]),))
    found = find_anomalies(None, empty, Schema((ID,)), (), {}).anomalies
    assert [item.kind for item in found] == ["no_rows"]
    assert [item.kind for item in find_anomalies(None, DataProfile(()), NOTHING, (), {}).anomalies] == [
        "no_rows"
    ]
    folder = dataset(tmp_path / "d", {"id": pa.array([1])})
    assert judge(folder, [ID]).anomalies == ()


@pytest.mark.parametrize(
    ("low", "high", "kinds"),
    [(3, None, ["too_few_rows"]), (None, 1, ["too_many_rows"]), (2, 2, []), (None, None, [])],
)
def test_the_number_of_rows_is_held_against_schema_and_rule(
    low: int | None, high: int | None, kinds: list[str], tmp_path: Path
) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1, 2])})
    found = judge(folder, Schema((ID,), low, high)).anomalies
    assert [(item.kind, item.split, item.value) for item in found] == [(kind, "train", 2) for kind in kinds]
    rule = RowsRule(low, high, severity="warn", key="checks[0]")
    found = judge(folder, [ID], [rule]).anomalies
    assert [(item.kind, item.severity) for item in found] == [(kind, "warn") for kind in kinds]
    assert all(item.key.startswith("checks[0].rows.") for item in found)


def test_a_rule_of_rows_counts_all_splits_together(tmp_path: Path) -> None:
    columns = {"id": pa.array([1, 2, 3]), "part": part("train", "eval", "test")}
    folder = dataset(tmp_path / "d", columns, rule=BY_PART)
    assert judge(folder, NOTHING, [RowsRule(min=3, max=3)]).anomalies == ()
    assert [item.kind for item in judge(folder, Schema((), min_rows=3)).anomalies] == ["too_few_rows"] * 3


def profiled(folder: Path, values: pa.Array, **more: pa.Array) -> tuple[Path, DataProfile]:
    made = dataset(folder, {"id": pa.array(range(len(values))), "x": values, **more}, digest=folder.name)
    return made, profile_dataset(made)


MANY, FEW = pa.array(["a", "b"] * 500), pa.array(["a", "b"] * 100)


@pytest.mark.parametrize(("now", "before", "kind"), [(FEW, MANY, "rows_dropped"), (MANY, FEW, "rows_grown")])
def test_rows_are_counted_against_the_data_before(
    now: pa.Array, before: pa.Array, kind: str, tmp_path: Path
) -> None:
    folder, profile = profiled(tmp_path / "now", now)
    _, other = profiled(tmp_path / "before", before)
    rule = RowsRule(max_change=0.5, key="checks[0]")
    findings = judge(folder, NOTHING, [rule], {"previous": other})
    assert [item.kind for item in findings.anomalies] == [kind]
    assert findings.compared == {"previous": "before"}
    assert judge(folder, NOTHING, [rule], {"previous": profile}).anomalies == ()


NUMBERS = pa.array(np.random.default_rng(1).normal(size=1000))
MOVED = pa.array(np.random.default_rng(2).normal(2, 1, size=1000))
WORDS = pa.array(["a", "b", "b", "b"] * 250)
DISTANCES = [
    ("linf", MANY, WORDS),
    ("js", NUMBERS, MOVED),
    ("psi", NUMBERS, MOVED),
    ("ks", NUMBERS, MOVED),
    ("wasserstein", NUMBERS, MOVED),
]


@pytest.mark.parametrize(("metric", "now", "before"), DISTANCES)
@pytest.mark.parametrize(("kind", "against"), [("drift", "previous"), ("skew", "data.served")])
def test_a_distribution_that_moved_is_told_by_any_distance(
    metric: str, now: pa.Array, before: pa.Array, kind: str, against: str, tmp_path: Path
) -> None:
    folder, profile = profiled(tmp_path / "now", now)
    _, other = profiled(tmp_path / "before", before)
    limit = Limit(metric, 0.2)  # type: ignore[arg-type]  # one of them
    schema = [ID, ColumnSchema("x", **{kind: limit})]  # type: ignore[arg-type]  # drift or skew
    (found,) = judge(folder, schema, [], {against: other}).anomalies
    assert (found.kind, found.column, found.limit, found.severity) == (kind, "x", 0.2, "error")
    assert found.value is not None
    assert found.value > 0.2
    assert judge(folder, schema, [], {against: profile}).anomalies == ()
    rule = DistanceRule(kind, against, 0.2, limit.metric, {"id": 100.0})  # type: ignore[arg-type]  # drift or skew
    assert [
        (item.kind, item.column) for item in judge(folder, NOTHING, [rule], {against: other}).anomalies
    ] == [(kind, "x")]
    assert judge(folder, NOTHING, [rule], {against: profile}).anomalies == ()


def test_a_column_that_holds_another_type_than_before_can_not_be_compared(tmp_path: Path) -> None:
    folder, profile = profiled(tmp_path / "now", MANY)
    _, other = profiled(tmp_path / "before", NUMBERS)
    schema = [ID, ColumnSchema("x", drift=Limit("js", 0.5))]
    (found,) = judge(folder, schema, [], {"previous": other}).anomalies
    assert (found.kind, found.column) == ("kind_changed", "x")
    assert judge(folder, schema, [], {"previous": profile}).anomalies == ()


def test_what_there_is_nothing_to_compare_with_is_told(tmp_path: Path) -> None:
    folder, profile = profiled(tmp_path / "now", MANY)
    rule = DistanceRule("skew", "data.served", 0.5)
    (found,) = judge(folder, NOTHING, [rule]).anomalies
    assert (found.kind, found.severity) == ("control_missing", "warn")
    assert judge(folder, NOTHING, [rule], {"data.served": profile}).anomalies == ()


def test_a_column_that_only_one_side_has_is_told(tmp_path: Path) -> None:
    wide, wider = profiled(tmp_path / "wide", MANY, y=MANY)
    narrow, narrower = profiled(tmp_path / "narrow", MANY)
    rule = DistanceRule("drift", "previous", 0.5)
    (found,) = judge(wide, NOTHING, [rule], {"previous": narrower}).anomalies
    assert (found.kind, found.column) == ("column_control_missing", "y")
    (found,) = judge(narrow, NOTHING, [rule], {"previous": wider}).anomalies
    assert (found.kind, found.column) == ("column_treatment_missing", "y")
    assert judge(wide, NOTHING, [rule], {"previous": wider}).anomalies == ()


def test_splits_that_have_no_rows_to_compare_are_told(tmp_path: Path) -> None:
    folder, _ = profiled(tmp_path / "train", MANY)
    rule = DistanceRule("drift", "train", 0.9)
    (found,) = judge(folder, NOTHING, [rule]).anomalies
    assert (found.kind, found.severity) == ("treatment_missing", "warn")
    columns = {"id": pa.array(range(1000)), "part": pa.array(["train", "eval"] * 500)}
    both = dataset(tmp_path / "both", columns, rule=BY_PART)
    assert judge(both, NOTHING, [DistanceRule("drift", "train", 0.9, columns={"part": 1.0})]).anomalies == ()


def test_a_label_whose_balance_moved_is_told(tmp_path: Path) -> None:
    parts = ["train"] * 500 + ["eval"] * 500

    def labelled(name: str, later: list[str]) -> Path:
        columns = {
            "id": pa.array(range(1000)),
            "x": pa.array(["a", "b"] * 250 + later),
            "part": pa.array(parts),
        }
        return dataset(tmp_path / name, columns, label="x", rule=BY_PART)

    (found,) = judge(labelled("moved", ["a"] * 400 + ["b"] * 100), NOTHING, [LabelRule(0.1)]).anomalies
    assert (found.kind, found.column, found.split) == ("label_balance", "x", "eval")
    assert judge(labelled("same", ["a", "b"] * 250), NOTHING, [LabelRule(0.1)]).anomalies == ()


LONG = "the quick brown fox jumps over the lazy dog and runs away into the deep dark forest tonight"


def test_rows_that_are_there_twice_are_told_within_and_across_splits(tmp_path: Path) -> None:
    def texts(name: str, values: list[str]) -> Path:
        columns = {
            "id": pa.array(range(4)),
            "x": pa.array(values),
            "part": part("train", "train", "train", "test"),
        }
        return dataset(tmp_path / name, columns, rule=BY_PART)

    rule = DuplicatesRule(across="error", within="warn", near=0.8, columns=("x",), key="checks[0]")
    twice = judge(texts("twice", ["a", "b", "a", "b"]), NOTHING, [rule]).anomalies
    assert [(item.kind, item.severity, item.n_rows > 0) for item in twice] == [
        ("duplicates_across", "error", True),
        ("duplicates_within", "warn", True),
    ]
    assert all(item.examples for item in twice)
    (near,) = judge(texts("near", [LONG, "b", "c", LONG + "!"]), NOTHING, [rule]).anomalies
    assert near.kind == "near_duplicates_across"
    assert judge(texts("once", ["a", "b", "c", LONG]), NOTHING, [rule]).anomalies == ()


def test_a_column_that_gives_the_label_away_is_told(tmp_path: Path) -> None:
    n = 600
    rng = np.random.default_rng(3)
    label = pa.array(rng.integers(0, 2, n))
    columns = {"id": pa.array(range(n)), "copy": label, "noise": pa.array(rng.normal(size=n)), "y": label}
    features = ("copy", "noise")
    folder = dataset(tmp_path / "d", columns, label="y", features=features)
    (found,) = judge(folder, NOTHING, [LeakRule(0.9)]).anomalies
    assert (found.kind, found.column, found.severity) == ("leak", "copy", "warn")
    assert judge(folder, NOTHING, [LeakRule(0.9, ignore=("copy",))]).anomalies == ()


def test_rows_that_a_query_finds_are_anomalies(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", {"id": pa.array([1, -2, 3])})
    rule = SqlRule("select * from train where id < 0", key="checks[0]")
    (found,) = judge(folder, NOTHING, [rule]).anomalies
    assert (found.kind, found.n_rows, found.key) == ("sql", 1, "checks[0].sql")
    assert judge(folder, NOTHING, [SqlRule("select * from train where id > 9")]).anomalies == ()


ROW_RULES: list[Rule] = [DuplicatesRule(), LeakRule(), SqlRule("select 1")]


def test_with_a_profile_alone_what_rows_must_tell_is_a_warning_and_the_rest_is_judged(tmp_path: Path) -> None:
    n = 2000
    columns = {
        "id": pa.array(range(n)),
        "x": pa.array([f"t{row}" for row in range(n)]),
        "y": pa.array([row % 3 for row in range(n)]),
    }
    folder = dataset(tmp_path / "d", columns)
    schema = Schema(
        (
            ID,
            ColumnSchema("x", type="text", domain=Domain(regex="t[0-9]+")),
            ColumnSchema("y", type="int", domain=Domain(max=1, values=("0", "1"))),
        )
    )
    profile = profile_dataset(folder)
    found = find_anomalies(None, profile, schema, ROW_RULES, {}).anomalies
    assert [(item.kind, item.severity, item.n_rows) for item in found] == [
        ("out_of_range_high", "error", 0),
        ("unexpected_values", "error", 666),
        ("not_judged", "warn", 0),
        ("not_judged", "warn", 0),
        ("not_judged", "warn", 0),
        ("not_judged", "warn", 0),
    ]
    assert found[0].message == "some rows are above 1, the largest 2"
    assert all(item.examples == () for item in found)
    assert [item.kind for item in find_anomalies(folder, profile, schema, (), {}).anomalies] == [
        "out_of_range_high",
        "unexpected_values",
    ]


def test_where_all_is_well_judging_takes_milliseconds(tmp_path: Path) -> None:
    n = 30_000
    columns = {f"c{number}": pa.array((np.arange(n) * (number + 1)) % 977) for number in range(19)}
    columns["id"] = pa.array(range(n))
    columns["part"] = pa.array(["train", "eval", "test"] * (n // 3))
    folder = dataset(tmp_path / "d", columns, rule=BY_PART)
    profile = profile_dataset(folder)
    schema = infer_schema(profile, ranges=False)
    schema = replace(
        schema,
        columns=tuple(
            replace(item, domain=Domain(min=0, max=n))
            if item.type == "int"
            else replace(item, domain=Domain())
            for item in schema.columns
        ),
    )
    find_anomalies(folder, profile, schema, (), {})
    took = []
    for _ in range(5):
        started = time.perf_counter()
        assert find_anomalies(folder, profile, schema, (), {}).anomalies == ()
        took.append(time.perf_counter() - started)
    assert min(took) < 0.05
