"""Cleaning up holds nobody up: what is old is found first, and goes some rows at a time."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fiat.store.gc import _these_runs
from fiat.store.store import Store, open_store

N_RUNS = 6000


def fill(store: Store) -> None:
    """Old runs of one spec with steps."""
    stamp = (datetime.now(UTC) - timedelta(days=200)).isoformat(timespec="microseconds")
    tables = {table: store.database.read(f"PRAGMA table_info({table})") for table in ("runs", "steps")}

    def row(table: str, **known: str) -> list[str | int]:
        found: list[str | int] = []
        for _, name, kind, *_ in tables[table]:
            blank: str | int = 0 if "INT" in str(kind) or "DOUBLE" in str(kind) else ""
            found.append(known.get(str(name), blank))
        return found

    rows: dict[str, list[list[str | int]]] = {"runs": [], "steps": []}
    for number in range(N_RUNS):
        run = f"{number:06}-r"
        rows["runs"].append(
            row("runs", id=run, spec="wine", state="done", started_at=stamp, ended_at=stamp, environment="{}")
        )
        for step in ("a", "b"):
            rows["steps"].append(
                row("steps", run=run, name=f"{step}", fingerprint=f"{number}{step}", outputs="{}")
            )
    with store.database.write() as transaction:
        for table, made in rows.items():
            places = ", ".join("?" * len(tables[table]))
            transaction.execute_many(f"INSERT INTO {table} VALUES ({places})", made)


def test_others_write_in_between_while_very_many_runs_are_forgotten(tmp_path: Path) -> None:
    with open_store(tmp_path, now=lambda: datetime.now(UTC)) as store:
        fill(store)
        over, writes = threading.Event(), list[float]()

        def write() -> None:
            with open_store(tmp_path, now=lambda: datetime.now(UTC)) as other:
                while not over.is_set():
                    other.marks.set("beat", str(len(writes)))
                    writes.append(time.monotonic())

        thread = threading.Thread(target=write)
        thread.start()
        while not writes:
            time.sleep(0.01)
        began_s = time.monotonic()
        report = store.gc(keep_runs=20, keep_days=90.0)
        ended_s = time.monotonic()
        over.set()
        thread.join()
        assert report.removed_runs == N_RUNS - 20
        assert len(store.database.read("SELECT 1 FROM steps")) == 40
        # One transaction for each of three batches and one for the rest.
        assert len([moment for moment in writes if began_s < moment < ended_s]) >= 3


def test_a_run_that_was_released_since_it_was_found_old_stays(tmp_path: Path) -> None:
    with open_store(tmp_path, now=lambda: datetime.now(UTC)) as store:
        fill(store)
        info = store.database.read("PRAGMA table_info(releases)")
        values = [
            "000001-r" if name == "run" else 1 if "INT" in str(kind) else "" for _, name, kind, *_ in info
        ]
        with store.database.write() as transaction:
            transaction.execute(f"INSERT INTO releases VALUES ({', '.join('?' * len(info))})", values)
            gone = _these_runs([("000001-r",), ("000002-r",)])(transaction, 10)
        assert gone == 1
        left = store.database.read("SELECT id FROM runs WHERE id IN ('000001-r', '000002-r')")
        assert left == [("000001-r",)]
