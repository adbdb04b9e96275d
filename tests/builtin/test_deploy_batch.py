import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiat.builtin.deploy_batch import BatchTarget
from fiat.data.stream import tensor_array
from fiat.errors import EnvironmentFault, SpecError, Stalled
from fiat.ports.deploy import DeployRequest, DeployTarget
from fiat.testing.deploy_suite import DeploySuite
from fiat.testing.sample_columns import make_column_package
from fiat.testing.sample_packages import make_package

HERE = {**os.environ, "FIAT_COMPUTE": "local"}
CITIES = ("Ulm", "Bonn", None)
Ask = Callable[..., DeployRequest]


class TestConformance(DeploySuite):
    @pytest.fixture
    def target(self) -> DeployTarget:
        return BatchTarget(HERE, lock_wait_s=0.05)

    @pytest.fixture
    def settings(self, root: Path) -> Mapping[str, object]:
        rows = {name: [1.0, 2.0, 3.0] for name in "pqr"}
        pq.write_table(pa.table(rows), root / "rows.parquet")
        return {"input": "rows.parquet", "output": "scores/new.parquet"}

    @pytest.fixture
    def stride(self) -> int:
        return 60


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Makes requests: a limit of the sample model, and settings."""
    packages = {limit: make_column_package(tmp_path / "packages", limit) for limit in (30, 40)}
    root = tmp_path / "root"
    root.mkdir()

    def make(limit: int, *, generation: int = 0, **settings: object) -> DeployRequest:
        package = packages[limit]
        given = {"input": "new/*.parquet", "output": "scores.parquet", **settings, "model": "guests"}
        return DeployRequest("nightly", given, package.folder, package.digest, root, generation, commit="abc")

    return make


def write_guests(root: Path, n_rows: int, n_files: int = 1) -> None:
    (root / "new").mkdir(exist_ok=True)
    for number in range(n_files):
        ages = [float((number * n_rows + row) % 60) for row in range(n_rows)]
        cities = [CITIES[row % 3] for row in range(n_rows)]
        pq.write_table(pa.table({"age": ages, "city": cities}), root / "new" / f"{number}.parquet")


def account_of(root: Path, name: str = "scores.parquet") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"{name}.fiat.json").read_bytes())
    return found


def failed_of(root: Path, name: str = "scores.parquet") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(root / f"{name}.failed.parquet").to_pylist()
    return found


def test_every_row_of_all_files_is_scored_in_order_with_labels_and_probabilities(ask: Ask) -> None:
    request = ask(30)
    write_guests(request.root, 1000, n_files=3)
    BatchTarget(HERE, block_rows=400).apply(request)
    scores = pq.read_table(request.root / "scores.parquet")
    assert scores.column_names == ["row", "scores", "label", "probabilities"]
    assert scores.column("row").to_pylist() == list(range(3000))
    expected = [
        "yes" if row % 60 > 30 or (row % 60 == 30 and row % 1000 % 3 == 0) else "no" for row in range(3000)
    ]
    found = scores.column("label").to_pylist()
    # At the limit itself both scores are equal outside Ulm, and the first class is taken.
    assert found == expected
    yes = scores.column("probabilities").to_pylist()[59][1]
    assert 0.99 < yes <= 1
    account = account_of(request.root)
    assert (account["rows"], account["failed"], account["commit"]) == (3000, 0, "abc")
    assert account["model_digest"] == request.digest


def test_failed_rows_are_named_with_file_row_and_reason_and_keep_their_place(ask: Ask) -> None:
    request = ask(30, input="guests.csv", output="scores.csv")
    lines = ["age,city", "20,Ulm", "old,Ulm", "50,Bonn", "250,Bonn", ",Ulm", "true,Ulm"]
    (request.root / "guests.csv").write_text("\n".join(lines) + "\n")
    BatchTarget(HERE, block_rows=4).apply(request)
    found = duckdb.sql(f"from read_csv('{request.root}/scores.csv', all_varchar=true)")
    rows = found.fetchall()
    assert [row[0] for row in rows] == list("012345")
    assert found.columns == [
        "row",
        "scores.no",
        "scores.yes",
        "label",
        "probabilities.no",
        "probabilities.yes",
    ]
    labels = [row[3] for row in rows]
    assert labels == ["no", None, "yes", None, "no", "no"]
    failed = failed_of(request.root, "scores.csv")
    assert [(row["row"], row["file"], row["file_row"]) for row in failed] == [
        (1, "guests.csv", 2),
        (3, "guests.csv", 4),
    ]
    assert failed[0]["reason"] == "age is `old`, not a number"
    assert "idx" in failed[1]["reason"] or "bounds" in failed[1]["reason"]
    assert account_of(request.root, "scores.csv")["failed"] == 2
    state = BatchTarget(HERE).state(request)
    assert state.phase == "serving"
    assert "2 of them failed" in state.sentence


def test_when_no_row_can_be_scored_the_deploy_fails_and_what_was_there_stays(ask: Ask) -> None:
    request = ask(30, input="guests.csv")
    (request.root / "guests.csv").write_text("age,city\n20,Ulm\n")
    target = BatchTarget(HERE)
    target.apply(request)
    before = (request.root / "scores.parquet").read_bytes()
    (request.root / "guests.csv").write_text("age,city\nyoung,Ulm\nold,Ulm\n")
    with pytest.raises(SpecError, match=r"none of the 2 rows .* guests.csv row 1: age is `young`"):
        target.apply(request)
    assert (request.root / "scores.parquet").read_bytes() == before


def test_numbers_in_a_column_of_texts_stay_texts(ask: Ask) -> None:
    request = ask(30, input="guests.csv")
    (request.root / "guests.csv").write_text("age,city\n31,07\n29,08\n")
    BatchTarget(HERE).apply(request)
    assert pq.read_table(request.root / "scores.parquet").column("label").to_pylist() == ["yes", "no"]


def test_json_lines_are_read_and_a_folder_gets_a_file_a_block(ask: Ask) -> None:
    request = ask(30, input="guests.jsonl", output="scores")
    lines = [json.dumps({"city": "Ulm", "age": age}) for age in (10, 50, 30)]
    (request.root / "guests.jsonl").write_text("\n".join(lines) + "\n")
    BatchTarget(HERE, block_rows=2).apply(request)
    assert sorted(path.name for path in (request.root / "scores").iterdir()) == [
        "part-000000.parquet",
        "part-000001.parquet",
    ]
    found = duckdb.sql(f"select label from '{request.root}/scores/*.parquet' order by row").fetchall()
    assert found == [("no",), ("yes",), ("yes",)]


def test_a_dataset_of_the_spec_is_scored_split_by_split(ask: Ask, tmp_path: Path) -> None:
    package = make_package(tmp_path / "matrix", 3)
    folder = tmp_path / "dataset"
    folder.mkdir()
    for name, first, n_rows in (("train", 0, 5), ("eval", 5, 0), ("test", 5, 2)):
        table = pa.table({column: [float(first + row) for row in range(n_rows)] for column in "pqr"})
        with (
            pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as file,
        ):
            file.write_table(table)
    request = replace(
        ask(30, input="data.main"), package=package.folder, digest=package.digest, inputs={"main": folder}
    )
    target = BatchTarget(HERE, block_rows=3)
    target.apply(request)
    scores = pq.read_table(request.root / "scores.parquet")
    assert [row[0] for row in scores.column("y").to_pylist()] == [3.0 * row for row in range(7)]
    assert target.observe(request) == package.digest
    assert target.observe(replace(request, inputs=None)) == package.digest
    (folder / "extra").write_text("other content")
    assert target.observe(request) is None


def test_images_and_other_tensors_are_no_text_to_be_scored(ask: Ask) -> None:
    request = ask(30)
    (request.root / "new").mkdir()
    table = pa.table({"age": tensor_array(pa.array([1.0, 2.0]).to_numpy().reshape(1, 2)), "city": ["Ulm"]})
    pq.write_table(table, request.root / "new" / "0.parquet")
    with pytest.raises(SpecError, match="age"):
        BatchTarget(HERE).apply(request)


def test_a_changed_input_is_scored_anew_and_one_that_was_only_touched_is_not(ask: Ask) -> None:
    request = ask(30)
    write_guests(request.root, 10)
    target = BatchTarget(HERE)
    target.apply(request)
    os.utime(request.root / "new" / "0.parquet")
    assert target.observe(request) == request.digest
    write_guests(request.root, 10, n_files=2)
    assert target.observe(request) is None
    state = target.state(request)
    assert state.phase == "broken"
    assert state.faults == ("new/*.parquet has other content now",)
    target.apply(request)
    assert account_of(request.root)["rows"] == 20
    assert target.state(request).phase == "serving"


def test_scores_inside_the_folder_of_the_input_are_no_input(ask: Ask) -> None:
    request = ask(30, input="new", output="new/scores.parquet")
    write_guests(request.root, 5)
    target = BatchTarget(HERE)
    for _ in range(2):
        target.apply(request)
        assert account_of(request.root / "new")["rows"] == 5
    assert target.observe(request) == request.digest


def test_going_back_to_the_model_before_scores_nothing_again(ask: Ask) -> None:
    write_guests(ask(30).root, 50)
    target = BatchTarget(HERE)
    for generation, limit in enumerate((30, 40), start=1):
        target.apply(ask(limit, generation=generation))
    scored = ask(30).root / ".scores.parquet.batch" / next(_versions(ask(30))) / "scores.parquet"
    inode = scored.stat().st_ino
    target.apply(ask(30, generation=3))
    assert target.observe(ask(30)) == ask(30).digest
    assert (ask(30).root / "scores.parquet").stat().st_ino == inode
    with pytest.raises(Stalled):
        target.apply(ask(40, generation=2))


def _versions(request: DeployRequest) -> Any:
    shelf = request.root / ".scores.parquet.batch"
    return (path.name for path in shelf.iterdir() if path.name.startswith(request.digest))


@pytest.mark.parametrize("lost", ["scores.parquet", ".scores.parquet.batch/{version}/scores.parquet"])
def test_scores_that_are_gone_are_missed_and_mended(ask: Ask, lost: str) -> None:
    request = ask(30)
    write_guests(request.root, 5)
    target = BatchTarget(HERE)
    target.apply(request)
    (request.root / lost.format(version=next(_versions(request)))).unlink()
    assert target.observe(request) is None
    assert target.state(request).phase == "broken"
    target.apply(request)
    assert target.state(request).phase == "serving"
    assert pq.read_table(request.root / "scores.parquet").num_rows == 5


def test_what_stands_in_the_way_is_not_replaced(ask: Ask) -> None:
    request = ask(30)
    write_guests(request.root, 5)
    (request.root / "scores.parquet").write_text("mine")
    with pytest.raises(SpecError, match="was not put there by a deploy"):
        BatchTarget(HERE).apply(request)
    assert (request.root / "scores.parquet").read_text() == "mine"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"input": "no/*.parquet"}, "no file matches"),
        ({"output": "../scores.parquet"}, "leaves the checkout"),
        ({"output": "scores.xlsx"}, "xlsx files are not written"),
        ({"input": "data.main"}, "was not laid out"),
    ],
)
def test_settings_that_lead_nowhere_are_told(ask: Ask, settings: dict[str, object], words: str) -> None:
    request = ask(30, **settings)
    with pytest.raises((SpecError, EnvironmentFault), match=words):
        BatchTarget(HERE).apply(request)
    assert not (request.root / "scores.parquet").exists()


def test_a_stranger_reads_and_writes_nothing_outside_the_targets_folder(ask: Ask, tmp_path: Path) -> None:
    write_guests(tmp_path, 5)
    write_guests(ask(30).root, 5)
    for settings in (
        {"input": "../new/*.parquet"},
        {"input": str(tmp_path / "new" / "0.parquet")},
        {"output": str(tmp_path / "scores.parquet")},
        {"output": ".git/scores.parquet"},
    ):
        with pytest.raises(SpecError):
            BatchTarget(HERE).apply(replace(ask(30, **settings), confined=True))
    BatchTarget(HERE).apply(replace(ask(30), confined=True))


def test_a_column_that_the_input_lacks_is_named(ask: Ask) -> None:
    request = ask(30, input="guests.csv")
    (request.root / "guests.csv").write_text("age\n31\n")
    with pytest.raises(SpecError, match="city"):
        BatchTarget(HERE).apply(request)


def test_killed_in_the_middle_it_goes_on_with_what_is_missing(ask: Ask) -> None:
    request = ask(30)
    write_guests(request.root, 60_000)
    work = request.root / ".scores.parquet.batch" / "work"
    arguments = {
        name: str(value)
        for name, value in {
            "package": request.package,
            "digest": request.digest,
            "root": request.root,
        }.items()
    }
    code = (
        "import json, sys; from pathlib import Path; from fiat.builtin.deploy_batch import BatchTarget;"
        "from fiat.ports.deploy import DeployRequest; given = json.loads(sys.argv[1]);"
        "BatchTarget(block_rows=100).apply(DeployRequest('nightly', given['settings'], Path(given['package']),"
        "given['digest'], Path(given['root'])))"
    )
    given = json.dumps({**arguments, "settings": dict(request.settings)})
    process = subprocess.Popen([sys.executable, "-c", code, given], env=HERE)
    deadline = time.monotonic() + 30
    while len(list(work.glob("*/part-*.arrow"))) < 5:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    target = BatchTarget(HERE, block_rows=100)
    assert target.observe(request) is None
    target.apply(request)
    account = account_of(request.root)
    assert account["rows"] == 60_000
    assert 500 <= account["rows_from_an_earlier_try"] < 60_000
    scores = pq.read_table(request.root / "scores.parquet")
    assert scores.column("row").to_pylist() == list(range(60_000))
    assert scores.column("label").null_count == 0
    assert not work.exists()
