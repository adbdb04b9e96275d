"""The data step end to end: sources and formats in, datasets, facts and warnings out."""

import gzip
import json
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiat.builtin.step_data import DataStep
from fiat.builtin.versions import STEP_VERSIONS
from fiat.data.dataset import Dataset, open_dataset
from fiat.errors import SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.step import StepContext, StepOutcome

SHARED = Path(__file__).parents[3] / "shared" / "data"
SHARES = {"train": 8, "eval": 1, "test": 1}


def run(root: Path, place: Path, params: dict[str, object], **facts: object) -> tuple[StepOutcome, Dataset]:
    work_dir, output = place / "work", place / "dataset"
    work_dir.mkdir(parents=True)
    context = StepContext(
        "data", params, {}, {"dataset": output}, root, work_dir, {"max_bytes": None, **facts}
    )
    outcome = DataStep().run(context)
    json.dumps(outcome.facts)
    assert list(work_dir.iterdir()) == []
    return outcome, open_dataset(output)


def test_a_csv_becomes_a_dataset(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n % 5}.5,{'ab'[n % 2]}\n" for n in range(1000))
    (tmp_path / "table.csv").write_text("id,x,kind\n" + rows, "utf-8")
    params = {"source": {"path": "table.csv"}, "label": "kind", "split": {**SHARES, "key": "id"}}
    outcome, data = run(tmp_path, tmp_path / "out", params)
    assert data.feature_names == ("x",)
    assert data.layout == "matrix"
    assert outcome.facts["rows"] == {"train": len(data.train), "eval": len(data.eval), "test": len(data.test)}
    assert len(data.train) + len(data.eval) + len(data.test) == 1000
    assert outcome.facts["format"] == "csv"
    assert outcome.facts["source_digest"] == data.source_digest
    assert outcome.warnings == ()


def test_the_dataset_does_not_depend_on_where_the_checkout_lies(tmp_path: Path) -> None:
    seen = []
    for name in ("one", "two/deeper"):
        root = tmp_path / name
        for label in ("cat", "dog"):
            (root / "pictures" / label).mkdir(parents=True)
            (root / "pictures" / label / "1.pgm").write_bytes(b"P5 2 2 255 " + label[:1].encode() * 4)
        run(root, tmp_path / f"out-{len(seen)}", {"source": {"path": "pictures"}})
        seen.append(
            {path.name: path.read_bytes() for path in (tmp_path / f"out-{len(seen)}" / "dataset").iterdir()}
        )
    assert seen[0] == seen[1]


def test_images_have_a_label_by_folder_and_only_pixels_as_feature(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        (tmp_path / "pictures" / label / "1.pgm").write_bytes(b"P5 2 2 255 " + label[:1].encode() * 4)
    (tmp_path / "pictures" / "README.txt").write_text("about", "utf-8")
    outcome, data = run(tmp_path, tmp_path / "out", {"source": {"path": "pictures"}})
    assert (data.label, data.classes, data.feature_names, data.layout) == (
        "label",
        ("cat", "dog"),
        ("image",),
        "tensor",
    )
    assert outcome.facts["ignored_files"] == ["pictures/README.txt"]


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.jsonl", "t.csv.gz", "t.tsv"])
def test_the_format_is_told_by_the_files_name(tmp_path: Path, name: str) -> None:
    table = pa.table({"x": [1.5, 2.5, 3.5], "y": ["a", "b", "a"]})
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(table, path)
    elif name.endswith("arrow"):
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table)
    elif name.endswith("jsonl"):
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), "utf-8")
    else:
        between = "\t" if name.endswith("tsv") else ","
        text = "".join(f"{row['x']}{between}{row['y']}\n" for row in table.to_pylist())
        content = f"x{between}y\n{text}".encode()
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    _, data = run(tmp_path, tmp_path / "out", {"source": {"path": name}, "label": "y"})
    assert data.train.features.tolist() == [[1.5], [2.5], [3.5]]
    assert data.train.codes.tolist() == [0, 1, 0]


