"""Webhooks: signature, reading, dispatch and a durable record, beside sqlite3 alone writing the very same rows as safely.

Both run in process, so that no network and no HTTP parser is measured.
"""

import asyncio
import hashlib
import hmac
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bare import as_safe
from doors import SECRET, App, ask, doors
from stopwatch import Line, Room

MOST_P50_S = 0.005
WANTED_A_SECOND = 500
AT_ONCE = 64
TABLES = ("deliveries", "changes", "outbox")
REPO_ID = 1


@dataclass(frozen=True)
class Call:
    """One signed push: what a forge sends."""

    delivery: str
    body: bytes
    signature: str


def measure(folder: Path, *, count: int, repeats: int) -> list[Line]:
    """One after the other for the time of each; many at a time for how many a second."""
    room = Room(folder / "webhook").folder
    times: list[tuple[float, float, float, float]] = []
    for take in range(repeats):
        ours = _fiat(room / f"fiat{take}", count)
        times.append((*ours, *_bare(room / f"bare{take}.db", room / f"fiat{take}" / "store" / "store.db")))
    single, many, bare_single, bare_many = (statistics.median(each) for each in zip(*times, strict=True))
    return [
        Line(
            "webhook to durable record and 202, p50",
            single,
            bare_single,
            "sqlite3, a commit",
            most=MOST_P50_S,
        ),
        Line(
            f"{WANTED_A_SECOND} webhooks of {count:,}, none lost",
            many,
            bare_many,
            f"sqlite3, {AT_ONCE} a commit",
            most=1.0,
        ),
    ]


def _fiat(folder: Path, count: int) -> tuple[float, float]:
    """Median seconds of one, and seconds for each WANTED_A_SECOND of many at a time."""
    with doors(folder) as opened:
        times = asyncio.run(_drive(opened.app, count))
        taken = dict(opened.door.numbers().deliveries)
    wanted = {("github", "push", "new"): count + count // 4}
    if taken != wanted:
        sys.exit(f"deliveries that were answered with 202: {wanted}; in the store: {taken}")
    return times


async def _drive(app: App, count: int) -> tuple[float, float]:
    alone = [call_of(index) for index in range(count // 4)]
    crowd = iter([call_of(-1 - index) for index in range(count)])
    times = []
    for call in alone:
        started = time.perf_counter()
        await post(app, call)
        times.append(time.perf_counter() - started)

    async def sender() -> None:
        for call in crowd:
            await post(app, call)

    started = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(AT_ONCE)))
    return statistics.median(times), (time.perf_counter() - started) * WANTED_A_SECOND / count


async def post(app: App, call: Call) -> None:
    """Send it, and insist on its 202."""
    headers = {
        "content-type": "application/json",
        "content-length": str(len(call.body)),
        "x-github-event": "push",
        "x-github-delivery": call.delivery,
        "x-hub-signature-256": call.signature,
    }
    await ask(app, "POST", "/webhook/github", headers, call.body, wanted=202)


def call_of(index: int) -> Call:
    """A push of its own, as large as GitHub's usually are."""
    commit = hashlib.sha1(str(index).encode(), usedforsecurity=False).hexdigest()
    said = {
        "ref": "refs/heads/main",
        "before": "1" * 40,
        "after": commit,
        "deleted": False,
        "repository": {
            "id": REPO_ID,
            "full_name": "acme/models0",
            "urls": [f"https://api.github.com/{n}" for n in range(50)],
        },
        "sender": {"id": 7, "login": "ada"},
        "commits": _commits(commit),
    }
    body = json.dumps(said).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return Call(f"delivery-{index}", body, f"sha256={signature}")


def _commits(commit: str) -> Sequence[dict[str, object]]:
    files = [f"specs/digits/file{index}.py" for index in range(20)]
    return [{"id": commit, "message": "Change something", "modified": files, "author": {"name": "Ada"}}] * 5


def _bare(path: Path, filled: Path) -> tuple[float, float]:
    """The rows of a filled store, written again into the same tables: a commit for each delivery, and for many."""
    with closing(sqlite3.connect(filled)) as source:
        tables = [
            row[0] for row in source.execute("SELECT sql FROM sqlite_master WHERE sql <> '' ORDER BY rowid")
        ]
        rows = [source.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in TABLES]
    groups = list(zip(*rows, strict=True))
    half = len(groups) // 2
    with closing(as_safe(path)) as database:
        for sql in tables:
            database.execute(sql)
        single = _seconds(lambda: _write(database, groups[:half], 1)) / half
        many = _seconds(lambda: _write(database, groups[half:], AT_ONCE)) / (len(groups) - half)
    return single, many * WANTED_A_SECOND


def _write(
    database: sqlite3.Connection, groups: Sequence[Sequence[tuple[object, ...]]], at_once: int
) -> None:
    for start in range(0, len(groups), at_once):
        some = groups[start : start + at_once]
        database.execute("BEGIN IMMEDIATE")
        for name, rows in zip(TABLES, zip(*some, strict=True), strict=True):
            database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        database.execute("COMMIT")


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
