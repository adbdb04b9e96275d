"""Pages, the API and what each push does, with very many runs in the store: nothing may grow with their number.

Beside it what sqlite3 alone takes on that file: to read one row by its key, and to write one as safely as Fiat does.
"""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import count as count_from
from pathlib import Path

from bare import as_safe
from doors import TOKEN, App, ask, doors
from many_runs import BIGGEST, COMMIT, MAIN, REPOSITORIES, Silence, fill, utc_now
from stopwatch import Line, Room
from webhook import call_of, post

from fiat.run.queue import Change, QueuedRun
from fiat.store.store import Store, open_store

MOST_S = 0.05
PEER, PEER_WRITING = "SELECT by key", "UPDATE by key"
_MIDDLE = "2024-06-01T00:00:00.000000%2B00:00~run"


def measure(folder: Path, *, count: int, takes: int) -> list[Line]:
    """One store, asked again and again."""
    room = Room(folder / "pages").folder
    run = fill(room / "store", count)
    shown = {
        "list page": "/runs",
        "list page from the middle": f"/runs?before={_MIDDLE}",
        "API, runs of a spec": f"/api/v1/runs?repo={BIGGEST}&spec=spec4&limit=100",
        "API, runs that wait": "/api/v1/runs?state=waiting",
        "page of a run": f"/runs/{run}",
        "API, steps of a run": f"/api/v1/runs/{run}/steps",
        "/metrics": "/metrics",
    }
    with doors(room, repositories=REPOSITORIES) as opened:
        reads = {what: asyncio.run(_asked(opened.app, path, takes)) for what, path in shown.items()}
        writes = {"webhook to 202": asyncio.run(_posted(opened.app, takes))}
    with open_store(room / "store", now=utc_now) as store:
        reads |= {what: _timed(work, takes) for what, work in _of_a_push(store).items()}
        writes["a run split off, claimed and ended"] = _timed(_Runs(store).next, takes)
    with closing(as_safe(room / "store" / "store.db")) as database:
        by_key, changed = (
            _timed(partial(_once, database, sql, run), takes)
            for sql in ("SELECT * FROM queue WHERE id = ?", "UPDATE queue SET beat = beat + 1 WHERE id = ?")
        )
    return [
        *(_line(count, what, seconds, by_key, PEER) for what, seconds in reads.items()),
        *(_line(count, what, seconds, changed, PEER_WRITING) for what, seconds in writes.items()),
    ]


def _line(count: int, what: str, ours: float, peer: float, name: str) -> Line:
    return Line(f"{count:,} runs, {what}", ours, peer, name, most=MOST_S)


def _of_a_push(store: Store) -> dict[str, Callable[[], object]]:
    """What a push and a look at a repository ask before anything is written."""
    return {
        "last runs of a branch": partial(store.queue.last_runs, BIGGEST, "push", MAIN),
        "heads of a repository": partial(store.changes.heads, BIGGEST),
        "changes of a commit": partial(store.changes.of_commit, BIGGEST, COMMIT),
        "runs of a pull request": partial(store.queue.of_pull, BIGGEST, 5),
    }


class _Runs:
    """One change after the other, each with a run that ends well."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers = count_from()

    def next(self) -> None:
        """Four transactions."""
        number = next(self._numbers)
        name = f"z-{number:07d}"
        change = Change(name, BIGGEST, COMMIT, "push", MAIN, serial=number + 1)
        run = QueuedRun(
            name, name, BIGGEST, COMMIT, "push", MAIN, "spec0", "specs/spec0/spec.yaml", group="g"
        )
        self._store.changes.add(change)
        self._store.changes.split(name, [run], (), Silence())
        claimed = self._store.queue.claim("bench:1:1")
        if claimed is not None:
            self._store.queue.finish(claimed.id, claimed.fence, "pass", "", (), Silence())


async def _asked(app: App, path: str, takes: int) -> float:
    headers = {"authorization": f"Bearer {TOKEN}"}
    times = []
    for _ in range(takes):
        started = time.perf_counter()
        await ask(app, "GET", path, headers)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


async def _posted(app: App, takes: int) -> float:
    calls = [call_of(number) for number in range(takes)]
    times = []
    for call in calls:
        started = time.perf_counter()
        await post(app, call)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _once(database: sqlite3.Connection, sql: str, run: str) -> None:
    database.execute(sql, (run,)).fetchall()


def _timed(work: Callable[[], object], takes: int) -> float:
    times = []
    for _ in range(takes):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
