"""Queries over a dataset's splits: what they find, what they say when faulty, and what they can't do."""

import resource
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from fiat.data.stream import tensor_array
from fiat.errors import EnvironmentFault, SpecError
from fiat.validate.model import Anomaly, Example, SqlRule
from fiat.validate.sql_check import SqlLimits, run_sql_rule
from fiat.validate.sql_child import find_rows, open_database
from fiat.validate.sql_fault import Refused
from tests.validate.folders import dataset

LIMITS = SqlLimits(timeout_s=120, memory_bytes=256 * 1024**2)
SHORT = SqlLimits(timeout_s=1.5, memory_bytes=256 * 1024**2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 rows of train, 100 of test; ages from -2."""
    rng = np.random.default_rng(0)

    def rows(count: int) -> dict[str, object]:
        return {
            "id": np.arange(count),
            "age": np.arange(count) % 60 - 2,
            "name": [f"n{row}" if row % 7 else None for row in range(count)],
            "score": rng.normal(size=count),
            "image": tensor_array(np.zeros((count, 2, 2), np.uint8)),
        }

    return dataset(tmp_path_factory.mktemp("sql") / "d", chunk_rows=64, train=rows(300), test=rows(100))


def run(folder: Path, query: str, limits: SqlLimits = LIMITS) -> tuple[Anomaly, ...]:
    return run_sql_rule(folder, SqlRule(query, key="checks[1]"), limits)


def refusal(folder: Path, query: str, limits: SqlLimits = LIMITS) -> SpecError:
    with pytest.raises(SpecError) as caught:
        run(folder, query, limits)
    return caught.value


def test_rows_that_a_query_finds_are_anomalies_with_their_numbers(folder: Path) -> None:
    (found,) = run(folder, "select * from train where age < 0")
    assert (found.kind, found.n_rows, found.split, found.key) == ("sql", 10, "train", "checks[1].sql")
    assert [item.row for item in found.examples] == [1, 2, 61, 62, 121, 122, 181, 182, 241, 242]
    assert found.examples[2].value == {
        "id": 60, "age": -2, "name": "n60", "score": found.examples[2].value["score"], "image": [0, 0, 0, 0]
    }  # type: ignore[index]  # fmt: skip
    assert found.message == "10 rows found by the query 'select * from train where age < 0', expected none"


def test_ten_examples_are_kept_of_however_many_rows(folder: Path) -> None:
    (found,) = run(folder, "select age from train")
    assert (found.n_rows, len(found.examples)) == (300, 10)
    assert found.examples[0] == Example("", 0, {"age": -2})


def test_no_rows_are_no_anomaly(folder: Path) -> None:
    assert run(folder, "select * from train where age > 1000") == ()
    assert run(folder, "select * from eval") == ()


def test_a_count_above_0_is_an_anomaly_of_so_many_rows(folder: Path) -> None:
    (found,) = run(folder, "select count(*) from train where age < 0")
    assert (found.n_rows, found.value, found.limit, found.examples) == (10, 10.0, 0.0, ())
    assert "gives 10, expected 0" in found.message
    assert run(folder, "select count(*) from train where age > 1000") == ()
    assert run(folder, "select sum(age) from train where age > 1000") == ()


def test_one_row_with_one_number_that_is_no_count_is_a_row(folder: Path) -> None:
    (found,) = run(folder, "select age from train where id = 0")
    assert (found.n_rows, found.examples[0].value) == (1, {"age": -2})
    (found,) = run(folder, "select age from train group by age having count(*) >= 5 order by age limit 1")
    assert found.n_rows == 1


@pytest.mark.parametrize("query", ["select count(*), max(age) from train", "select max(name) from train"])
def test_a_query_that_always_gives_one_row_that_is_no_count_is_refused(folder: Path, query: str) -> None:
    assert "always gives one row" in refusal(folder, query).message


def test_rows_of_several_splits_are_told_apart(folder: Path) -> None:
    query = "select * from train where id = 7 union all select * from test where id = 8"
    (found,) = run(folder, query)
    assert [(item.split, item.row) for item in found.examples] == [("train", 8), ("test", 9)]
    assert found.split == ""


def test_rows_are_traced_through_an_order_and_not_where_they_can_not_be(folder: Path) -> None:
    (found,) = run(folder, "select * from test order by score desc limit 2")
    scores = [item.value["score"] for item in found.examples]  # type: ignore[index]
    assert all(item.split == "test" and item.row for item in found.examples)
    assert scores == sorted(scores, reverse=True)
    (found,) = run(folder, "select distinct age from test where age < 0")
    assert [(item.split, item.row) for item in found.examples] == [("", 0)] * 2
    (found,) = run(
        folder,
        "select * exclude (score, image) from train intersect select * exclude (score, image) from test",
    )
    assert found.n_rows == 100


def test_row_numbers_may_be_asked_for(folder: Path) -> None:
    (found,) = run(folder, "select _row, age from test where age = 5 order by _row desc")
    assert [(item.split, item.row) for item in found.examples] == [("test", 68), ("test", 8)]
    (both,) = run(folder, "select t._row, e._row as other from train t join test e using (id) where id = 3")
    assert both.examples[0].value == {"_row": 4, "other": 4}


def test_severity_is_the_rules(folder: Path) -> None:
    (found,) = run_sql_rule(folder, SqlRule("select * from test", "warn"), LIMITS)
    assert found.severity == "warn"


FAULTS = {
    "select * from trian": ("line 1, column 15", 'did you mean "train"?'),
    "select aeg from train": ("line 1, column 8", 'did you mean "age"'),
    "select age,\n  nmae\nfrom train": ("line 2, column 3", 'did you mean "name"'),
    "selec age from train": ("line 1, column 1", "tables are train, eval, test"),
    "select cont(*) from train": ("line 1, column 8", ""),
    f"select * from train where {' or '.join(['age = 1'] * 40)} or aeg = 2": ("line 1, column 467", '"age"'),
    # Which of the texts is met first is up to the threads.
    "select name::int from train where name = 'n1'": ("'n1'", ""),
}


@pytest.mark.parametrize("query", FAULTS, ids=[query[:40] for query in FAULTS])
def test_a_faulty_query_is_told_with_its_place_and_the_nearest_spelling(folder: Path, query: str) -> None:
    place, hint = FAULTS[query]
    error = refusal(folder, query)
    assert error.message.startswith("checks[1].sql: ")
    assert place in error.message
    assert hint in error.hint


NO_QUERIES = [
    "",
    "-- nothing",
    "select 1; select 2",
    "select * from train where age < 0; drop table train",
    "drop view train",
    "create table x as select 1",
    "insert into train values (1)",
    "delete from train",
    "update train set age = 1",
    "pragma database_list",
    "set memory_limit = '10GB'",
    "set enable_external_access = true",
    "reset enable_external_access",
    "copy (select 1) to '/tmp/fiat-sql-check.csv'",
    "copy train from '/etc/passwd'",
    "attach '/tmp/fiat-sql-check.db' as x",
    "install httpfs",
    "load httpfs",
    "export database '/tmp/fiat-sql-check'",
    "import database '/tmp'",
    "call pragma_version()",
    "prepare x as select 1",
    "begin transaction",
    "explain analyze select 1",
    "create secret (type s3, key_id 'x', secret 'y')",
    "use memory",
    "vacuum",
]


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """The database of the query's process, in this one."""
    with open_database(asdict(LIMITS)) as opened:
        yield opened


def test_a_refusal_in_the_process_is_one_outside(folder: Path) -> None:
    assert refusal(folder, "drop view train").message == "checks[1].sql: DROP is no query"
    error = refusal(folder, "select * from read_csv('/etc/passwd')")
    assert "file system operations are disabled" in error.message
    assert error.hint == "a check sees the tables train, eval, test and nothing else"


@pytest.mark.parametrize("query", NO_QUERIES)
def test_what_is_not_one_query_is_refused(database: duckdb.DuckDBPyConnection, query: str) -> None:
    with pytest.raises(Refused) as caught:
        find_rows(database, {"train": pa.table({"age": [1]})}, query)
    error = caught.value
    assert any(words in error.message for words in ("is empty", "statements", "is no query"))
    assert not list(Path("/tmp").glob("fiat-sql-check*"))


REACHING = [
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/proc/self/environ')",
    "select * from glob('/etc/*')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from read_json('http://127.0.0.1:1/x')",
    "select * from read_parquet('s3://bucket/x')",
    "select * from query('select * from read_csv(''/etc/passwd'')')",
    "with x as (select * from read_text('/etc/passwd')) select * from x",
    "select getenv('HOME')",
    "select * from tables",
    "select * from sqlite_scan('/tmp/x.db', 'x')",
    "select * from postgres_scan('host=127.0.0.1', 'x', 'y')",
]


@pytest.mark.parametrize("query", REACHING)
def test_a_query_reaches_no_file_network_environment_or_variable(
    database: duckdb.DuckDBPyConnection, query: str
) -> None:
    tables = {"train": pa.table({"age": [1]})}
    with pytest.raises(Refused) as caught:
        find_rows(database, tables, query)
    assert "root:" not in f"{caught.value.message} {caught.value.hint}"


HOSTILE = {
    "a join of all with all": (
        "select count(*) from train a, train b, train c, train d, train e",
        "stopped after",
    ),
    "rows without end": ("select * from range(100000000000)", "stopped after"),
    "recursion without end": (
        "with recursive r as (select 1 x union all select x + 1 from r) select count(*) from r",
        "stopped after",
    ),
    "a large sort": ("select * from range(100000000) order by hash(range)", "memory"),
    "a large list": (
        "select count(*) from (select list(range) l from range(1000000000)) where len(l) > 1",
        "memory",
    ),
    "a text of gigabytes": ("select repeat('x', 4000000000) from range(50)", "memory"),
    "texts of gigabytes": ("select length(string_agg(repeat('x', 100000))) from range(1000000)", "memory"),
    "parentheses": (f"select {'(' * 100_000}1{')' * 100_000}", "depth"),
    "a sum without end": (f"select {'+'.join('1' * 100_000)}", "depth"),
    "nested queries": (f"select * from {'(select * from ' * 3_000}train{')' * 3_000}", ""),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_query_is_stopped_soon(folder: Path, what: str) -> None:
    query, words = HOSTILE[what]
    started = time.perf_counter()
    error = refusal(folder, query, SHORT)
    assert words in error.message
    assert time.perf_counter() - started < 30
    largest_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert largest_kib < 2 * 1024**2


def test_nothing_is_written_where_memory_ends(folder: Path) -> None:
    before = sorted(Path("/tmp").glob("*duckdb*")) + sorted(Path.cwd().glob(".tmp*"))
    refusal(folder, "select * from range(100000000) order by hash(range)")
    assert sorted(Path("/tmp").glob("*duckdb*")) + sorted(Path.cwd().glob(".tmp*")) == before


def test_a_column_of_the_datas_own_name_row_is_left_alone(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "d", train={"_row": [7, 8], "a": [1, 2]})
    (found,) = run(folder, "select * from train where a = 2")
    assert found.examples[0].value == {"_row": 8, "a": 2}


def test_odd_values_are_shown_as_json_has_them(tmp_path: Path) -> None:
    table = pa.table(
        {
            "f": [float("nan")],
            "t": pa.array([1_700_000_000], pa.timestamp("s")),
            "l": [[1, 2]],
            "b": [b"\xff\x00"],
            "d": pa.array(["x"]).dictionary_encode(),
        }
    )
    folder = dataset(tmp_path / "d", train=table)
    (found,) = run(folder, "select * from train")
    value = found.examples[0].value
    assert isinstance(value, dict)
    assert value["f"] == "NaN"
    assert value["t"].startswith("2023-11-14T22:13:20")
    assert (value["l"], value["d"]) == ([1, 2], "x")
    assert found.examples[0].row == 1


def test_a_folder_that_is_no_dataset_is_a_fault_of_the_environment(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="the dataset can't be read"):
        run(tmp_path, "select 1")


@pytest.mark.parametrize(
    "query", ["select 'é ü 日本' as x from train limit 1", 'select 1 as "a\'b" from train limit 1']
)
def test_any_text_may_stand_in_a_query(folder: Path, query: str) -> None:
    assert len(run(folder, query)) == 1
