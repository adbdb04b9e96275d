"""A forge on 127.0.0.1: plays GitHub, GitLab or Gitea over real HTTP, keeps what it is told, and fails as it is told.

    with forge_stage("github") as stage:
        forge = GithubForge(stage.repo())
        stage.fail(BROKEN, times=3, path="/statuses/")
        ...
        assert stage.world.last(commit, "fiat/push") == "success"

Tests elsewhere put this folder on `sys.path` and import `forge_stage`.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import forge_gitea_routes
import forge_github_routes
import forge_gitlab_routes
from forge_world import Answer, Asked, World

from fiat.ports.forge import Credential, ForgeRepo

_PLAYS: Mapping[str, tuple[str, Callable[[World, Asked], Answer]]] = {
    "github": ("", forge_github_routes.answer),
    "gitlab": ("/api/v4", forge_gitlab_routes.answer),
    "gitea": ("/api/v1", forge_gitea_routes.answer),
    "forgejo": ("/api/v1", forge_gitea_routes.answer),
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request.

    Attributes:
        status: the answer's status.
        body: the answer's JSON.
        headers: of the answer.
        done: the forge does what it was asked before it fails: the reply is lost, not the write.
        cut: the connection ends in the middle of the answer (the forge's own, when it was done).
        silent: there is no answer, the connection ends.
        slow_s: seconds before the answer.
    """

    status: int = 500
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    done: bool = False
    cut: bool = False
    silent: bool = False
    slow_s: float = 0.0


BROKEN = Fault(500, {"message": "Server Error"})
UNAVAILABLE = Fault(503, None, {"Content-Type": "text/html"})
NOT_THERE = Fault(404, {"message": "Not Found"})
INVALID = Fault(422, {"message": "Validation Failed", "errors": [{"code": "custom", "message": "no"}]})
REFUSED = Fault(401, {"message": "Bad credentials"})
FORBIDDEN = Fault(403, {"message": "Resource not accessible by personal access token"})
SECONDARY = Fault(403, {"message": "You have exceeded a secondary rate limit. Please wait a few minutes"})
HALF = Fault(done=True, cut=True)
LOST = Fault(done=True, silent=True)
NOTHING = Fault(silent=True)


def slow(seconds: float) -> Fault:
    """The right answer, late."""
    return Fault(done=True, slow_s=seconds)


def busy(retry_after_s: int, status: int = 403) -> Fault:
    """A limit with `retry-after`."""
    body = {"message": "You have exceeded a secondary rate limit"}
    return Fault(status, body, {"Retry-After": str(retry_after_s)})


def exhausted(reset_in_s: int) -> Fault:
    """GitHub's answer when no requests are left until a time."""
    left = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0"}
    reset = {"X-RateLimit-Reset": str(int(time.time()) + reset_in_s)}
    return Fault(403, {"message": "API rate limit exceeded for user ID 900."}, {**left, **reset})


@dataclass
class _Planned:
    fault: Fault
    left: int
    method: str
    path: re.Pattern[str]


class ForgeStage:
    """A running forge.

    Attributes:
        flavour: `github`, `gitlab`, `gitea` or `forgejo`.
        world: what it knows.
        requests: every request with the status that it got (0 for no answer), in order of arrival.
        outage: while it is set, every request meets this fault.
        chance: asked for each request whether a fault meets it; for seeded chaos.
        clock_off_s: how far its clock is ahead of ours.
    """

    def __init__(self, flavour: str, port: int) -> None:
        base, self._answer = _PLAYS[flavour]
        self.flavour = flavour
        self.port = port
        self.base = base
        scopes = "api" if flavour == "gitlab" else "repo"
        self.world = World(url=f"http://127.0.0.1:{port}{base}", scopes=scopes)
        self.requests: list[tuple[Asked, int]] = []
        self.outage: Fault | None = None
        self.chance: Callable[[Asked], Fault | None] = lambda _: None
        self.clock_off_s = 0.0
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Base of the API."""
        return self.world.url

    def repo(self, **credential: str) -> ForgeRepo:
        """The repository as an operator would set it; with the personal token unless another credential is given."""
        shown = Credential(**credential) if credential else Credential(token=self.world.token)
        return ForgeRepo(
            self.world.repo_name, str(self.world.repo_id), self.url, shown, allow_private_hosts=True
        )

    def fail(self, fault: Fault, *, times: int = 1, method: str = "", path: str = "") -> None:
        """Let the next matching requests meet a fault.

        Args:
            fault: which.
            times: how many of them.
            method: only this one.
            path: a pattern that is searched in the path.
        """
        with self._lock:
            self._planned.append(_Planned(fault, times, method, re.compile(path)))

    def heal(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._planned.clear()
            self.outage, self.chance = None, lambda _: None

    def asked(self, method: str = "", path: str = "") -> list[Asked]:
        """Requests by method and a pattern in their path."""
        return [
            asked
            for asked, _ in self.requests
            if asked.method.startswith(method) and re.search(path, asked.path)
        ]

    def writes(self) -> list[Asked]:
        """Requests that change something."""
        return [asked for asked, _ in self.requests if asked.method != "GET"]

    def answer(self, asked: Asked) -> tuple[Answer, Fault | None]:
        """What is said to a request; the handler sends it."""
        with self._lock:
            fault = self._meet(asked)
            if fault is None or fault.done:
                answer = self._answer(self.world, asked)
            else:
                answer = Answer(fault.status, fault.body, fault.headers)
            self.requests.append((asked, 0 if fault and fault.silent else answer.status))
        return answer, fault

    def _meet(self, asked: Asked) -> Fault | None:
        if self.outage is not None:
            return self.outage
        for plan in self._planned:
            if plan.left and asked.method.startswith(plan.method) and plan.path.search(asked.path):
                plan.left -= 1
                return plan.fault
        return self.chance(asked)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stage: ForgeStage

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        parts = urlsplit(self.path)
        asked = Asked(
            self.command,
            parts.path.removeprefix(self.stage.base),
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(raw) if raw else None,
            time.monotonic(),
        )
        answer, fault = self.stage.answer(asked)
        try:
            self._send(answer, fault or Fault())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815  # http.server's names

    def _send(self, answer: Answer, fault: Fault) -> None:
        if fault.slow_s:
            time.sleep(fault.slow_s)
        if fault.silent:
            self.close_connection = True
            return
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault.cut else body)
        if fault.cut:
            self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time.time() + self.stage.clock_off_s, usegmt=True)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def forge_stage(flavour: str) -> Iterator[ForgeStage]:
    """Run a forge until the `with` ends."""
    handler = type("_Played", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    stage = ForgeStage(flavour, server.server_address[1])
    handler.stage = stage  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stage
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
