"""Claiming runs while ten thousand wait, beside sqlite3 alone changing one row as safely; the 99th percentile counts."""

import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from bare import as_safe
from many_runs import COMMIT, MAIN, Silence, utc_now
from stopwatch import Line, Room

from fiat.run.queue import Change, QueuedRun
from fiat.store.store import Store, open_store

MOST_S = 0.05
PEER = "sqlite3, one UPDATE"


def measure(folder: Path, *, count: int, claims: int, repeats: int) -> list[Line]:
    """Everything in one repository, and spread over fifty."""
    room = Room(folder / "claims").folder
    return [_line(room / f"{repos}", repos, count, claims, repeats) for repos in (1, 50)]


def _line(folder: Path, repos: int, count: int, claims: int, repeats: int) -> Line:
    with open_store(folder, now=utc_now) as store:
        for repo in range(repos):
            _queue(store, f"acme/models{repo}", count // repos)
        ids = [run.id for run in store.queue.newest(state="waiting", limit=claims * repeats)]
    ours: list[float] = []
    peer: list[float] = []
    for take in range(repeats):
        with open_store(folder, now=utc_now) as store:
            ours.append(_percentile_99(partial(store.queue.claim, f"bench:{take}:1"), claims))
        with closing(as_safe(folder / "store.db")) as database:
            peer.append(_percentile_99(_Updates(database, ids[take * claims :]), claims))
    what = f"a claim among {count:,} in {repos} {'repository' if repos == 1 else 'repositories'}, p99"
    return Line(what, statistics.median(ours), statistics.median(peer), PEER, most=MOST_S)


class _Updates:
    """Changes one row after the other, each durably."""

    def __init__(self, database: sqlite3.Connection, ids: list[str]) -> None:
        self._database = database
        self._ids = iter(ids)

    def __call__(self) -> None:
        """The next one."""
        self._database.execute("UPDATE queue SET attempt = 1 WHERE id = ?", (next(self._ids),))


def _queue(store: Store, repo: str, count: int) -> None:
    """A commit that touches so many specs."""
    change = Change(f"change-{repo}", repo, COMMIT, "push", MAIN, made_at=utc_now())
    runs = [
        QueuedRun(
            f"run-{repo}-{n:05d}",
            change.id,
            repo,
            COMMIT,
            "push",
            MAIN,
            spec=f"spec{n}",
            spec_path=f"specs/{n}/spec.yaml",
            group=f"{repo} spec{n}-main",
        )
        for n in range(count)
    ]
    store.changes.add(change)
    store.changes.split(change.id, runs, (), Silence())


def _percentile_99(work: Callable[[], object], takes: int) -> float:
    times = []
    for _ in range(takes):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.quantiles(times, n=100)[98]
