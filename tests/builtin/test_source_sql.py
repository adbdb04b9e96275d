"""Source `sql`: DuckDB over files, SQLite, and a real PostgreSQL."""

import contextlib
import datetime as dt
import importlib.util
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiat.builtin.source_sql import SqlSource
from fiat.builtin.source_sql_child import answer_query
from fiat.builtin.source_sql_files import FileQuery
from fiat.builtin.source_sql_text import checked_query
from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, SourceRequest
from fiat.testing.source_suite import SourceSuite

_SPEC = importlib.util.spec_from_file_location(
    "store_conftest", Path(__file__).parent.parent / "store" / "conftest.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
store_conftest = importlib.util.module_from_spec(_SPEC)
sys.modules["store_conftest"] = store_conftest
_SPEC.loader.exec_module(store_conftest)
postgres = store_conftest.postgres

STRANGER = Confinement(confined=True)
SECRET = "pa55-w0rd-of-nobody"


@pytest.fixture(scope="module")
def server(postgres: Any) -> str:
    """URL of a PostgreSQL database with a table `t` of five rows."""
    url: str = postgres.new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table t (a int, b text)")
        connection.execute("insert into t select i, 'row ' || i from generate_series(1, 5) i")
    return url


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "one.csv").write_text("a,b\n3,x\n1,\n")
    (folder / "data" / "two.csv").write_text("a,b\n2,zz\n")
    return folder


def ask(root: Path, sql: object, policy: Confinement | None = None, **more: Any) -> SourceRequest:
    """With `url` the secret DB of the request holds it."""
    folder = root.parent / f"fetched{len(list(root.parent.iterdir()))}"
    folder.mkdir()
    settings: dict[str, object] = {"sql": sql}
    url = more.pop("url", None)
    if url is not None:
        settings["connection"] = "DB"
    return SourceRequest(
        settings,
        root,
        folder,
        more.pop("private", False),
        more.pop("max_bytes", 1 << 24),
        {"DB": url} if url is not None else {},
        policy or Confinement(),
    )


def fetch(root: Path, sql: object, policy: Confinement | None = None, **more: Any) -> Fetched:
    return SqlSource().fetch(ask(root, sql, policy, **more))


def table(fetched: Fetched) -> pa.Table:
    (path,) = fetched.files
    with pa.memory_map(str(path)) as mapped:
        return pa.ipc.open_file(mapped).read_all()


def refusal(root: Path, sql: object, policy: Confinement | None = None, **more: Any) -> FiatError:
    request = ask(root, sql, policy, **more)
    with pytest.raises(FiatError) as caught:
        SqlSource().fetch(request)
    assert not [file for file in request.folder.rglob("*") if file.is_file()]
    return caught.value


def sqlite(root: Path, *statements: str) -> str:
    """A database in the checkout, and its URL."""
    path = root / "some.db"
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return f"sqlite:///{path}"


def query_of(folder: Path, sql: str, *readable: str) -> FileQuery:
    """What the child process is told: most is shown of the child's own function, which takes no process each."""
    return FileQuery(sql, readable, str(folder / "spill"), str(folder / "rows.arrow"), 1 << 24)


# --- DuckDB over files ---


def test_files_are_found_from_the_checkout_and_rows_keep_the_querys_order(root: Path) -> None:
    fetched = fetch(root, "select * from 'data/*.csv' order by a desc;  -- newest first")
    assert table(fetched).to_pydict() == {"a": [3, 2, 1], "b": ["x", "zz", None]}


def test_the_digest_is_that_of_the_rows(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)

    def digest(sql: str) -> str:
        return answer_query(query_of(tmp_path, sql, "/")).digest

    one = fetch(root, "select * from 'data/*.csv' order by a").digest
    assert one == digest("from (values (1, null), (2, 'zz'), (3, 'x')) as v(a, b) select a::bigint as a, b")
    others = {
        digest(sql)
        for sql in (
            "select * from 'data/*.csv' order by a desc",
            "select a as c, b from 'data/*.csv' order by a",
            "select a::int as a, b from 'data/*.csv' order by a",
            "select a, coalesce(b, '') as b from 'data/*.csv' order by a",
        )
    }
    assert len(others) == 4
    assert one not in others


