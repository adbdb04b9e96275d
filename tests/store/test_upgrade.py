"""Stores of every version that was ever released are opened, read, and their runs are gone on with."""

import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from queue_kit import Words, check, queued, taking, utc_now

from fiat.run.report import Check
from fiat.store.schema import SCHEMA
from fiat.store.store import Store, open_store

GOLDEN = Path(__file__).parent / "golden"


@dataclass
class Shelf:
    """Where a store of an older version was put."""

    root: Path
    url: str | None

    def open(self) -> Store:
        return open_store(self.root, url=self.url, now=utc_now)

    def shape(self) -> list[tuple[object, ...]]:
        """Columns of all tables and the indexes."""
        if self.url:
            with psycopg.connect(self.url) as connection:
                columns = connection.execute(
                    "SELECT table_name, column_name, data_type, is_nullable, collation_name "
                    "FROM information_schema.columns WHERE table_schema = 'fiat' ORDER BY 1, ordinal_position"
                ).fetchall()
                indexes = connection.execute(
                    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'fiat' ORDER BY 1"
                ).fetchall()
            return [*columns, *indexes]
        connection = sqlite3.connect(self.root / "store.db")
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        ]
        found = [(name, *row) for name in names for row in connection.execute(f"PRAGMA table_info({name})")]
        found += connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY 1"
        ).fetchall()
        connection.close()
        return found


Maker = Callable[[str], Shelf]


@pytest.fixture(params=["sqlite", "postgres"])
def lay(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    """Makes a store from a dump, or an empty one."""
    cluster: Any = request.getfixturevalue("postgres") if request.param == "postgres" else None

    def make(name: str) -> Shelf:
        root = tmp_path / (name or "fresh")
        root.mkdir()
        url = cluster.new_database() if cluster else None
        if not name:
            return Shelf(root, url)
        dump = (GOLDEN / name).read_text()
        if url:
            with psycopg.connect(url) as connection:
                connection.execute("CREATE SCHEMA fiat; SET search_path TO fiat")
                connection.execute(dump.replace(" TEXT", ' TEXT COLLATE "C"'))
        else:
            connection = sqlite3.connect(root / "store.db")
            connection.executescript(dump)
            connection.close()
        return Shelf(root, url)

    return make


def test_every_version_has_its_dump() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"store-{version}.sql" for version in range(1, SCHEMA.version + 1)
    }


@pytest.mark.parametrize("version", range(1, SCHEMA.version + 1))
def test_an_older_store_has_the_shape_of_a_new_one_once_it_was_opened(lay: Maker, version: int) -> None:
    older, fresh = lay(f"store-{version}.sql"), lay("")
    older.open().close()
    fresh.open().close()
    assert older.shape() == fresh.shape()
    older.open().close()


def test_what_version_1_remembers_is_read_as_it_was(lay: Maker) -> None:
    with lay("store-1.sql").open() as store:
        runs = store.runs.newest()
        assert [(run.state, run.verdict) for run in runs] == [
            ("interrupted", "error"),
            ("done", "error"),
            ("done", "fail"),
            ("done", "warn"),
            ("done", "pass"),
            ("running", None),
        ]
        passed = store.runs.find("20261121-071500-0001")
        assert [(step.name, step.state) for step in passed.steps] == [
            ("data.images", "ran"),
            ("train", "waiting"),
        ]
        assert (passed.metrics[0].low, passed.gates[0].name) == (0.96, "accuracy >= 0.9")
        assert passed.config["long"] == ["x"] * 300
        assert len(store.metrics.of_steps(passed.id)) == 3
        for number in range(6):
            found = store.results.find(f"{number:064x}")
            assert found is not None
            assert found.parts["it's"] == "o'clock"
            assert len(dict(found.parts)["code"]) == 40  # type: ignore[arg-type]
        released = store.releases.last("digits", alias="champion")
        assert released is not None
        assert released.run == passed.id
        assert store.runs.mark_crashed(lambda pid, host: False) == ["20261121-061500-0000"]
        assert store.deliveries.take([taking(1)]) == ["new"]
        assert store.gc(keep_runs=1, grace_s=-1e9).removed_runs == 4


def test_runs_of_version_2_in_every_state_come_to_one_end_each(lay: Maker) -> None:
    shelf = lay("store-2.sql")
    words = Words()
    with shelf.open() as store:
        assert store.deliveries.take([taking(1), taking(2)]) == ["again", "again"]
        assert [one.id for _, one in store.deliveries.received()] == ["delivery-22"]
        for one in store.changes.open():
            number = int(one.id[-6:])
            store.changes.split(one.id, [queued(number, of=one)], [], words)
        for lease in store.queue.leases():
            store.queue.expire(lease, "the runner was upgraded", 5, words)
        over: Counter[str] = Counter()
        while run := store.queue.claim("host:2:0"):
            assert store.queue.beat(run.id, run.fence) == ""
            store.queue.finish(run.id, run.fence, "pass", "good", [check(run, "success", "good")], words)
            over[run.id] += 1
        assert set(over.values()) == {1}
        assert {run.state for run in store.queue.newest()} == {"done", "held"}
        assert [run.id for run in store.queue.newest(state="held")] == [queued(8).id]
        assert {one.state for one in store.changes.newest() if one.id != queued(8).change} == {"done"}
        assert store.outbox.revive() == 1
        last: dict[str, Check] = {}
        for _ in range(20):
            for item in store.outbox.due(1000):
                assert isinstance(item.report, Check)
                last[item.channel] = item.report
                store.outbox.sent(item.id, item.memory)
        assert store.outbox.counts() == {}
        unfinished = {channel for channel, report in last.items() if report.state == "pending"}
        assert {channel.partition(" ")[0] for channel in unfinished} == {queued(8).commit}
        assert store.seats.look("sender").holder == "host:1:0"
        assert store.marks.get("heads acme/models") == "{}"


def test_aliases_of_older_releases_are_followed_after_the_upgrade(lay: Maker) -> None:
    with lay("store-1.sql").open() as store:
        newest = store.releases.newest("digits")[0]
        assert [(move.alias, move.who) for move in store.registry.alias_moves("digits")][-1] == (
            "champion",
            "",
        )
        assert store.releases.last("digits", alias="champion") == newest
        store.releases.add(replace(newest, digest=f"{9:032x}.dir", fingerprint="9" * 64))
        assert store.registry.move_alias("digits", "champion", newest.digest, who="ann")
        moved = store.releases.last("digits", alias="champion")
        assert moved is not None
        assert moved.digest == newest.digest


def test_what_version_3_remembers_of_models_is_read_as_it_was(lay: Maker) -> None:
    with lay("store-3.sql").open() as store:
        first, second = store.registry.versions("digits")
        assert (first.number, second.number) == (1, 2)
        assert (first.aliases, second.aliases) == (("champion",), ())
        assert [(tag.name, tag.value) for tag in first.tags] == [("reviewed", "yes")]
        assert [(note.text, note.who) for note in first.notes] == [("good on rainy days", "bob")]
        assert [(one.place, one.state) for one in first.standings] == [("live:digits", "deployed")]
        assert second.standings == ()
        assert [(one.state, one.settings) for one in store.deployments.newest()] == [
            ("refused", {"port": 8000}),
            ("deployed", {"port": 8000}),
        ]
        assert [(one.place, one.who) for one in store.deployments.holds()] == [("live:digits", "rollout")]
        newest = store.registry.alias_moves("digits")[0]
        assert (newest.who, newest.reason) == ("ann", "2 is slow")
