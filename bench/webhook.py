"""Webhooks: signature, reading, dispatch and a durable record, beside a bare ASGI app that only writes its rows.

Both run in process, so that no network and no HTTP parser is measured; both write SQLite as safely.
"""

import asyncio
import hashlib
import hmac
import json
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stopwatch import Line, Room

from fiat.web.app import create_app
from fiat.web.settings import WebSettings
from fiat.wiring.desk import utc_now
from fiat.wiring.runner import Runner
from fiat.wiring.runner_parts import make_parts
from fiat.wiring.runner_reading import read_runner_settings

SECRET = "a webhook secret for the measurement"  # noqa: S105 - protects nothing
MOST_P50_S = 0.005
WANTED_A_SECOND = 500
AT_ONCE = 64
PEER = "bare ASGI, SQLite"
SETTINGS = """\
fiat_runner: 1
store: store
compute: local
sandbox: {kind: none}
repositories:
  - {name: acme/models, forge: github, id: "1", url: "https://github.com/acme/models.git", webhook_secrets: [{env: HOOK}]}
"""
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Call:
    """One signed push: what a forge sends."""

    delivery: str
    body: bytes
    signature: str


def measure(folder: Path, *, count: int, repeats: int) -> list[Line]:
    """One after the other for the time of each; many at a time for how many a second."""
    room = Room(folder / "webhook").folder
    ours: list[tuple[float, float]] = []
    peer: list[tuple[float, float]] = []
    for take in range(repeats):
        ours.append(_fiat(room / f"fiat{take}", count))
        peer.append(_bare(room / f"bare{take}", count))
    single, many, bare_single, bare_many = (
        statistics.median(values) for values in (*zip(*ours, strict=True), *zip(*peer, strict=True))
    )
    return [
        Line("webhook to durable record and 202, p50", single, bare_single, PEER, most=MOST_P50_S),
        Line(f"{WANTED_A_SECOND} webhooks of {count:,}, none lost", many, bare_many, PEER, most=1.0),
    ]


def _fiat(folder: Path, count: int) -> tuple[float, float]:
    """The doors of a runner whose loops are not started, so that nothing else is measured."""
    folder.mkdir()
    (folder / "runner.yaml").write_text(SETTINGS)
    settings = read_runner_settings(folder / "runner.yaml", {"HOOK": SECRET})
    runner = Runner(make_parts(settings.at("http://127.0.0.1:8321")), {})
    try:
        web = WebSettings(url="http://127.0.0.1:8321", key=b"k" * 32)
        times = asyncio.run(_drive(create_app(runner.door, web, utc_now), "/webhook/github", count))
        kept = sum(runner.door.numbers().deliveries.values())
    finally:
        runner.stop()
    return _checked(times, kept, count)


def _bare(folder: Path, count: int) -> tuple[float, float]:
    """Read the body, insert a row, commit, answer: the least that a durable record takes."""
    folder.mkdir()
    database = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
    for line in (
        "PRAGMA journal_mode=TRUNCATE",
        "PRAGMA synchronous=EXTRA",
        "CREATE TABLE kept (id TEXT, body BLOB)",
    ):
        database.execute(line)
    lock = threading.Lock()

    def write(delivery: str, body: bytes) -> None:
        with lock:
            database.execute("INSERT INTO kept VALUES (?, ?)", (delivery, body))

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        delivery = dict(scope["headers"])[b"x-github-delivery"].decode()
        await asyncio.to_thread(write, delivery, body)
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    times = asyncio.run(_drive(app, "/", count))
    kept = database.execute("SELECT count(*) FROM kept").fetchone()[0]
    database.close()
    return _checked(times, kept, count)


def _checked(times: tuple[float, float], kept: int, count: int) -> tuple[float, float]:
    wanted = count + count // 4
    if kept != wanted:
        sys.exit(f"{wanted} webhooks were answered with 202 and {kept} are kept")
    return times


async def _drive(app: App, path: str, count: int) -> tuple[float, float]:
    """Median seconds of one, and seconds for each WANTED_A_SECOND of many at a time."""
    alone, crowd = (
        [_call(index) for index in range(count // 4)],
        [_call(-1 - index) for index in range(count)],
    )
    times = []
    for call in alone:
        started = time.perf_counter()
        await _post(app, path, call)
        times.append(time.perf_counter() - started)
    waiting = iter(crowd)

    async def sender() -> None:
        for call in waiting:
            await _post(app, path, call)

    started = time.perf_counter()
    await asyncio.gather(*(sender() for _ in range(AT_ONCE)))
    return statistics.median(times), (time.perf_counter() - started) * WANTED_A_SECOND / count


async def _post(app: App, path: str, call: Call) -> None:
    headers = {
        "host": "127.0.0.1:8321",
        "content-type": "application/json",
        "content-length": str(len(call.body)),
        "x-github-event": "push",
        "x-github-delivery": call.delivery,
        "x-hub-signature-256": call.signature,
    }
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8321),
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": call.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    if statuses != [202]:
        sys.exit(f"a webhook was answered with {statuses}")


def _call(index: int) -> Call:
    """A push of its own, as large as GitHub's usually are."""
    commit = hashlib.sha1(str(index).encode(), usedforsecurity=False).hexdigest()
    said = {
        "ref": "refs/heads/main",
        "before": "1" * 40,
        "after": commit,
        "deleted": False,
        "repository": {
            "id": 1,
            "full_name": "acme/models",
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
