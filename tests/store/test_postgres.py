import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fiat.errors import EnvironmentFault
from fiat.run.model import Result
from fiat.store.database import Database
from fiat.store.postgres import PostgresServer
from fiat.store.schema import SCHEMA, Schema
from fiat.store.store import open_store

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def result(number: int) -> Result:
    return Result(f"{number:064x}", "s", "x", "r", {}, {}, made_at=NOW)


def test_a_database_that_is_not_utf8_is_refused(postgres: Any) -> None:
    with pytest.raises(EnvironmentFault, match="encoding SQL_ASCII, expected UTF8") as fault:
        PostgresServer(postgres.new_database("SQL_ASCII"), SCHEMA)
    assert "createdb" in fault.value.hint


def test_a_server_that_does_not_answer_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentFault, match=r"no connection to the store postgresql://127\.0\.0\.1/fiat"
    ) as fault:
        PostgresServer("postgresql://me:hunter2@127.0.0.1:1/fiat", SCHEMA)
    assert "hunter2" not in str(fault.value)


def test_a_url_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="can't be at 'mysql'"):
        open_store(tmp_path / ".fiat", url="mysql://me:hunter2@host/db", now=lambda: NOW)


def test_our_tables_live_beside_those_of_others(postgres: Any) -> None:
    url = postgres.new_database()
    with psycopg.connect(url) as theirs:
        theirs.execute("CREATE TABLE public.runs (theirs TEXT); INSERT INTO public.runs VALUES ('kept')")
    PostgresServer(url, SCHEMA).close()
    with psycopg.connect(url) as theirs:
        assert theirs.execute("SELECT theirs FROM public.runs").fetchall() == [("kept",)]
        assert theirs.execute("SELECT COUNT(*) FROM fiat.runs").fetchall() == [(0,)]


def test_a_store_of_a_newer_version_is_refused_and_left_alone(postgres: Any) -> None:
    url = postgres.new_database()
    PostgresServer(url, Schema(SCHEMA.version + 3, SCHEMA.tables)).close()
    with pytest.raises(
        EnvironmentFault, match=rf"has version {SCHEMA.version + 3}, .* up to {SCHEMA.version}"
    ):
        PostgresServer(url, SCHEMA)


def test_an_older_store_is_brought_up_to_date_or_stays(postgres: Any) -> None:
    url = postgres.new_database()
    PostgresServer(url, SCHEMA).close()
    broken = {SCHEMA.version: ("CREATE TABLE half (a TEXT)", "NONSENSE")}
    with pytest.raises(EnvironmentFault, match="NONSENSE"):
        PostgresServer(url, Schema(SCHEMA.version + 1, (), broken))
    PostgresServer(url, SCHEMA).close()
    sound = {SCHEMA.version: ("CREATE TABLE half (a TEXT)",)}
    for _ in range(2):
        backend = PostgresServer(url, Schema(SCHEMA.version + 1, (), sound))
        assert backend.execute("SELECT COUNT(*) FROM half", ()) == [(0,)]
        backend.close()


def test_a_server_that_was_restarted_is_found_again(postgres: Any, tmp_path: Path) -> None:
    with open_store(tmp_path / ".fiat", url=postgres.new_database(), now=lambda: NOW) as store:
        store.results.add(result(1))
        postgres.restart()
        store.results.add(result(2))
        postgres.restart()
        assert store.results.find(result(1).fingerprint) == result(1)
        assert store.results.find(result(2).fingerprint) == result(2)


def test_a_connection_that_breaks_within_a_transaction_leaves_nothing_of_it(postgres: Any) -> None:
    url = postgres.new_database()
    database = Database(PostgresServer(url, SCHEMA))

    def write_over_a_break() -> None:
        with database.write() as transaction:
            transaction.execute("INSERT INTO documents VALUES ('a', 'x')")
            pid = transaction.execute("SELECT pg_backend_pid()")[0][0]
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            transaction.execute("INSERT INTO documents VALUES ('b', 'x')")

    with pytest.raises(EnvironmentFault):
        write_over_a_break()
    with database.write() as transaction:
        transaction.execute("INSERT INTO documents VALUES ('c', 'x')")
    assert database.read("SELECT digest FROM documents") == [("c",)]
    database.close()


def test_psycopg_is_loaded_only_for_a_url_and_its_absence_is_said(tmp_path: Path) -> None:
    """In a process of its own, in which psycopg can't be found."""
    code = """
        import sys
        from datetime import UTC, datetime
        from pathlib import Path
        from fiat.errors import EnvironmentFault
        from fiat.store.store import open_store
        now = lambda: datetime.now(UTC)
        open_store(Path("here"), now=now).close()
        assert "psycopg" not in sys.modules
        sys.modules["psycopg"] = None
        try:
            open_store(Path("here"), url="postgresql:///x", now=now)
        except EnvironmentFault as fault:
            print(fault)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "a store on PostgreSQL needs psycopg (pip install 'fiat-ml[postgres]')\n"


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from fiat.run.model import Metric, Release, Result, Run, StepResult
from fiat.store.store import open_store

now = lambda: datetime.now(UTC)
folder, url, worker = sys.argv[1:]
with open_store(Path(folder), url=url, now=now) as store:
    for turn in range(15):
        run_id = f"{worker}-{turn}"
        store.runs.add(Run(run_id, "x", "x", "", "", "", "", False, (), {"turn": turn}, "running", None, "", now()))
        code = {f"m{number}.py": f"{(number + turn) % 50:032x}" for number in range(50)}
        observed = {f"o{number}.py": f"{(number * turn) % 50:032x}" for number in range(50)}
        parts = {"code": code, "packages": observed, "params": {"turn": turn}}
        result = Result(f"shared-{turn}", "s", "x", run_id, {}, parts, observed=observed, made_at=now())
        kept = store.save_work(run_id, StepResult("s", "call", "ran"), result, metrics=[Metric("m", 1.0, step=turn)])
        store.releases.add(Release("m", "", "main", "", run_id, "d", f"{run_id}", now()))
        print(kept.fingerprint, kept.run, flush=True)
"""


def test_processes_on_one_server_agree_on_every_result(postgres: Any, tmp_path: Path) -> None:
    url = postgres.new_database()
    command = [sys.executable, "-c", WRITER]
    writers = [
        subprocess.Popen(
            [*command, str(tmp_path / f"{number}" / ".fiat"), url, f"w{number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    outputs = [writer.communicate(timeout=120)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    winners = {tuple(line.split()) for output in outputs for line in output.splitlines()}
    assert len(winners) == 15, "each piece of work has one result, whoever made it"
    with open_store(tmp_path / ".fiat", url=url, now=lambda: NOW) as store:
        assert len(store.runs.newest(limit=100)) == 60
        assert len({one.run for one in store.releases.newest("m")}) == 60
        for fingerprint, run in winners:
            found = store.results.find(fingerprint)
            assert found is not None
            assert found.run == run
            assert len(dict(found.parts)) == 3
