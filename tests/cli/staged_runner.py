"""Stands for a runner: its API over real HTTP, with a run that grows, and with the faults of networks."""

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

TOKEN = "a-token-of-the-stage"


@dataclass
class StagedRun:
    """One run: what its only step has printed by now, and how it stands.

    Attributes:
        log: bytes of the step `train`.
        step: state of that step; empty before a worker has begun.
        verdict: once it is over.
        attempt: how many workers began it.
        gates: as the API tells them.
    """

    id: str
    spec: str = "digits"
    log: bytes = b""
    step: str = ""
    verdict: str = ""
    reason: str = ""
    cancel: str = ""
    attempt: int = 1
    gates: list[dict[str, object]] = field(default_factory=list)

    def document(self, url: str) -> dict[str, object]:
        steps = [
            {"name": "train", "kind": "train", "state": self.step, "reason": "", "seconds": 1.5, "attempt": 1}
        ]
        return {
            "id": self.id,
            "change": "c1",
            "repo": "acme/models",
            "commit": "a" * 40,
            "ref": "refs/heads/main",
            "spec": self.spec,
            "spec_path": f"specs/{self.spec}/spec.yaml",
            "state": "done" if self.verdict else "running" if self.step else "waiting",
            "phase": "train",
            "cancel": self.cancel,
            "attempt": self.attempt,
            "verdict": self.verdict or None,
            "reason": self.reason,
            "started_at": "2026-01-02T03:04:05+00:00",
            "ended_at": None,
            "url": f"{url}/runs/{self.id}",
            "model_digest": "d" * 32 + ".dir" if self.verdict == "pass" else "",
            "steps": steps if self.step else [],
            "metrics": [
                {"name": "accuracy", "value": 0.97, "slice": "", "low": None, "high": None, "n_rows": 9}
            ],
            "gates": self.gates,
        }


class RunnerStage:
    """A runner on a free port of loopback. `down` and `up` stop and start it on the same port.

    Attributes:
        runs: by id.
        change: state of the change `c1`, which all runs belong to.
        keys: idempotency keys that were seen, in order.
        wishes: bodies of what was asked for, each once.
        refuse: statuses with headers for the next requests, in order.
        cut_after: connections of events are cut after so many bytes each; in order.
        lose_replies: so many answers to `/trigger` get lost after the wish was taken.
        connections: `Last-Event-ID` of each connection of events.
    """

    def __init__(self) -> None:
        self.runs: dict[str, StagedRun] = {}
        self.change = {"state": "split", "verdict": None, "reason": ""}
        self.keys: list[str] = []
        self.wishes: dict[str, dict[str, object]] = {}
        self.refuse: list[tuple[int, dict[str, str]]] = []
        self.cut_after: list[int] = []
        self.lose_replies = 0
        self.connections: list[str] = []
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self._open: set[socket.socket] = set()
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        stage = self

        class Handler(_Handler):
            runner = stage

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Stop at once: what is connected is cut."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    runner: RunnerStage
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def setup(self) -> None:
        super().setup()
        self.runner._open.add(self.connection)

    def finish(self) -> None:
        self.runner._open.discard(self.connection)
        super().finish()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._refused():
            return
        stage = self.runner
        key = self.headers.get("idempotency-key", "")
        stage.keys.append(key)
        stage.wishes.setdefault(key, body)
        if stage.lose_replies:
            stage.lose_replies -= 1
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if body["repo"] != "acme/models":
            self._json(404, {"detail": "there is no such repository"})
        else:
            self._json(201, {"id": "c1"})

    def do_GET(self) -> None:
        if self._refused():
            return
        stage, path = self.runner, urlsplit(self.path).path.removeprefix("/api/v1")
        _, kind, name, *rest = [*path.split("/"), "", ""]
        if kind == "changes" and name == "c1":
            runs = [run.document(stage.url) for run in stage.runs.values()]
            self._json(200, {"id": "c1", "url": f"{stage.url}/changes/c1", **stage.change, "runs": runs})
        elif kind == "runs" and name in stage.runs:
            if rest[0] == "events":
                self._events(stage.runs[name])
            else:
                self._json(200, stage.runs[name].document(stage.url))
        else:
            self._json(404, {"detail": "there is no such run"})

    def _refused(self) -> bool:
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._json(401, {"detail": "the token is not one of this runner's"})
            return True
        if self.runner.refuse:
            status, headers = self.runner.refuse.pop(0)
            self._json(status, {"detail": "not now", "hint": "wait"}, headers)
            return True
        return False

    def _json(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _events(self, run: StagedRun) -> None:
        stage = self.runner
        last = self.headers.get("last-event-id", "")
        stage.connections.append(last)
        left = stage.cut_after.pop(0) if stage.cut_after else None
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        place, stood = int(last.partition("=")[2] or 0), ""
        try:
            while True:
                over = bool(run.verdict)
                data = b"retry: 1000\n\n: beat\n\n"
                piece = _whole(run.log[place : place + 10])
                if piece:
                    text = piece.decode("utf-8", "replace")
                    place += len(piece)
                    data += _event("log", {"step": "train", "text": text}, f"train={place}")
                document = run.document("")
                stands = {key: document[key] for key in ("state", "phase", "verdict", "reason", "cancel")}
                stands["steps"] = {"train": run.step} if run.step else {}
                if json.dumps(stands) != stood:
                    stood = json.dumps(stands)
                    data += _event("state", stands)
                if over and not piece:
                    data += _event("end", {"verdict": run.verdict})
                if left is not None and len(data) >= left:
                    self.wfile.write(data[:left])
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                left = None if left is None else left - len(data)
                self.wfile.write(data)
                self.wfile.flush()
                if over and not piece:
                    return
                time.sleep(0.002 if piece else 0.02)
        except OSError:
            return


def _event(name: str, data: dict[str, object], cursor: str = "") -> bytes:
    place = f"id: {cursor}\n" if cursor else ""
    return f"event: {name}\n{place}data: {json.dumps(data)}\n\n".encode()


def _whole(data: bytes) -> bytes:
    """The bytes without the beginning of a character whose rest comes later."""
    while data:
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data[:-1]
        else:
            break
    return data


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for something that another thread or process does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
