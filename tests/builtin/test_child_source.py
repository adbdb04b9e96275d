"""Role `source`: what a function may return, in a real child process."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fiat.builtin.child_source import keep
from fiat.errors import SpecError

sys.path.insert(0, str(Path(__file__).parent))
from child_stage import Ended, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def make(stage: Stage, code: str, **more: Any) -> Ended:
    stage.module("work", code)
    more.setdefault("outputs", {"data": str(stage.work / "data")})
    return stage.run("work:rows", "source", **more)


def table(stage: Stage) -> pa.Table:
    with pa.memory_map(str(stage.work / "data" / "data.arrow")) as mapped:
        return pa.ipc.open_file(mapped).read_all()


COLUMNS = {"a": [1, 2, 3], "b": ["x", None, "z"]}
TABLE = pa.table(COLUMNS)
ROWS = TABLE.to_pylist()
FRAME = pd.DataFrame({**COLUMNS, "n": [5, 6, 7], "more": [1, 1, 1]})


def kept(folder: Path, returned: object, max_bytes: int = 1 << 20) -> pa.Table:
    keep(returned, folder / "data", "work:rows", max_bytes)
    with pa.memory_map(str(folder / "data" / "data.arrow")) as mapped:
        return pa.ipc.open_file(mapped).read_all()


@pytest.mark.parametrize(
    "returned",
    [
        lambda: TABLE,
        lambda: TABLE.to_reader(max_chunksize=1),
        lambda: pd.DataFrame(COLUMNS),
        lambda: FRAME[FRAME.n > 0].drop(columns=["n", "more"]),
        lambda: pl.DataFrame(COLUMNS),
        lambda: pl.LazyFrame(COLUMNS),
        lambda: COLUMNS,
        lambda: {"a": np.array([1, 2, 3]), "b": COLUMNS["b"]},
        lambda: {"a": pd.Series([1, 2, 3]), "b": pl.Series(COLUMNS["b"])},
        lambda: (piece for piece in TABLE.to_batches(max_chunksize=2)),
        lambda: [TABLE.slice(0, 1), TABLE.slice(1, 2)],
        lambda: (pl.DataFrame(COLUMNS).slice(at, 1) for at in range(3)),
        lambda: ({"a": np.array([at + 1]), "b": [COLUMNS["b"][at]]} for at in range(3)),
        lambda: ROWS,
        lambda: iter(ROWS),
        lambda: ({"a": np.int64(row["a"]), "b": row["b"]} for row in ROWS),
    ],
)
def test_rows_come_from_whatever_holds_them(tmp_path: Path, returned: Any) -> None:
    assert kept(tmp_path, returned()).to_pydict() == COLUMNS


def test_an_index_with_a_name_is_data_and_one_without_is_not(tmp_path: Path) -> None:
    named = kept(tmp_path / "named", FRAME.set_index("a"))
    assert sorted(named.column_names) == ["a", "b", "more", "n"]
    picked = kept(tmp_path / "picked", FRAME[FRAME.n > 5])
    assert picked.column_names == ["a", "b", "n", "more"]
    assert picked.num_rows == 2


def test_arrays_of_several_dimensions_are_tensors(tmp_path: Path) -> None:
    table = kept(tmp_path, {"x": np.ones((5, 4, 3), "f4"), "y": np.arange(5)})
    assert table.schema.field("x").type == pa.fixed_shape_tensor(pa.float32(), (4, 3))
    assert table.column("x").combine_chunks().to_numpy_ndarray().sum() == 60


def test_rows_of_a_generator_arrive_through_the_child(stage: Stage) -> None:
    ended = make(stage, "def rows():\n    yield {'a': 1, 'b': 'x'}\n    yield {'a': 2, 'b': None}\n")
    assert ended.code == 0, ended.err
    assert table(stage).to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_parameters_reach_the_function(stage: Stage) -> None:
    code = "def rows(n, seed, params):\n    return [{'i': i, 's': seed, 'k': params.k} for i in range(n)]\n"
    ended = make(stage, code, params={"n": 3, "k": "v"}, seed=7)
    assert ended.code == 0, ended.err
    assert table(stage).to_pylist() == [{"i": i, "s": 7, "k": "v"} for i in range(3)]


def test_files_that_it_wrote_are_copied(stage: Stage) -> None:
    code = """
        from pathlib import Path
        def rows(run):
            (run.work_dir / "part" / "deep").mkdir(parents=True)
            (run.work_dir / "one.csv").write_text("a\\n1\\n")
            (run.work_dir / "part" / "deep" / "two.csv").write_text("a\\n2\\n")
            return [run.work_dir / "one.csv", str(run.work_dir / "part")]
    """
    ended = make(stage, code)
    assert ended.code == 0, ended.err
    folder = stage.work / "data"
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert found == {"one.csv", "deep/two.csv"}
    assert (folder / "deep/two.csv").read_text() == "a\n2\n"


def test_types_widen_as_rows_come(tmp_path: Path) -> None:
    rows = ({"i": None if i < 20_000 else i + (0.5 if i > 35_000 else 0)} for i in range(40_000))
    values = kept(tmp_path, rows).column("i").to_pylist()
    assert values[:20_000] == [None] * 20_000
    assert values[20_000] == 20_000.0
    assert values[-1] == 39_999.5
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["data.arrow"]


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda: 7, "work:rows returned int"),
        (lambda: b"x", "work:rows returned bytes"),
        (list, "there are no rows"),
        (lambda: iter(()), "there are no rows"),
        (lambda: pa.table({"a": pa.array([], pa.int64())}), "there are no rows"),
        (dict, "there are no"),
        (lambda: iter([TABLE, 7]), "gave int as number 2 of its batches"),
        (lambda: iter([TABLE, TABLE.drop(["b"])]), "a later batch lacks column 'b'"),
        (lambda: iter([TABLE, TABLE.append_column("c", [[1, 2, 3]])]), "a later batch adds column 'c'"),
        (lambda: iter([{"a": [1]}, {"a": ["x"]}]), "column 'a' is int64 at first and string in a later"),
        (lambda: iter([{"a": [2**53 + 1]}, {"a": [0.5]}]), "a later batch does not go with the first"),
        (lambda: {"a": [1, 2], "b": [1]}, "makes no table"),
        (lambda: [{"a": 1}, {"a": 1, "b": 2}], "row 2 differs from the first in its columns: b"),
        (lambda: [{"a": 1}, 5], "row 2 is int"),
        (lambda: [{"a": 1}, {"a": "x"}], "column 'a' holds integer in row 1 and text in row 2"),
        (lambda: [{"a": 2**70}], "column 'a', row 1"),
        (lambda: "nowhere.csv", "returned nowhere.csv, where there is no file"),
        (lambda: [__file__, __file__], "returned two files named test_child_source.py"),
        (lambda: pd.DataFrame({"a": [1, "x"]}), "makes no table"),
        (lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]), "makes no table"),
        (lambda: pa.table([[1], [2]], ["a", "a"]), "two columns are named 'a'"),
    ],
)
def test_what_makes_no_data_is_refused(tmp_path: Path, returned: Any, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        kept(tmp_path, returned())
    assert said in str(caught.value)
    assert [file.name for file in (tmp_path / "data").iterdir() if file.suffix != ".py"] == []


def test_a_function_that_returns_nothing_is_refused_with_what_it_may_return(stage: Stage) -> None:
    ended = make(stage, "def rows():\n    pass\n")
    assert ended.code == 1
    assert "work:rows returned nothing (return a pyarrow table" in ended.err


def test_an_error_in_the_users_generator_is_shown_at_his_line(stage: Stage) -> None:
    ended = make(stage, "def rows():\n    yield {'a': 1}\n    raise ValueError('mine')\n")
    assert ended.code == 1
    assert ended.result is not None
    assert ended.result["error"]["line"] == 3
    assert not list((stage.work / "data").iterdir())


def test_more_bytes_than_allowed_are_refused(tmp_path: Path) -> None:
    def endless() -> Any:
        while True:
            yield {"a": "x" * 1000}

    with pytest.raises(SpecError, match="more than the 100,000 bytes allowed"):
        kept(tmp_path, endless(), 100_000)
    (tmp_path / "big.csv").write_bytes(b"x" * 2000)
    with pytest.raises(SpecError, match="more than the 1,000 bytes allowed"):
        kept(tmp_path, tmp_path / "big.csv", 1000)
    assert not list((tmp_path / "data").iterdir())