def test_types_of_duckdb_come_through(root: Path) -> None:
    sql = """
        select 1::hugeint h, 1.5::decimal(5, 2) d, date '2024-02-29' e, timestamp '2024-01-01 10:00' f,
            timestamptz '2024-01-01 10:00+02' g, 'x'::blob i, time '10:00' j, [1, null] k, true l, null m,
            'a'::enum('a', 'b') n, 255::utinyint o, 'nan'::double p, {'x': 1} q
    """
    (row,) = table(fetch(root, sql)).to_pylist()
    assert row["h"] == 1
    assert float(row["d"]) == 1.5
    assert (row["e"], row["f"]) == (dt.date(2024, 2, 29), dt.datetime(2024, 1, 1, 10))  # noqa: DTZ001
    assert row["g"] == dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
    assert (row["i"], row["j"], row["k"]) == (b"x", dt.time(10), [1, None])
    assert (row["l"], row["m"], row["n"], row["o"], row["q"]) == (True, None, "a", 255, {"x": 1})
    assert row["p"] != row["p"]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (None, "expected a query"),
        ("  ", "expected a query"),
        ("-- nothing\n;", "expected a query"),
        ("select 1; select 2", "found more behind `;`"),
        ("selct 1", "at line 1, column 1"),
        ("select a,\n  nope\nfrom 'data/one.csv'", "at line 2, column 3"),
        ("select * from 'data/nope.csv'", 'No files found that match the pattern "data/nope.csv"'),
        ("select a, b as a from 'data/one.csv'", "two columns are named 'a'"),
        ("select * from 'data/one.csv' where a > 99", "there are no rows"),
        ("copy (select 1) to 'out.csv'", "expected a query, found COPY"),
        ("create table t as select 1", "expected a query, found CREATE"),
        ("attach 'some.db'", "expected a query, found ATTACH"),
        ("install httpfs", "expected a query, found LOAD"),
        ("set threads = 4", "expected a query, found SET"),
        ("select interval 1 day as i", "column 'i' is INTERVAL"),
        ("select a::int / b::int as q from 'data/one.csv'", "Could not convert string 'x'"),
    ],
)
def test_what_is_no_sound_query_is_refused_with_its_place(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: object, said: str
) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(SpecError) as caught:
        answer_query(query_of(tmp_path, checked_query(sql), "/"))
    assert said in str(caught.value)
    assert not (tmp_path / "rows.arrow").exists()
    assert sorted(file.name for file in root.rglob("*") if file.is_file()) == ["one.csv", "two.csv"]


def test_a_semicolon_in_a_text_ends_no_query(root: Path) -> None:
    assert table(fetch(root, "select ';' as a, $$;$$ as b /* ; */ -- ;")).to_pylist() == [
        {"a": ";", "b": ";"}
    ]


def test_a_stranger_reads_the_checkout_and_granted_folders_only(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "s.csv").write_text("a\n7\n")
    (root / "link.csv").symlink_to(outside / "s.csv")
    (root / "folder").symlink_to(outside)
    for sql in (
        "select * from '../outside/s.csv'",
        f"select * from '{outside}/s.csv'",
        "select * from 'link.csv'",
        "select * from 'folder/s.csv'",
        "select * from read_text('/etc/passwd')",
        "select * from glob('/etc/*')",
        "select * from sniff_csv('../outside/s.csv')",
        "select * from read_csv_auto(['data/one.csv', '../outside/s.csv'])",
        "select * from 'https://example.org/a.csv'",
        "select * from 's3://bucket/a.parquet'",
        "select * from 'data/../../outside/s.csv'",
        f"select * from glob('{outside}/*')",
        "select * from read_blob('/proc/self/environ')",
        "select getenv('HOME')",
    ):
        with pytest.raises(SpecError):
            answer_query(query_of(tmp_path, sql, str(root)))
    assert isinstance(refusal(root, f"select * from '{outside}/s.csv'", STRANGER), SpecError)
    granted = Confinement(confined=True, data_folders=(str(outside),))
    assert table(fetch(root, f"select * from '{outside}/s.csv'", granted)).to_pydict() == {"a": [7]}
    assert table(fetch(root, f"select * from '{outside}/s.csv'")).to_pydict() == {"a": [7]}