def test_text_is_a_row_a_line(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("one\n\ntwo\r\n", "utf-8")
    _, data = run(tmp_path, tmp_path / "out", {"source": {"path": "t.txt"}})
    assert data.train.columns["text"].tolist() == ["one", "two"]
    assert data.layout == "columns"


def test_a_split_without_rows_and_a_class_only_in_test_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y,part,empty\n1,a,train,\n2,b,test,\n", "utf-8")
    params = {"source": {"path": "t.csv"}, "label": "y", "split": {"column": "part"}, "drop": ["empty"]}
    outcome, _ = run(tmp_path, tmp_path / "out", params)
    assert outcome.warnings == (
        "column 'empty' has no value in any row",
        "split eval has no rows",
        "test has labels that train does not have: b",
    )


def test_files_by_split_and_a_share_for_eval(tmp_path: Path) -> None:
    for part, n_rows in (("train", 1000), ("test", 100)):
        rows = "".join(f"{n}\n" for n in range(n_rows))
        (tmp_path / f"{part}.csv").write_text("x\n" + rows, "utf-8")
    split = {"files": {"train": "train.csv", "test": "test.csv"}}
    _, data = run(tmp_path, tmp_path / "none", {"source": {"glob": "*.csv"}, "split": split})
    assert (len(data.train), len(data.eval), len(data.test)) == (1000, 0, 100)
    split["files"]["eval"] = 0.2  # type: ignore[assignment]
    _, data = run(tmp_path, tmp_path / "share", {"source": {"glob": "*.csv"}, "split": split})
    assert 150 < len(data.eval) < 250
    assert len(data.train) + len(data.eval) == 1000
    assert len(data.test) == 100


def test_what_a_glob_names_is_read_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,x\n", "utf-8")
    (tmp_path / "b.data").write_text("2,y\n", "utf-8")
    params = {"source": {"glob": "?.*"}, "format": "csv", "header": False, "columns": ["n", "t"]}
    outcome, data = run(tmp_path, tmp_path / "out", params)
    assert data.train.columns["n"].tolist() == [1, 2]
    assert outcome.facts["ignored_files"] == []


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"span": {"pattern": "x", "use": {"last": 1}}}, "x says neither a date nor a number"),
        ({"source": {"ftp": "host/key"}}, "source of ftp is not built yet"),
        ({"source": {}}, "source of nothing"),
        ({"source": {"path": "t.bin"}}, "can't be told by name"),
        ({"source": {"glob": "t.*"}}, "can't be told by name|several formats"),
        ({"source": {"path": "t.csv"}, "label": "z"}, "label names column 'z'"),
        ({"source": {"path": "t.csv"}, "split": {**SHARES, "key": "z"}}, "split names column 'z'"),
        ({"source": {"path": "t.csv"}, "split": {"train": 0, "test": 1}}, "that of train is above 0"),
        (
            {"source": {"path": "t.csv"}, "split": {"time": {"column": "x", "test": "soon"}}},
            "'soon' is no time",
        ),
        (
            {"source": {"path": "t.csv"}, "split": {"files": {"train": "t.csv", "eval": 3}}},
            "expected a pattern, or a share",
        ),
        ({"source": {"path": "t.csv"}, "format": "parquet"}, "not a sound Parquet file"),
    ],
)
def test_a_fault_of_the_spec_is_told(tmp_path: Path, params: dict[str, object], says: str) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,2\n", "utf-8")
    (tmp_path / "t.bin").write_bytes(b"x")
    (tmp_path / "t.jsonl").write_text('{"x": 1}\n', "utf-8")
    with pytest.raises(SpecError, match=says):
        run(tmp_path, tmp_path / "out", params)


def test_a_private_address_is_refused_unless_the_operator_allows_it(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not a public address"):
        run(tmp_path, tmp_path / "out", {"source": {"url": "http://127.0.0.1:9/t.csv"}})


def test_the_version_that_a_plan_reads_is_the_steps_own() -> None:
    assert STEP_VERSIONS["data"][0] == DataStep.version


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data beside the repository")
def test_the_wine_table_has_its_rows_and_equal_rows_stay_together(tmp_path: Path) -> None:
    params = {"source": {"path": "wine-quality"}, "label": "quality", "split": SHARES}
    _, data = run(SHARED, tmp_path / "out", params)
    parts = [split.table().to_pylist() for split in (data.train, data.eval, data.test)]
    assert sum(map(len, parts)) == 4898
    train, held_out = ({tuple(row.values()) for row in part} for part in (parts[0], parts[1] + parts[2]))
    assert not train & held_out
    assert data.layout == "matrix"
    assert len(data.feature_names) == 11


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data beside the repository")
def test_fashion_mnist_is_read_as_it_is(tmp_path: Path) -> None:
    split = {"files": {"train": "train-*", "test": "t10k-*"}}
    _, data = run(
        SHARED, tmp_path / "out", {"source": {"path": "fashion-mnist"}, "label": "label", "split": split}
    )
    assert (len(data.train), len(data.eval), len(data.test)) == (60_000, 0, 10_000)
    assert data.classes == tuple(range(10))
    raw = gzip.decompress((SHARED / "fashion-mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    assert struct.unpack(">4I", raw[:16]) == (0x803, 10_000, 28, 28)
    assert np.array_equal(data.test.features.reshape(-1), np.frombuffer(raw, np.uint8, offset=16))
    assert np.bincount(data.train.codes).tolist() == [6000] * 10


@pytest.mark.slow
def test_memory_stays_bounded_from_file_to_dataset(tmp_path: Path) -> None:
    block = b"".join(b'%d,%d.25,"text of row %d",%d\n' % (row, row, row, row % 3) for row in range(50_000))
    with (tmp_path / "t.csv").open("wb") as out:
        out.write(b"id,x,note,label\n")
        for _ in range(50):
            out.write(block)
    code = """
        import sys
        from pathlib import Path
        from fiat.builtin.step_data import DataStep
        from fiat.ports.step import StepContext
        root = Path(sys.argv[1])
        (root / "work").mkdir()
        params = {"source": {"path": "t.csv"}, "label": "label", "split": {"train": 8, "eval": 1, "test": 1}}
        peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        before = peak()
        DataStep().run(StepContext("data", params, {}, {"dataset": root / "dataset"}, root, root / "work"))
        print((peak() - before) // 1024)
    """
    argv = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    data = open_dataset(tmp_path / "dataset")
    assert len(data.train) + len(data.eval) + len(data.test) == 2_500_000
    assert int(done.stdout) < 250


def test_a_strangers_small_file_that_unpacks_to_very_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "root" / "t.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"x": np.zeros(2_000_000)}), path)
    assert path.stat().st_size < 100_000
    params = {"source": {"path": "t.parquet"}}
    for confined in (True, False):
        work = tmp_path / f"work-{confined}"
        work.mkdir()
        facts = {**Confinement(confined=confined).facts(), "max_bytes": 1 << 20}
        context = StepContext(
            "data", params, {}, {"dataset": tmp_path / f"dataset-{confined}"}, path.parent, work, facts
        )
        if confined:
            with pytest.raises(SpecError, match="unpack to more than the 1,048,576 bytes allowed"):
                DataStep().run(context)
        else:
            assert DataStep().run(context).facts["rows"] == {"train": 2_000_000, "eval": 0, "test": 0}
