"""Spans, samples and schemas in the data step: which rows it reads, and what it says of them."""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiat.builtin.step_data import DataStep
from fiat.builtin.step_data_span import SpanSource
from fiat.data.dataset import Dataset, open_dataset
from fiat.errors import SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import SourceRequest
from fiat.ports.step import StepContext, StepOutcome

sys.path.insert(0, str(Path(__file__).parent))
from bucket_stage import google


def run(
    root: Path, params: dict[str, object], *, made: Path | None = None, **facts: Any
) -> tuple[StepOutcome, Dataset]:
    number = len(list(root.parent.glob("out-*")))
    work_dir, output = root.parent / f"out-{number}" / "work", root.parent / f"out-{number}" / "dataset"
    work_dir.mkdir(parents=True)
    inputs = {"source": made} if made else {}
    context = StepContext("data", params, inputs, {"dataset": output}, root, work_dir, facts)
    outcome = DataStep().run(context)
    json.dumps(outcome.facts)
    return outcome, open_dataset(output)


def days(root: Path, *names: str, suffix: str = "csv") -> None:
    for index, name in enumerate(names):
        path = root / f"{name}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"x,day\n{index},{name}\n{index},{name}\n", "utf-8")


def by_day(use: object) -> dict[str, object]:
    return {"span": {"pattern": "data/{YYYY}-{MM}-{DD}.csv", "use": use}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_the_last_spans_are_read_oldest_first_and_listed(root: Path) -> None:
    days(root / "data", "2024-01-01", "2024-03-07", "2024-03-09", "notes")
    outcome, data = run(root, by_day({"last": 2}))
    assert data.train.columns["day"].tolist() == ["2024-03-07"] * 2 + ["2024-03-09"] * 2
    assert outcome.facts["spans"] == ["2024-03-07", "2024-03-09"]
    assert outcome.facts["span_rows"] == {"2024-03-07": 2, "2024-03-09": 2}
    assert outcome.warnings == ()
    outcome, _ = run(root, by_day({"last": 5}))
    assert outcome.warnings == ("only 3 of the last 5 spans are there",)
    for use in ({"latest": True}, "latest"):
        assert run(root, by_day(use))[0].facts["spans"] == ["2024-03-09"]
    for use in ({"span": "2024-01-01"}, "2024-1-1"):
        assert run(root, by_day(use))[0].facts["spans"] == ["2024-01-01"]


def test_only_chosen_spans_matter_to_the_digest(root: Path) -> None:
    days(root / "data", "2024-01-01", "2024-03-07")
    first = run(root, by_day({"latest": True}))[0].facts["source_digest"]
    days(root / "data", "2024-02-01")
    assert run(root, by_day({"latest": True}))[0].facts["source_digest"] == first
    days(root / "data", "2024-04-01")
    assert run(root, by_day({"latest": True}))[0].facts["source_digest"] != first


def test_a_span_may_be_a_folder_and_only_its_data_is_read(root: Path) -> None:
    for number in ("9", "10"):
        days(root / "in" / f"span-{number}" / "deep", "b", "a")
        (root / "in" / f"span-{number}" / "README.md").write_text("about", "utf-8")
    outcome, data = run(root, {"span": {"pattern": "in/span-{SPAN}", "use": {"latest": True}}})
    assert outcome.facts["spans"] == ["10"]
    assert outcome.facts["n_files"] == 2
    assert data.train.columns["day"].tolist() == ["a", "a", "b", "b"]
    assert outcome.facts["ignored_files"] == ["in/span-10/README.md"]


def test_a_pattern_beside_a_path_lies_within_it(root: Path) -> None:
    days(root / "a" / "b", "1", "2", "03")
    params = {"source": {"path": "a"}, "span": {"pattern": "b/{SPAN}.csv", "use": {"last": 2}}}
    assert run(root, params)[0].facts["spans"] == ["2", "3"]


def test_spans_are_found_among_the_files_that_a_function_made(root: Path, tmp_path: Path) -> None:
    days(tmp_path / "made", "1", "2")
    outcome, data = run(root, {"source": {"call": "m:f"}}, made=tmp_path / "made")
    assert len(data.train) == 4
    span = {"pattern": "{SPAN}.csv", "use": {"latest": True}}
    outcome, data = run(root, {"source": {"call": "m:f"}, "span": span}, made=tmp_path / "made")
    assert data.train.columns["day"].tolist() == [2, 2]
    assert outcome.facts["spans"] == ["2"]
    (tmp_path / "none").mkdir()
    with pytest.raises(SpecError, match="made no files"):
        run(root, {"source": {"call": "m:f"}}, made=tmp_path / "none")


def test_spans_are_found_below_the_prefix_of_a_bucket(root: Path) -> None:
    objects = {f"in/{n:02d}/a.csv": f"x,day\n1,{n}\n".encode() for n in (8, 9, 10)}
    with google(**objects) as cloud:
        params = {"source": {"gs": "box/in/"}, "span": {"pattern": "{SPAN}/*.csv", "use": {"last": 2}}}
        env = {"STORAGE_EMULATOR_HOST": cloud.url}
        outcome, data = run(root, params, env=env, allow_private_hosts=True)
    assert outcome.facts["spans"] == ["9", "10"]
    assert data.train.columns["day"].tolist() == [9, 10]


def test_rows_of_a_query_are_data_and_have_no_spans(root: Path) -> None:
    days(root / "data", "2024-01-01", "2024-01-02")
    source = {"sql": "select day, count(*) as n from 'data/*.csv' group by day order by day"}
    outcome, data = run(root, {"source": source})
    assert outcome.facts["format"] == "arrow"
    assert data.train.columns["n"].tolist() == [2, 2]
    for other in (source, {"glob": "data/*.csv"}):
        with pytest.raises(SpecError, match="`span` goes with files of a folder"):
            run(root, {"source": other, **by_day("latest")})


def test_nothing_that_matches_and_a_missing_span_name_what_is_near(root: Path) -> None:
    days(root / "data", "2024_01_01", "2024_01_02")
    with pytest.raises(SpecError, match="nothing matches") as caught:
        run(root, by_day({"latest": True}))
    assert "data/2024_01_0" in caught.value.hint
    with pytest.raises(SpecError, match="nothing matches .*nothing lies there"):
        run(root, {"span": {"pattern": "no/{SPAN}.csv", "use": {"latest": True}}})
    days(root / "data", "2024-01-01", "2024-01-03")
    with pytest.raises(
        SpecError, match=r"no span 2024-01-02 .*nearest are data/2024-01-01.csv, data/2024-01-03"
    ):
        run(root, by_day({"span": "2024-01-02"}))


def test_a_span_without_data_is_named(root: Path) -> None:
    days(root / "data", "2024-01-01", "2024-01-02")
    (root / "data" / "2024-01-02.csv").write_bytes(b"")
    with pytest.raises(SpecError, match="data/2024-01-02.csv: span 2024-01-02: the file is empty"):
        run(root, by_day({"last": 2}))
    (root / "data" / "2024-01-02.csv").write_bytes(b"x,day\n")
    with pytest.raises(SpecError, match="span 2024-01-02: the file has a header and no rows"):
        run(root, by_day({"last": 2}))
    schema = pa.schema([("x", pa.int64())])
    for number, rows in (("1", [1, 2]), ("2", [])):
        pq.write_table(pa.table({"x": rows}, schema), root / f"{number}.parquet")
    with pytest.raises(SpecError, match="there is no data in span 2") as caught:
        run(root, {"span": {"pattern": "{SPAN}.parquet", "use": {"last": 2}}})
    assert str(caught.value.where) == "2.parquet"
    (root / "d" / "3").mkdir(parents=True)
    (root / "d" / "3" / "x.txt").write_text("x", "utf-8")
    days(root / "d" / "2", "a")
    with pytest.raises(SpecError, match="there is no data in span 3"):
        run(root, {"format": "csv", "span": {"pattern": "d/{SPAN}", "use": {"last": 2}}})


def test_a_date_that_is_none_is_warned_of(root: Path) -> None:
    days(root / "data", "2024-01-01", "2024-02-30")
    outcome, _ = run(root, by_day({"latest": True}))
    assert outcome.facts["spans"] == ["2024-01-01"]
    assert outcome.warnings == ("data/2024-02-30.csv fits the pattern of spans, but its date is none",)


def test_a_strangers_spans_lie_where_the_operator_grants(root: Path, tmp_path: Path) -> None:
    days(tmp_path / "elsewhere", "1")
    (root / "link").symlink_to(tmp_path / "elsewhere")
    facts = Confinement(confined=True).facts()
    for pattern in (f"{tmp_path}/elsewhere/{{SPAN}}.csv", "../elsewhere/{SPAN}.csv", "link/{SPAN}.csv"):
        with pytest.raises(SpecError, match="grant"):
            run(root, {"span": {"pattern": pattern, "use": {"latest": True}}}, **facts)
    granted = Confinement(confined=True, data_folders=(str(tmp_path / "elsewhere"),)).facts()
    pattern = f"{tmp_path}/elsewhere/{{SPAN}}.csv"
    outcome, _ = run(root, {"span": {"pattern": pattern, "use": {"latest": True}}}, **granted)
    assert outcome.facts["spans"] == ["1"]
    with pytest.raises(SpecError, match="more than the 3 allowed"):
        run(root, {"span": {"pattern": pattern, "use": {"latest": True}}}, max_bytes=3, **granted)


def test_a_sample_is_taken_before_the_split_and_counted(root: Path) -> None:
    (root / "t.csv").write_text("id,x\n" + "".join(f"{n},{n % 3}\n" for n in range(2000)), "utf-8")
    params: dict[str, object] = {
        "source": {"path": "t.csv"},
        "split": {"train": 1, "test": 1, "key": "id"},
        "sample": {"rows": 500, "seed": 3},
    }
    outcome, data = run(root, params)
    assert (outcome.facts["rows_read"], outcome.facts["rows_kept"]) == (2000, 500)
    assert len(data.train) + len(data.test) == 500
    assert 200 < len(data.train) < 300
    kept = data.train.table().column("id").to_pylist()
    assert run(root, params)[1].train.table().column("id").to_pylist() == kept
    outcome, data = run(root, {**params, "sample": {"ratio": 0.1, "seed": 3}})
    assert 150 < len(data.train) + len(data.test) < 250
    outcome, _ = run(root, {**params, "sample": {"rows": 5000}})
    assert outcome.warnings == ("sample asks for 5,000 rows, and the data has 2,000",)
    for sample in ({"ratio": 0.0}, {"ratio": 1.5}, {"rows": 0}, {}):
        with pytest.raises(SpecError, match="sample"):
            run(root, {**params, "sample": sample})


def test_rows_of_a_sample_are_named_by_their_number_in_the_file(root: Path) -> None:
    rows = "".join(f"{n},{'' if n == 70 else 'a'}\n" for n in range(100))
    (root / "t.csv").write_text("id,y\n" + rows, "utf-8")
    with pytest.raises(SpecError, match=r"t\.csv row 71"):
        run(root, {"source": {"path": "t.csv"}, "label": "y", "sample": {"ratio": 0.99}})


SCHEMA = """\
fiat_schema: 1
columns:
  zip: {type: text}
  age: {type: int, severity: SEVERITY}
"""


def test_the_schema_says_how_columns_are_read(root: Path) -> None:
    (root / "t.csv").write_text("zip,age\n01234,5\n00501,old\n99999,?\n", "utf-8")
    (root / "s.yaml").write_text(SCHEMA.replace("SEVERITY", "error"), "utf-8")
    params: dict[str, object] = {"source": {"path": "t.csv"}, "schema": "s.yaml"}
    with pytest.raises(SpecError, match=r"t.csv:3:1: column 'age' should hold a whole number .*'old'"):
        run(root, params)
    (root / "s.yaml").write_text(SCHEMA.replace("SEVERITY", "warn"), "utf-8")
    outcome, data = run(root, params)
    assert data.train.columns["zip"].tolist() == ["01234", "00501", "99999"]
    assert data.train.table().column("age").to_pylist() == [5, None, None]
    example = {"file": "t.csv", "line": 3, "column": "age", "value": "old"}
    assert outcome.facts["unparsable"] == {"age": {"n": 1, "examples": [example]}}
    assert outcome.warnings == ("column 'age': 1 value is no int and counts as missing: t.csv:3 'old'",)


def test_a_schema_of_tfx_says_it_too(root: Path) -> None:
    (root / "t.csv").write_text("zip,age\n01234,5\n", "utf-8")
    feature = (
        'feature {{ name: "{}" type: {} presence {{ min_fraction: 1.0 }} shape {{ dim {{ size: 1 }} }} }}\n'
    )
    (root / "schema.pbtxt").write_text(
        feature.format("zip", "BYTES") + feature.format("age", "FLOAT"), "utf-8"
    )
    _, data = run(root, {"source": {"path": "t.csv"}, "schema": "schema.pbtxt"})
    assert data.train.table().column("age").type == pa.float64()
    assert data.train.table().column("zip").to_pylist() == ["01234"]


def test_a_schema_that_is_not_there_wrong_or_not_granted_is_told(root: Path, tmp_path: Path) -> None:
    (root / "t.csv").write_text("a\n1\n", "utf-8")
    (tmp_path / "out.yaml").write_text("fiat_schema: 1\ncolumns: {}\n", "utf-8")
    (root / "wrong.yaml").write_text("fiat_schema: 1\ncolumns:\n  a: {type: number}\n", "utf-8")
    (root / "bytes.yaml").write_bytes(b"\xff")
    params: dict[str, object] = {"source": {"path": "t.csv"}}
    with pytest.raises(SpecError, match=r"there is no schema no\.yaml"):
        run(root, {**params, "schema": "no.yaml"})
    with pytest.raises(SpecError, match=r"wrong\.yaml:3"):
        run(root, {**params, "schema": "wrong.yaml"})
    with pytest.raises(SpecError, match="no UTF-8"):
        run(root, {**params, "schema": "bytes.yaml"})
    with pytest.raises(SpecError, match="does not grant"):
        run(root, {**params, "schema": "../out.yaml"}, **Confinement(confined=True).facts())


def test_a_time_split_works_on_seconds_and_on_dates_as_text(root: Path) -> None:
    (root / "t.csv").write_text("at,day,x\n1704067200,2024-01-01,1\n1706745600,2024-02-01,2\n", "utf-8")
    for column in ("at", "day"):
        split = {"time": {"column": column, "test": "2024-01-15"}}
        _, data = run(root, {"source": {"path": "t.csv"}, "split": split})
        assert (len(data.train), len(data.test)) == (1, 1)
        assert column not in data.feature_names


def test_the_source_of_spans_says_when_those_of_a_granted_folder_change(root: Path, tmp_path: Path) -> None:
    days(tmp_path / "in", "2024-01-01", "2024-01-02")
    days(root / "in", "2024-01-01")
    span = {"pattern": "{YYYY}-{MM}-{DD}.csv", "use": {"latest": True}}
    confinement = Confinement(confined=True, data_folders=(str(tmp_path / "in"),))

    def asked(path: str) -> SourceRequest:
        settings = {"path": path, "span": span}
        return SourceRequest(settings, root, tmp_path, False, 1000, {}, confinement)

    source, outside = SpanSource(), str(tmp_path / "in")
    assert source.probe(asked("in")) == ""
    first = source.probe(asked(outside))
    assert len(first) == 64
    days(tmp_path / "in", "2023-12-31")
    assert source.probe(asked(outside)) == first
    days(tmp_path / "in", "2024-01-03")
    assert source.probe(asked(outside)) != first
    assert [path.name for path in source.fetch(asked(outside)).files] == ["2024-01-03.csv"]
    with pytest.raises(SpecError, match="does not grant"):
        source.probe(asked("/etc"))