def test_no_module_of_the_checkout_is_imported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("duckdb.py", "json.py", "pyarrow.py", "sitecustomize.py"):
        (root / name).write_text("raise SystemExit('imported from the checkout')\n")
    monkeypatch.setattr(sys, "path", ["", ".", *sys.path])
    assert table(fetch(root, "select 1 as a", STRANGER)).to_pydict() == {"a": [1]}


def test_a_desk_has_no_network_in_a_query_either(root: Path) -> None:
    for address in ("https://example.org/a.csv", "s3://bucket/a.parquet"):
        assert isinstance(refusal(root, f"select * from '{address}'"), SpecError)


def test_rows_that_are_too_many_stop_the_query(root: Path) -> None:
    error = refusal(root, "select i, 'x' as x from range(100000000) r(i)", STRANGER, max_bytes=1 << 20)
    assert isinstance(error, SpecError)
    assert "more than the 1,048,576 bytes allowed" in str(error)


@pytest.mark.slow
def test_what_does_not_fit_in_memory_is_spilled_and_the_spill_is_bounded(root: Path) -> None:
    sql = "select * from (select repeat(hash(i)::varchar, 12) as t from range(20000000) r(i)) order by t limit 3"
    error = refusal(root, sql.replace(" limit 3", ""), max_bytes=1 << 24)
    assert isinstance(error, EnvironmentFault)
    assert "memory" in str(error)


def test_a_query_whose_process_is_killed_leaves_nothing(root: Path) -> None:
    def kill() -> None:
        children = psutil.Process().children()
        while not children or not list(root.parent.rglob("rows.arrow.part0")):
            time.sleep(0.01)
            children = psutil.Process().children()
        children[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    error = refusal(root, "select i, hash(i) as h from range(1000000000) r(i)", max_bytes=1 << 40)
    killer.join()
    assert isinstance(error, EnvironmentFault)
    assert "the query's process ended with -9" in str(error)


def test_a_larger_result_comes_whole_and_in_order(root: Path) -> None:
    pq.write_table(pa.table({"i": range(200_000)}), root / "data" / "many.parquet", row_group_size=1000)
    got = table(fetch(root, "select i from 'data/many.parquet' where i % 2 = 0"))
    assert got.column("i").to_pylist() == list(range(0, 200_000, 2))


# --- databases ---


def test_rows_of_postgresql_keep_their_types(root: Path, server: str) -> None:
    sql = """
        select * from (values
            (1::smallint, 2::bigint, 1.25::numeric(10,2), 0.5::real, true, 'x'::text, '\\x0001'::bytea,
             date '2024-02-29', timestamp '2024-01-01 10:00', timestamptz '2024-01-01 10:00+02', time '10:00',
             interval '90 min', '{"k": 1}'::json, array[1, 2], '10.0.0.1'::inet,
             '6f1e9bd4-6d3c-4c33-9a2f-2d1d1a0a7c11'::uuid),
            (null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)
        ) as v (s, i, d, r, b, t, y, e, ts, tz, c, iv, j, l, ip, u)
    """
    got = table(fetch(root, sql, url=server))
    assert [str(kind) for kind in got.schema.types] == [
        *["int64", "int64", "double", "double", "bool", "string", "binary", "date32[day]"],
        *[
            "timestamp[us]",
            "timestamp[us, tz=UTC]",
            "time64[us]",
            "duration[us]",
            "string",
            "list<item: int64>",
        ],
        *["string", "string"],
    ]
    first, second = got.to_pylist()
    assert (first["d"], first["y"], first["e"]) == (1.25, b"\x00\x01", dt.date(2024, 2, 29))
    assert first["tz"] == dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
    assert (first["j"], first["l"], first["ip"]) == ('{"k": 1}', [1, 2], "10.0.0.1")
    assert set(second.values()) == {None}


def test_postgresql_streams_many_rows_in_the_querys_order(root: Path, server: str) -> None:
    sql = "select 100000 - i as i, case when i > 60000 then i end as late from generate_series(1, 100000) i"
    got = table(fetch(root, sql, url=server))
    assert got.column("i").to_pylist() == list(range(99_999, -1, -1))
    assert got.column("late").null_count == 60_000
    assert got.column("late").to_pylist()[-1] == 100_000


@pytest.mark.parametrize(
    "statement",
    [
        "insert into t values (9, 'no')",
        "with gone as (delete from t returning *) select * from gone",
        "drop table t",
        "select 1; drop table t",
        "commit; drop table t",
    ],
)
def test_postgresql_is_read_only(root: Path, server: str, statement: str) -> None:
    assert isinstance(refusal(root, statement, url=server), SpecError)
    with psycopg.connect(server) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (5,)


def test_what_a_function_did_is_rolled_back(root: Path, server: str) -> None:
    # PostgreSQL 15 lets a transaction that only reads do this, later ones don't.
    with contextlib.suppress(SpecError):
        fetch(root, "select lo_create(4711)::int as made", url=server)
    with psycopg.connect(server) as connection:
        assert connection.execute("select count(*) from pg_largeobject_metadata").fetchone() == (0,)


def test_a_fault_in_the_query_has_its_place_in_postgresql(root: Path, server: str) -> None:
    error = refusal(root, "select a,\n  nope\nfrom t", url=server)
    assert isinstance(error, SpecError)
    assert 'column "nope" does not exist, at line 2, column 3' in str(error)
    late = refusal(root, "select 1 / (a - 5) as x from t", url=server)
    assert "division by zero" in str(late)


def test_a_connection_that_the_server_ends_is_no_fault_of_the_spec(root: Path, server: str) -> None:
    error = refusal(root, "select pg_terminate_backend(pg_backend_pid()) as x", url=server)
    assert isinstance(error, EnvironmentFault)


def test_rows_of_sqlite_come_and_the_database_is_only_read(root: Path) -> None:
    url = sqlite(root, "create table t (a, b)", "insert into t values (1, 'x'), (2.5, null)")
    assert table(fetch(root, "select * from t", url=url)).to_pydict() == {"a": [1.0, 2.5], "b": ["x", None]}
    for statement in (
        "insert into t values (3, 'y')",
        "delete from t returning a",
        f"attach '{root}/other.db' as o",
    ):
        assert isinstance(refusal(root, statement, url=url), SpecError)
    assert len(table(fetch(root, "select * from t", url=url))) == 2
    assert not (root / "other.db").exists()
    recursive = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 3) select max(x) as m from n"
    assert table(fetch(root, recursive, url=url)).to_pydict() == {"m": [3]}


