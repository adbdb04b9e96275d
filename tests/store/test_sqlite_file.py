import hashlib
import os
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.run.model import Result
from fiat.store.database import Database
from fiat.store.schema import SCHEMA, Schema
from fiat.store.sqlite_file import SqliteFile
from fiat.store.store import open_store

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def open_here(folder: Path) -> None:
    open_store(folder / ".fiat", now=lambda: NOW).close()


def contents(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_folder_of_the_store_keeps_itself_out_of_git(tmp_path: Path) -> None:
    open_here(tmp_path)
    assert (tmp_path / ".fiat" / ".gitignore").read_text() == "*\n"
    (tmp_path / ".fiat" / ".gitignore").write_text("mine\n")
    open_here(tmp_path)
    assert (tmp_path / ".fiat" / ".gitignore").read_text() == "mine\n"


def test_a_commit_is_on_the_disk_when_it_returns(tmp_path: Path) -> None:
    backend = SqliteFile(tmp_path / "store.db", SCHEMA)
    mode, synchronous = (
        backend.execute(f"PRAGMA {name}", ())[0][0] for name in ("journal_mode", "synchronous")
    )
    if sqlite3.sqlite_version_info < (3, 51, 3):
        assert (mode, synchronous) == ("truncate", 3)
    else:
        assert (mode, synchronous) == ("wal", 2)
    backend.close()
    backend.close()


def test_a_store_of_a_newer_version_is_left_as_it_is_to_the_byte(tmp_path: Path) -> None:
    newer = Schema(SCHEMA.version + 1, SCHEMA.tables)
    SqliteFile(tmp_path / "store.db", newer).close()
    before = contents(tmp_path / "store.db")
    with pytest.raises(
        EnvironmentFault, match=rf"has version {newer.version}, .* up to {SCHEMA.version}"
    ) as fault:
        SqliteFile(tmp_path / "store.db", SCHEMA)
    assert "upgrade Fiat" in fault.value.hint
    assert contents(tmp_path / "store.db") == before
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def test_an_older_store_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    backend = SqliteFile(tmp_path / "store.db", SCHEMA)
    backend.execute("INSERT INTO documents (digest, body) VALUES ('d', 'kept')", ())
    backend.close()
    steps = {
        SCHEMA.version: ("ALTER TABLE documents ADD COLUMN note TEXT", "UPDATE documents SET note = 'n'")
    }
    for _ in range(2):
        backend = SqliteFile(tmp_path / "store.db", Schema(SCHEMA.version + 1, (), steps))
        assert backend.execute("SELECT body, note FROM documents", ()) == [("kept", "n")]
        backend.close()


def test_a_migration_that_fails_leaves_the_older_store(tmp_path: Path) -> None:
    SqliteFile(tmp_path / "store.db", SCHEMA).close()
    steps = {SCHEMA.version: ("CREATE TABLE half (a TEXT)", "NONSENSE")}
    with pytest.raises(EnvironmentFault, match="NONSENSE"):
        SqliteFile(tmp_path / "store.db", Schema(SCHEMA.version + 1, (), steps))
    backend = SqliteFile(tmp_path / "store.db", SCHEMA)
    assert backend.execute("SELECT name FROM sqlite_master WHERE name = 'half'", ()) == []
    backend.close()


def test_a_database_of_another_program_is_not_touched(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "store.db")
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    other.close()
    before = contents(tmp_path / "store.db")
    with pytest.raises(EnvironmentFault, match="not a store of Fiat"):
        SqliteFile(tmp_path / "store.db", SCHEMA)
    assert contents(tmp_path / "store.db") == before


def test_an_older_journal_mode_is_put_right(tmp_path: Path) -> None:
    SqliteFile(tmp_path / "store.db", SCHEMA).close()
    other = sqlite3.connect(tmp_path / "store.db")
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("INSERT INTO documents (digest, body) VALUES ('d', 'in the log')")
    other.commit()
    other.close()
    backend = SqliteFile(tmp_path / "store.db", SCHEMA)
    assert backend.execute("SELECT body FROM documents", ()) == [("in the log",)]
    backend.close()


def test_processes_that_make_the_store_at_once_end_with_one(tmp_path: Path) -> None:
    faults: list[BaseException] = []
    ready = threading.Barrier(6)

    def work(number: int) -> None:
        try:
            ready.wait()
            with open_store(tmp_path / ".fiat", now=lambda: NOW) as store:
                store.results.add(Result(f"{number:064x}", "s", "x", "r", {}, {}, made_at=NOW))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with open_store(tmp_path / ".fiat", now=lambda: NOW) as store:
        assert len(store.results.find_many(f"{number:064x}" for number in range(6))) == 6
    assert not [path.name for path in (tmp_path / ".fiat").iterdir() if "new-" in path.name]


def test_one_store_can_be_used_by_several_threads(tmp_path: Path) -> None:
    database = Database(SqliteFile(tmp_path / "store.db", SCHEMA))
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                with database.write() as transaction:
                    transaction.execute("INSERT INTO documents VALUES (?, 'a')", (f"{number}-{turn}",))
                    transaction.execute(
                        "UPDATE documents SET body = 'b' WHERE digest = ?", (f"{number}-{turn}",)
                    )
                assert database.read("SELECT COUNT(*) FROM documents WHERE body = 'a'") == [(0,)]
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert database.read("SELECT COUNT(*) FROM documents") == [(100,)]
    database.close()


def test_a_block_that_raises_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    database = Database(SqliteFile(tmp_path / "store.db", SCHEMA))

    def write_and_stop() -> None:
        with database.write() as transaction:
            transaction.execute("INSERT INTO documents VALUES ('d', 'x')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert database.read("SELECT COUNT(*) FROM documents") == [(0,)]
    with database.write() as transaction:
        transaction.execute("INSERT INTO documents VALUES ('d', 'x')")
    assert database.read("SELECT COUNT(*) FROM documents") == [(1,)]
    assert database.place == str(tmp_path / "store.db")
    database.close()


def test_a_folder_in_the_place_of_the_store_is_said(tmp_path: Path) -> None:
    (tmp_path / ".fiat" / "store.db").mkdir(parents=True)
    with pytest.raises(EnvironmentFault, match=r"store\.db"):
        open_here(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / ".fiat").write_text("x")
    with pytest.raises(EnvironmentFault, match=r"\.fiat"):
        open_here(tmp_path)
    assert os.listdir(tmp_path) == [".fiat"]
