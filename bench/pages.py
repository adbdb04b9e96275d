"""Pages, the API and what each push asks of the store, with very many runs in it, beside one row by its primary key.

The runs are many_runs' own; the answers are made in process, by the whole app.
"""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from doors import TOKEN, App, ask, doors
from many_runs import BIGGEST, COMMIT, MAIN, REPOSITORIES, fill, utc_now
from stopwatch import Line, Room

from fiat.store.store import Store, open_store

MOST_S = 0.05
PEER = "SELECT by key"
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
        times = {what: asyncio.run(_asked(opened.app, path, takes)) for what, path in shown.items()}
    with open_store(room / "store", now=utc_now) as store:
        times |= {what: _timed(work, takes) for what, work in _of_a_push(store).items()}
    with closing(sqlite3.connect(room / "store" / "store.db")) as database:
        peer = _timed(lambda: database.execute("SELECT * FROM queue WHERE id = ?", (run,)).fetchall(), takes)
    return [Line(f"{count:,} runs, {what}", ours, peer, PEER, most=MOST_S) for what, ours in times.items()]


def _of_a_push(store: Store) -> dict[str, Callable[[], object]]:
    """What a push and a look at a repository ask before anything is written."""
    return {
        "last runs of a branch": partial(store.queue.last_runs, BIGGEST, "push", MAIN),
        "heads of a repository": partial(store.changes.heads, BIGGEST),
        "changes of a commit": partial(store.changes.of_commit, BIGGEST, COMMIT),
        "runs of a pull request": partial(store.queue.of_pull, BIGGEST, 5),
    }


async def _asked(app: App, path: str, takes: int) -> float:
    headers = {"authorization": f"Bearer {TOKEN}"}
    times = []
    for _ in range(takes):
        started = time.perf_counter()
        await ask(app, "GET", path, headers)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _timed(work: Callable[[], object], takes: int) -> float:
    times = []
    for _ in range(takes):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
