import sqlite3
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.errors import EnvironmentFault
from fiat.store.holders import holders_of, other_holders
from fiat.store.store import open_store
from fiat.store.turnstile import Turnstile

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""
# Writes without a pause, as a burst of deliveries does.
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from fiat.store.store import open_store
store = open_store(Path(sys.argv[1]), now=lambda: datetime.now(UTC))
print("open", flush=True)
for number in range(int(sys.argv[2])):
    store.marks.set("writer", str(number))
"""


class Busy(Exception):
    pass


def test_who_is_refused_once_tries_until_it_goes_through(tmp_path: Path) -> None:
    answers = iter([Busy(), Busy(), "mine"])

    def attempt() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    turnstile = Turnstile(tmp_path / "wait", 5.0)
    assert turnstile.insist(attempt, lambda error: isinstance(error, Busy)) == "mine"
    turnstile.close()
    turnstile.close()


def test_another_fault_is_not_tried_again_and_the_time_is_limited(tmp_path: Path) -> None:
    tries = []

    def attempt() -> None:
        tries.append(time.monotonic())
        raise Busy

    turnstile = Turnstile(tmp_path / "wait", 0.1)
    with pytest.raises(Busy):
        turnstile.insist(attempt, lambda error: False)
    assert len(tries) == 1
    with pytest.raises(Busy):
        turnstile.insist(attempt, lambda error: True)
    assert 0.1 <= tries[-1] - tries[1] < 2.0
    turnstile.close()


def test_who_has_just_had_his_turn_gives_way_only_when_somebody_waits(tmp_path: Path) -> None:
    first, second = Turnstile(tmp_path / "wait", 5.0), Turnstile(tmp_path / "wait", 5.0)
    took: list[float] = []

    def give_way() -> float:
        first.leave()
        started = time.monotonic()
        first.give_way()
        return time.monotonic() - started

    def attempt() -> None:
        took.append(give_way())
        if len(took) < 2:
            raise Busy

    alone = min(give_way() for _ in range(5))
    second.insist(attempt, lambda error: True)
    assert took[1] >= 0.006 > alone
    assert min(give_way() for _ in range(5)) < 0.006
    first.close()
    second.close()


def test_where_nobody_may_write_there_are_no_turns_to_take(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path / "no such folder" / "wait", 0.05)
    turnstile.leave()
    turnstile.give_way()
    with pytest.raises(Busy):
        turnstile.insist(lambda: (_ for _ in ()).throw(Busy()), lambda error: True)
    turnstile.close()


def test_a_reader_beside_a_process_that_writes_without_a_pause_is_not_kept_waiting(tmp_path: Path) -> None:
    root = tmp_path / ".fiat"
    with open_store(root, now=lambda: datetime.now(UTC)) as store:
        command = [sys.executable, "-c", WRITER, str(root), "100000"]
        writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        try:
            for writer in writers:
                assert writer.stdout is not None
                writer.stdout.readline()
            waits = []
            for number in range(25):
                started = time.monotonic()
                store.marks.get("writer")
                store.marks.set("reader", str(number))
                waits.append(time.monotonic() - started)
                time.sleep(0.01)
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()
        assert statistics.median(waits) < 0.5
        assert max(waits) < 5.0
        assert store.marks.get("reader") == "24"


def test_who_keeps_the_store_locked_is_named(tmp_path: Path) -> None:
    with open_store(tmp_path, now=lambda: datetime.now(UTC)) as store:
        assert store.blockers() == ()
        command = [sys.executable, "-c", HOLDER, str(tmp_path / "store.db"), "BEGIN IMMEDIATE"]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdout is not None
        holder.stdout.readline()
        assert store.blockers() == (holder.pid,)
        assert store.marks.get("x") is None, "reading goes on beside a writer that has not come to its end"
        store.database._backend._turnstile._timeout_s = 0.2  # type: ignore[attr-defined]
        with pytest.raises(EnvironmentFault, match=rf"keeps the store locked: .* \(process {holder.pid}\)"):
            store.marks.set("x", "y")
        holder.communicate(b"")
        store.marks.set("x", "y")
        assert store.blockers() == ()


def test_our_own_lock_is_told_from_others_and_only_sqlite_s_bytes_count(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE t (a)")
    connection.execute("BEGIN IMMEDIATE")
    assert len(holders_of(path)) == 1
    assert other_holders(path) == ()
    connection.close()
    inode = path.stat().st_ino
    locks = tmp_path / "locks"
    locks.write_text(
        f"1: POSIX  ADVISORY  WRITE 11 fe:00:{inode} 1073741825 1073741825\n"
        f"1: -> POSIX  ADVISORY  WRITE 12 fe:00:{inode} 1073741825 1073741825\n"
        f"2: POSIX  ADVISORY  READ 13 fe:00:{inode} 1073741826 1073742335\n"
        f"3: POSIX  ADVISORY  WRITE 14 fe:00:{inode} 0 EOF\n"
        f"4: FLOCK  ADVISORY  WRITE 15 fe:00:{inode} 0 EOF\n"
        f"5: POSIX  ADVISORY  WRITE 16 fe:00:{inode + 1} 1073741825 1073741825\n"
    )
    assert holders_of(path, locks) == (11, 13)
    assert holders_of(path, tmp_path / "nothing") == ()
    assert holders_of(tmp_path / "nothing", locks) == ()