def test_types_that_do_not_go_together_are_refused_with_their_rows(root: Path) -> None:
    url = sqlite(root, "create table t (a)", "insert into t values (1), (null), ('x')")
    assert "column 'a' holds integer in row 1 and text in row 3" in str(
        refusal(root, "select a from t", url=url)
    )
    assert "two columns are named 'a'" in str(refusal(root, "select a, a from t", url=url))
    assert "there are no rows" in str(refusal(root, "select a from t where a = 7", url=url))


def test_a_relative_sqlite_file_lies_in_the_checkout_and_a_strangers_nowhere_else(root: Path) -> None:
    sqlite(root, "create table t (a)", "insert into t values (1)")
    assert table(fetch(root, "select a from t", STRANGER, url="sqlite:///some.db")).num_rows == 1
    (root / "some.db").rename(root.parent / "some.db")
    outside = f"sqlite:///{root.parent}/some.db"
    assert table(fetch(root, "select a from t", url=outside)).num_rows == 1
    for url in (outside, "sqlite:///../some.db"):
        assert "does not grant" in str(refusal(root, "select a from t", STRANGER, url=url))
    assert "there is no database" in str(refusal(root, "select 1", url="sqlite:///gone.db"))
    assert not (root / "gone.db").exists()


def test_a_password_is_in_no_message(root: Path, server: str) -> None:
    there = server.replace("user=fiat", f"user=fiat&password={SECRET}")
    urls = {
        f"postgresql://me:{SECRET}@127.0.0.1:1/db": EnvironmentFault,
        f"postgresql://me:{SECRET}@127.0.0.1:port/db": EnvironmentFault,
        f"nosuch://me:{SECRET}@host/db": EnvironmentFault,
        f"mysql+nosuchdriver://me:{SECRET}@host/db": EnvironmentFault,
        f"{SECRET}": EnvironmentFault,
        there: SpecError,
    }
    for url, kind in urls.items():
        error = refusal(root, "select * from nowhere", url=url)
        assert isinstance(error, kind), url
        assert SECRET not in str(error)
        assert error.__cause__ is None
    echoed = refusal(root, f"select '{SECRET}'::int", url=there)
    assert isinstance(echoed, SpecError)
    assert f'"{SECRET}"' in str(echoed) or "***" in str(echoed)


