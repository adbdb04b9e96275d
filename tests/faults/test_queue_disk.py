"""A full disk under the queue: what was answered is kept, what was not is not there, and it goes on once there is room."""

import os
import sqlite3
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "store"))
from queue_kit import Words, check, delivery, queued, taking, texts, utc_now

from fiat.errors import EnvironmentFault
from fiat.store.deliveries import Taking
from fiat.store.store import Store, open_store


def room(store: Store, pages: int) -> None:
    """Let the file grow by no more than so many pages, as a full disk would."""
    used = int(store.database.read("PRAGMA page_count")[0][0] or 0)
    store.database.read(f"PRAGMA max_page_count = {used + pages}")


def test_a_delivery_that_finds_no_room_is_not_taken_and_comes_again(tmp_path: Path) -> None:
    with open_store(tmp_path / ".fiat", now=utc_now) as store:
        answered: list[int] = []
        room(store, 30)

        def take_all() -> None:
            for number in range(1_000):
                store.deliveries.take([taking(number)])
                answered.append(number)

        with pytest.raises(EnvironmentFault, match="disk is full") as fault:
            take_all()
        assert "fiat gc" in fault.value.hint
        assert len(answered) > 5
        refused = len(answered)
        commits = {one.commit for one in store.changes.newest(limit=10_000)}
        assert commits == {queued(number).commit for number in answered}
        assert len(store.outbox.due(10_000)) == len(answered)
        assert store.database.read("PRAGMA integrity_check") == [("ok",)]
        run = queued(0)
        with pytest.raises(EnvironmentFault, match="disk is full"):
            store.deliveries.take([Taking(delivery(refused, sender_name="x" * 100_000))])
        room(store, 10_000)
        assert store.deliveries.take([taking(number) for number in range(refused + 1)]) == [
            "again"
        ] * refused + ["new"]
        store.changes.split(run.change, [run], [check(run, "pending", "queued")], Words())
        claimed = store.queue.claim("w")
        assert claimed is not None
        assert claimed.id == run.id


def test_a_run_that_finds_no_room_for_its_end_ends_once_there_is(tmp_path: Path) -> None:
    with open_store(tmp_path / ".fiat", now=utc_now) as store:
        store.deliveries.take([taking(0)])
        run = queued(0)
        store.changes.split(run.change, [run], [check(run, "pending", "queued")], Words())
        claimed = store.queue.claim("w")
        assert claimed is not None
        room(store, 2)
        reports = [check(run, "failure", "x" * 200_000)]
        words = Words()
        with pytest.raises(EnvironmentFault, match="disk is full"):
            store.queue.finish(run.id, claimed.fence, "fail", "no", reports, words)
        assert store.queue.find(run.id) == claimed
        assert store.queue.beat(run.id, claimed.fence) == "", "a beat needs no room"
        room(store, 10_000)
        assert store.queue.finish(run.id, claimed.fence, "fail", "no", reports, words) is not None
        assert [state for state, _ in texts(store)] == ["failure", "error"]


def test_a_store_that_was_killed_in_a_commit_is_whole_when_it_is_opened(tmp_path: Path) -> None:
    """The journal of a process that died is rolled back by the next one, before it reads a row."""
    root = tmp_path / ".fiat"
    with open_store(root, now=utc_now) as store:
        store.deliveries.take([taking(1)])
    pid = os.fork()
    if pid == 0:
        connection = sqlite3.connect(root / "store.db", isolation_level=None)
        connection.execute("PRAGMA cache_size = 2")
        connection.execute("PRAGMA cache_spill = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE changes SET state = 'done'")
        connection.execute("DELETE FROM deliveries")
        for number in range(300):
            connection.execute("INSERT INTO marks VALUES (?, ?)", (str(number), "x" * 3000))
        os._exit(0)
    os.waitpid(pid, 0)
    assert (root / "store.db-journal").stat().st_size > 0
    with open_store(root, now=utc_now) as store:
        assert [one.state for one in store.changes.newest()] == ["new"]
        assert store.deliveries.take([taking(1)]) == ["again"]
        assert store.database.read("PRAGMA integrity_check") == [("ok",)]
