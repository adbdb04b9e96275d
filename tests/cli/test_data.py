"""`fiat data` and `fiat schema` on specs and on files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FIAT = (sys.executable, "-m", "fiat")
PENGUINS = Path(__file__).parents[3] / "shared" / "data" / "penguins"
needs_penguins = pytest.mark.skipif(
    not PENGUINS.is_dir(), reason="needs ../shared/data/penguins beside the repository"
)
ROWS = "id,age,city,rich\n" + "".join(
    f"{number},{20 + number % 40},{('Rome', 'Oslo')[number % 2]},{('no', 'yes')[number * 7 % 11 > 5]}\n"
    for number in range(200)
)
SPEC = """\
fiat: 1
name: look
data:
  people:
    source: {path: people.csv}
    label: rich
    split: {train: 3, test: 1, key: id}
    checks: [{rows: {min: 100}}]
"""


def fiat(root: Path, *words: str, code: int = 0) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("FIAT_", "RAY_"))}
    env |= {"FIAT_COMPUTE": "local", "COLUMNS": "160"}
    done = subprocess.run(
        [*FIAT, *words], cwd=root, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout or done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text(ROWS)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def test_a_file_is_described_without_a_spec(project: Path) -> None:
    document = json.loads(fiat(project, "data", "describe", "people.csv", "--label", "rich", "--json"))
    (profile,) = document["profiles"]
    assert profile["n_rows"] == 200
    columns = {column["name"]: column for column in profile["columns"]}
    assert columns["age"]["numbers"]["min"] == 20
    assert columns["age"]["numbers"]["max"] == 59
    assert columns["city"]["top"] == [["Oslo", 100], ["Rome", 100]]
    assert document["label"] == "rich"
    text = fiat(project, "data", "describe", "people.csv", "--label", "rich")
    assert "rich (label)" in text
    assert "200 rows" in text
    assert "Oslo 50%" in text


def test_a_spec_is_described_by_split_with_and_without_a_run_before(project: Path) -> None:
    before = json.loads(fiat(project, "data", "describe", "spec.yaml", "--json"))
    assert [profile["split"] for profile in before["profiles"]] == ["train", "test"]
    assert sum(profile["n_rows"] for profile in before["profiles"]) == 200
    assert not (project / ".fiat" / "runs").exists()  # looking is no run
    fiat(project, "run", "spec.yaml")
    assert json.loads(fiat(project, "data", "describe", "spec.yaml", "--json")) == before


def test_a_file_that_breaks_its_schema_is_exit_code_1_and_names_the_rows(project: Path) -> None:
    schema = fiat(project, "data", "schema", "people.csv", "--label", "rich")
    (project / "s.yaml").write_text(schema)
    assert "no anomalies" in fiat(project, "data", "check", "people.csv", "--schema", "s.yaml")
    (project / "bad.csv").write_text(ROWS.replace("7,27,Oslo", "7,27,Atlantis", 1))
    text = fiat(project, "data", "check", "bad.csv", "--schema", "s.yaml", code=1)
    assert "Atlantis" in text
    assert "row 8" in text
    found = json.loads(fiat(project, "data", "check", "bad.csv", "--schema", "s.yaml", "--json", code=1))
    assert found["errors"] == 1
    (anomaly,) = found["anomalies"]
    assert (anomaly["column"], anomaly["n_rows"]) == ("city", 1)
    assert anomaly["examples"] == [{"split": "train", "row": 8, "value": "Atlantis"}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "spec.yaml", "--schema", "s.yaml"), "--schema: for files only, and spec.yaml is a spec"),
        (("describe", "spec.yaml", "--label", "city", "--no-header"), "--no-header, --label: for files only"),
        (("check", "people.csv", "--data", "people"), "--data: for specs only, and people.csv is none"),
        (("schema", "people.csv", "a.b=3"), "a.b=3: for specs only"),
        (("describe", "people.csv", "--label", "wealth"), "people.csv has no column 'wealth' to predict"),
        (
            ("check", "people.csv", "--schema", "s.yaml", "--environment", "moon"),
            "the schema has no environment moon",
        ),
    ],
)
def test_an_option_that_nothing_would_look_at_is_refused(
    project: Path, words: tuple[str, ...], said: str
) -> None:
    (project / "s.yaml").write_text("fiat_schema: 1\ncolumns: {age: {type: int}}\n")
    assert said in fiat(project, "data", *words, code=2)


def test_a_checks_answer_on_a_spec_is_that_of_a_run(project: Path) -> None:
    (project / "spec.yaml").write_text(SPEC.replace("min: 100", "min: 1000"))
    text = fiat(project, "data", "check", "spec.yaml", code=1)
    assert "200" in text
    assert "1,000" in text
    run = json.loads(fiat(project, "run", "spec.yaml", "--json", code=1))
    assert "1,000" in run["gates"][0]["reason"]


def test_a_schema_is_frozen_once_and_then_compared(project: Path) -> None:
    told = fiat(project, "schema", "freeze", "spec.yaml")
    path = project / "schemas" / "people.yaml"
    assert path.is_file()
    assert "schema: schemas/people.yaml" in told
    assert "is there already" in fiat(project, "schema", "freeze", "spec.yaml", code=2)
    (project / "spec.yaml").write_text(
        SPEC.replace("    label", "    schema: schemas/people.yaml\n    label")
    )
    assert "the same as schemas/people.yaml" in fiat(project, "schema", "diff", "spec.yaml")
    (project / "people.csv").write_text(ROWS.replace("Rome", "Lima"))
    assert "Lima" in fiat(project, "schema", "diff", "spec.yaml")
    document = json.loads(fiat(project, "schema", "diff", "spec.yaml", "--json"))
    assert {change["column"] for change in document["changes"]} == {"city"}
    assert "Lima" in fiat(project, "data", "check", "spec.yaml", code=1)


def test_a_schema_is_compared_with_that_of_the_data_before(project: Path) -> None:
    assert "there is no earlier schema" in fiat(project, "schema", "diff", "spec.yaml", code=2)
    fiat(project, "run", "spec.yaml")
    (project / "people.csv").write_text(ROWS.replace("Rome", "Lima"))
    document = json.loads(fiat(project, "schema", "diff", "spec.yaml", "--json"))
    assert document["against"] == "the data of the run before"
    assert {change["column"] for change in document["changes"]} == {"city"}


def test_json_schemas_are_printed_as_before(project: Path) -> None:
    documents = [json.loads(fiat(project, "schema", *words)) for words in ((), ("spec",), ("runner",))]
    assert documents[0] == documents[1]
    assert documents[0]["title"] == "Fiat spec"
    assert documents[2]["title"] != "Fiat spec"


def test_one_changed_value_is_found_and_is_no_drift(project: Path) -> None:
    (project / "new.csv").write_text(ROWS.replace("17,37,Oslo", "17,38,Oslo"))
    text = fiat(project, "data", "diff", "people.csv", "new.csv")
    assert "1 changed; no column drifted" in text
    found = json.loads(fiat(project, "data", "diff", "people.csv", "new.csv", "--key", "id", "--json"))
    assert (found["rows"]["n_changed"], found["rows"]["n_added"], found["rows"]["n_removed"]) == (1, 0, 0)
    (change,) = found["rows"]["examples"]
    assert change["cells"] == [{"column": "age", "before": 37, "after": 38}]
    assert change["key"] == [["id", 17]]
    assert not any(move["drifted"] for move in found["moves"])
    assert "the same rows" in fiat(project, "data", "diff", "people.csv", "people.csv")


def test_the_data_report_is_written(project: Path) -> None:
    fiat(project, "data", "describe", "spec.yaml", "--html", "report.html")
    page = (project / "report.html").read_text("utf-8")
    assert page.startswith("<!")
    assert "<script" not in page
    for column in ("age", "city", "rich"):
        assert column in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data", "describe", "nowhere.csv"), "there is no nowhere.csv"),
        (("data", "describe", "spec.yaml", "--data", "x"), "there is no dataset x"),
        (("data", "check", "people.csv", "--schema", "nowhere.yaml"), "can't be read"),
        (("data", "diff", "people.csv", "people.csv", "--key", "nobody"), "nobody"),
        (("schema", "freeze", "people.csv"), "`fiat data schema FILE` prints one"),
    ],
)
def test_what_can_not_be_looked_at_is_a_sentence(project: Path, words: tuple[str, ...], said: str) -> None:
    assert said in fiat(project, *words, code=2)


@needs_penguins
def test_unlabelled_penguins_lack_the_label_only_where_it_is_expected(tmp_path: Path) -> None:
    labelled, unlabelled = (str(PENGUINS / f"penguins_{word}.csv") for word in ("processed", "unlabelled"))
    (tmp_path / "s.yaml").write_text(fiat(tmp_path, "data", "schema", labelled, "--label", "species"))
    text = fiat(tmp_path, "data", "check", unlabelled, "--schema", "s.yaml", code=1)
    assert "species" in text
    served = fiat(tmp_path, "data", "check", unlabelled, "--schema", "s.yaml", "--environment", "serving")
    assert "no anomalies" in served


@needs_penguins
def test_one_value_of_a_penguin_is_found_and_is_no_drift(tmp_path: Path) -> None:
    labelled = PENGUINS / "penguins_processed.csv"
    lines = labelled.read_text().splitlines()
    fields = lines[100].split(",")
    lines[100] = ",".join([*fields[:4], "0.5"])
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    text = fiat(tmp_path, "data", "diff", str(labelled), "new.csv")
    assert "1 changed; no column drifted" in text
    assert "body_mass_g" in text


def test_a_schema_that_the_spec_names_and_that_is_not_there_yet_is_frozen(project: Path) -> None:
    (project / "spec.yaml").write_text(SPEC.replace("    label", "    schema: people.yaml\n    label"))
    assert "people.yaml" in fiat(project, "data", "check", "spec.yaml", code=2)
    told = fiat(project, "schema", "freeze", "spec.yaml")
    assert (project / "people.yaml").is_file()
    assert "add to" not in told
    assert "no anomalies" in fiat(project, "data", "check", "spec.yaml")


def test_a_report_with_earlier_data_shows_what_moved_and_an_id_is_none(project: Path) -> None:
    drift = SPEC.replace(
        "min: 100}}]", "min: 100}}, {drift: {against: previous, max: 0.3, columns: {age: 1}}}]"
    )
    (project / "spec.yaml").write_text(drift)
    fiat(project, "run", "spec.yaml")
    moved = "".join(
        f"{int(line.split(',')[0]) + 5000},{line.split(',', 1)[1]}\n" for line in ROWS.splitlines()[1:]
    )
    (project / "people.csv").write_text("id,age,city,rich\n" + moved)
    text = fiat(project, "data", "check", "spec.yaml", "--html", "report.html")
    assert "no anomalies" in text
    assert "Moved" in (project / "report.html").read_text("utf-8")
    (project / "people.csv").write_text("id,age,city,rich\n" + moved.replace("Rome", "Oslo"))
    assert "city" in fiat(project, "data", "check", "spec.yaml", code=1)


def test_what_reading_warned_of_is_said_where_data_are_checked(project: Path) -> None:
    (project / "in").mkdir()
    for number in (1, 2):
        (project / "in" / f"{number}.csv").write_text(ROWS)
    spec = SPEC.replace("source: {path: people.csv}", "span: {pattern: 'in/{SPAN}.csv', use: {last: 3}}")
    (project / "spec.yaml").write_text(spec)
    document = json.loads(fiat(project, "data", "check", "spec.yaml", "--json"))
    assert len(document["warnings"]) == 1
    assert "2 of the last 3 spans" in document["warnings"][0]
    fiat(project, "run", "spec.yaml")
    assert json.loads(fiat(project, "data", "check", "spec.yaml", "--json")) == document
