"""Real smart HTTP for tests: `git http-backend` behind a server on 127.0.0.1, with a token, and with ways to fail.

with serving(tmp_path / "served") as server:
    bare = server.create("acme/models")
    work.git("push", server.url("acme/models"), "main")
"""

import base64
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Asked:
    """A request that came in: method, path with query, headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class GitServer:
    """Bare repositories under a folder, served for reading and pushing.

    Attributes:
        folder: where they lie.
        port: on 127.0.0.1.
        token: must come as the password of basic authentication; empty lets everybody in.
        knows: tells good passwords instead, where there are several.
        fail: an HTTP status to answer everything with, 0 to serve; 1 hangs up, 2 cuts answers in half.
        echo: failures repeat the credential that they were shown.
        pause_s: how long every answer waits.
        redirect: where everything is sent, empty for nowhere.
        asked: every request so far.
    """

    folder: Path
    port: int = 0
    token: str = ""
    knows: Callable[[str], bool] | None = None
    fail: int = 0
    echo: bool = False
    pause_s: float = 0.0
    redirect: str = ""
    asked: list[Asked] = field(default_factory=list)

    def create(self, name: str) -> Path:
        """A new bare repository that takes pushes and gives single commits."""
        bare = self.folder / f"{name}.git"
        run = ["git", "init", "-q", "--bare", "--template=", "-b", "main", str(bare)]
        subprocess.run(run, check=True, env=_environment(self.folder))
        for key, value in {"http.receivepack": "true", "uploadpack.allowAnySHA1InWant": "true"}.items():
            subprocess.run(
                ["git", "-C", str(bare), "config", key, value], check=True, env=_environment(self.folder)
            )
        return bare

    def url(self, name: str, *, token: str = "") -> str:
        """Its address; with a token as a person's git would be given it."""
        user = f"user:{token}@" if token else ""
        return f"http://{user}127.0.0.1:{self.port}/{name}.git"


@contextmanager
def serving(folder: Path) -> Iterator[GitServer]:
    """A server for the time of a test. Skips at a desk without `git http-backend`, fails in CI."""
    backend = _backend()
    folder.mkdir(parents=True, exist_ok=True)
    server = GitServer(folder)
    handler = type("Handler", (_Handler,), {"served": server, "backend": backend})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _backend() -> str:
    where = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    found = shutil.which("git-http-backend", path=where)
    if found is None:
        reason = "git has no http-backend here"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; CI must speak git over HTTP")
        pytest.skip(reason)
    return found


def _environment(folder: Path) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}


class _Handler(BaseHTTPRequestHandler):
    served: GitServer
    backend: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *arguments: object) -> None:
        pass

    def _answer(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.served.asked.append(Asked(self.command, self.path, headers))
        until = time.monotonic() + self.served.pause_s
        while time.monotonic() < until and self.served.pause_s:
            time.sleep(0.02)
        if self.served.fail == 1:
            self.close_connection = True
        elif self.served.fail >= 300:
            said = f"you said {headers.get('authorization')}".encode() if self.served.echo else b""
            self._plain(self.served.fail, {"Content-Type": "text/plain"}, said)
        elif self.served.redirect:
            self._plain(302, {"Location": self.served.redirect + self.path})
        elif not self._known(headers):
            self._plain(401, {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self._run(headers, body)

    def _known(self, headers: dict[str, str]) -> bool:
        if not self.served.token and self.served.knows is None:
            return True
        try:
            shown = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        except ValueError:
            return False
        password = shown.partition(":")[2]
        return self.served.knows(password) if self.served.knows else password == self.served.token

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _run(self, headers: dict[str, str], body: bytes) -> None:
        address = urlsplit(self.path)
        environment = {
            **_environment(self.served.folder),
            "GIT_PROJECT_ROOT": str(self.served.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": address.path,
            "QUERY_STRING": address.query,
            "CONTENT_TYPE": headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run([self.backend], input=body, env=environment, capture_output=True, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        status = int(fields.pop("Status", "200").split()[0])
        self._plain(status, fields, content, cut=self.served.fail == 2)

    def _plain(self, status: int, fields: dict[str, str], content: bytes = b"", *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in fields.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True
