"""The doors of a runner whose loops are not started, and how they are asked in process: no network, no HTTP parser."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.web.app import create_app
from fiat.web.settings import WebSettings
from fiat.wiring.desk import utc_now
from fiat.wiring.runner import Runner
from fiat.wiring.runner_door import RunnerDoor
from fiat.wiring.runner_parts import make_parts
from fiat.wiring.runner_reading import read_runner_settings

SECRET = "a webhook secret for the measurement"  # noqa: S105 - protects nothing
TOKEN = "a-token-for-the-measurement-long-enough"  # noqa: S105 - protects nothing
HOST = "127.0.0.1:8321"
SETTINGS = """\
fiat_runner: 1
store: store
compute: local
sandbox: {kind: none}
tokens: [{name: bench, secret: {env: TOKEN}, scopes: [read]}]
repositories:
"""
REPOSITORY = """\
  - name: acme/models%d
    forge: github
    id: "%d"
    url: https://github.com/acme/models%d.git
    webhook_secrets: [{env: HOOK}]
"""
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Doors:
    """What is asked."""

    app: App
    door: RunnerDoor


@contextmanager
def doors(folder: Path, *, repositories: int = 1) -> Iterator[Doors]:
    """Open them on the store in a folder; repositories are `acme/models0` and so on, their ids 1 and so on."""
    folder.mkdir(exist_ok=True)
    lines = [REPOSITORY % (number, number + 1, number) for number in range(repositories)]
    (folder / "runner.yaml").write_text(SETTINGS + "".join(lines))
    settings = read_runner_settings(folder / "runner.yaml", {"HOOK": SECRET, "TOKEN": TOKEN})
    runner = Runner(make_parts(settings.at(f"http://{HOST}")), {})
    try:
        web = WebSettings(url=f"http://{HOST}", key=b"k" * 32)
        yield Doors(create_app(runner.door, web, utc_now), runner.door)
    finally:
        runner.stop()


async def ask(
    app: App, method: str, path: str, headers: Mapping[str, str], body: bytes = b"", *, wanted: int = 200
) -> bytes:
    """Ask once; gives the body of the answer. Another status than wanted ends the measurement."""
    place, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": place,
        "raw_path": place.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in {"host": HOST, **headers}.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8321),
    }
    answer: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        answer.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in answer)
    if answer[0]["status"] != wanted:
        sys.exit(f"{method} {path} was answered with {answer[0]['status']}: {content[:500]!r}")
    return content