def test_what_is_missing_is_said_with_the_way_to_get_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = replace(ask(root, "select 1", url="x"), env={})
    with pytest.raises(EnvironmentFault, match="the secret DB is not set"):
        SqlSource().fetch(request)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "sqlalchemy", None)
        assert "pip install 'fiat-ml[sql]'" in str(refusal(root, "select 1", url="sqlite:///x.db"))
    driver = refusal(root, "select 1", url="mssql+pyodbc://u:p@h/d")
    assert isinstance(driver, EnvironmentFault)
    assert "pip install 'pyodbc'" in str(driver)


def test_hosts_that_the_operator_lists_hold_for_databases_too(root: Path, server: str) -> None:
    listed = Confinement(confined=True, data_hosts=("db.example.org",))
    assert "does not grant the host 127.0.0.1" in str(
        refusal(root, "select 1", listed, url="postgresql://u:p@127.0.0.1:1/d")
    )
    assert isinstance(refusal(root, "select a from t", listed, url=server), SpecError)
    assert table(fetch(root, "select a from t", STRANGER, url=server)).num_rows == 5


def test_a_probe_tells_more_rows_and_other_first_rows(root: Path, server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("create table p as select i from generate_series(1, 3000) i")

        def said() -> str:
            return SqlSource().probe(ask(root, "select i from p order by i -- all\n;", url=server))

        first = said()
        assert first == said() != ""
        connection.execute("insert into p values (3001)")
        more = said()
        connection.execute("update p set i = 0 where i = 5")
        assert len({first, more, said()}) == 3
        connection.execute("drop table p")


class TestFiles(SourceSuite):
    """DuckDB over the checkout."""

    @pytest.fixture
    def source(self) -> SqlSource:
        return SqlSource()

    @pytest.fixture
    def settings(self, root: Path) -> Mapping[str, object]:
        (root / "a.csv").write_text("a,b,c\n1,x,1.5\n2,,\n")
        return {"sql": "select * from 'a.csv'"}

    @pytest.fixture
    def outside(self, root: Path) -> list[dict[str, object]]:  # type: ignore[override]
        (root.parent / "s.csv").write_text("a\n1\n")
        return [{"sql": "select * from '../s.csv'"}, {"sql": "select * from read_text('/etc/passwd')"}]

    @pytest.fixture
    def missing(self) -> Mapping[str, object]:
        return {"sql": "select * from 'nowhere.csv'"}


class TestDatabase(SourceSuite):
    """SQLite behind a secret."""

    @pytest.fixture
    def ask(self, root: Path, tmp_path: Path, private: bool) -> Callable[..., SourceRequest]:
        suite = SourceSuite.ask.__wrapped__(self, root, tmp_path, private)  # type: ignore[attr-defined]
        secrets = {"DB": "sqlite:///some.db", "OTHER": "sqlite:///../other.db"}
        sqlite3.connect(tmp_path / "other.db").close()
        return lambda *arguments: replace(suite(*arguments), env=secrets)

    @pytest.fixture
    def source(self) -> SqlSource:
        return SqlSource()

    @pytest.fixture
    def settings(self, root: Path) -> Mapping[str, object]:
        sqlite(root, "create table t (a)", "insert into t values (1), (2)")
        return {"sql": "select a from t order by a", "connection": "DB"}

    @pytest.fixture
    def outside(self, root: Path) -> list[dict[str, object]]:  # type: ignore[override]
        return [{"sql": "select 1 as a", "connection": "OTHER"}]

    @pytest.fixture
    def missing(self, root: Path) -> Mapping[str, object]:
        sqlite(root, "create table u (a)")
        return {"sql": "select * from nowhere", "connection": "DB"}

    @pytest.fixture
    def change(self, root: Path) -> Callable[[], object]:  # type: ignore[override]
        return lambda: sqlite(root, "insert into t values (3)")
