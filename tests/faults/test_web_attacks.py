"""Attacks on the web doors of a server in a process of its own, over sockets and with a real browser."""

import concurrent.futures
import hashlib
import hmac
import http.client
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

WEB = Path(__file__).parents[1] / "web"
MIB = 1 << 20


def _load(name: str) -> ModuleType:
    known = f"web_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, WEB / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[known])
    return sys.modules[known]


stage, server, browser = _load("stage"), _load("server"), _load("browser")


@dataclass
class Attacked:
    """The server.

    Attributes:
        host: its address.
        port: of it.
        process: it.
    """

    host: str
    port: int
    process: psutil.Process

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
        """One request with a library that does not mend what we send."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            given = {
                "Host": "localhost",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            }
            connection.request(method, path, body, given, encode_chunked="Transfer-Encoding" in given)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def send(self, raw: bytes) -> bytes:
        """Raw bytes and what comes back for them; an end without an answer gives nothing."""
        with socket.create_connection((self.host, self.port), timeout=20) as client:
            try:
                client.sendall(raw)
                client.shutdown(socket.SHUT_WR)
                found = b""
                while piece := client.recv(65536):
                    found += piece
            except OSError:
                return b""
            return found

    def rss_mib(self) -> float:
        """Memory of the server."""
        return float(self.process.memory_info().rss) / MIB


@pytest.fixture(scope="module")
def attacked() -> Iterator[Attacked]:
    command = [sys.executable, str(WEB / "serve_stage.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().decode().strip())
        assert address.hostname is not None
        found = Attacked(address.hostname, address.port or 0, psutil.Process(process.pid))
        for _ in range(200):  # its pools and caches are filled
            found.ask("GET", "/healthz")
        try:
            yield found
        finally:
            process.stdin.close()
            process.wait(20)


def digest(body: bytes) -> str:
    return "sha256=" + hmac.new(stage.SECRET.encode(), body, hashlib.sha256).hexdigest()


# Test 1: signatures. What each looks like in process is in tests/web/test_hooks.py.


def test_no_body_without_a_right_signature_leaves_a_trace(attacked: Attacked) -> None:
    body = stage.push_body()
    good = digest(body)
    for signature in (
        "",
        "sha256=",
        good[:-2],
        good.replace("sha256", "sha1"),
        good.upper(),
        "sha256=" + "0" * 64,
    ):
        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d", "X-Hub-Signature-256": signature}
        assert attacked.ask("POST", "/webhook", body, **headers)[0] == 401, signature
    for change in (body[:-1], body + b"\n", body.replace(b"ada", b"eve")):
        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d", "X-Hub-Signature-256": good}
        assert attacked.ask("POST", "/webhook", change, **headers)[0] == 401
    _, text = attacked.ask("GET", "/metrics", **stage.bearer(stage.ADMIN))
    assert b'outcome="new"' not in text


# Test 3: bodies that are too much.


def flood(size: int) -> Iterator[bytes]:
    for _ in range(size // 65536):
        yield b"a" * 65536


@pytest.mark.slow
def test_bodies_that_are_too_much_are_refused_in_time_and_memory_while_others_are_answered(
    attacked: Attacked,
) -> None:
    before = attacked.rss_mib()
    peak = before

    def large(path: str, **headers: str) -> tuple[str, int, float]:
        started = time.monotonic()
        try:
            status, _ = attacked.ask("POST", path, flood(100 * MIB), **headers)
        except OSError:  # cut off in the middle of sending
            status = 413
        return "large", status, time.monotonic() - started

    def slow() -> tuple[str, int, float]:
        started = time.monotonic()
        head = b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nX-GitHub-Event: push\r\n\r\n"
        with socket.create_connection((attacked.host, attacked.port), timeout=20) as client:
            client.sendall(head)
            client.settimeout(1.0)
            answer = b""
            while not answer and time.monotonic() - started < 15:
                client.sendall(b"a")
                try:
                    answer = client.recv(65536)
                except TimeoutError:
                    continue
        return "slow", int(answer.split()[1]) if answer else 0, time.monotonic() - started

    def signed_odd(body: bytes) -> tuple[str, int, float]:
        started = time.monotonic()
        headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": digest(body)}
        status, _ = attacked.ask("POST", "/webhook", body, **headers)
        return "odd", status, time.monotonic() - started

    odd = [
        b"[" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"ref": NaN, "after": -Infinity}',
        b'{"ref": "a", "ref": "b"}',
        b'{"ref": "\xff"}',
    ]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        jobs = [pool.submit(large, "/webhook", Content_Length=str(100 * MIB)) for _ in range(2)]
        jobs += [pool.submit(large, "/webhook/github", Transfer_Encoding="chunked") for _ in range(2)]
        jobs += [pool.submit(large, "/api/v1/trigger", Transfer_Encoding="chunked")]
        jobs += [pool.submit(slow) for _ in range(8)]
        jobs += [pool.submit(signed_odd, body) for body in odd]
        waits = []
        while not all(job.done() for job in jobs):
            started = time.monotonic()
            assert attacked.ask("GET", "/healthz")[0] == 200
            waits.append(time.monotonic() - started)
            peak = max(peak, attacked.rss_mib())
            time.sleep(0.02)
        for kind, status, took_s in (job.result() for job in jobs):
            assert 400 <= status < 500 or (kind == "large" and status == 503), (kind, status)
            assert took_s < 10, (kind, took_s)
    assert max(waits) < 2
    assert peak - before < 50, f"{before:.0f} MiB before, {peak:.0f} MiB at the peak"
    _, status, took_s = signed_odd(b"[" * (20 * MIB))
    assert status == 400
    assert took_s < 10


# Test 32: the pages and the API.

TRICKS = (
    "/runs/..%2f..%2fetc%2fpasswd",
    "/runs/%2e%2e/%2e%2e/etc/passwd",
    "/runs/..%252f..%252fetc",
    "/runs/%c0%ae%c0%ae/x",
    "/../../etc/passwd",
    "/assets/../app.py",
    "/assets/%2e%2e%2fapp.py",
    "/api/v1/runs/..%2f/logs/train",
    "/api/v1/runs/r1/logs/%2e%2e",
    "/api/v1/runs/r1/logs/..%5c..%5cx",
    "/runs/r1%00.html",
    "//evil.example/runs",
    "/runs/r7",  # a run of a repository that this token must not see
    "/api/v1/runs/r7",
)


@pytest.mark.parametrize("path", TRICKS)
def test_names_with_tricks_lead_nowhere(attacked: Attacked, path: str) -> None:
    status, body = attacked.ask("GET", path, **stage.bearer(stage.CI))
    assert 400 <= status < 500
    assert b"root:" not in body
    assert b"hidden" not in body


def test_raw_requests_that_no_library_sends_are_refused_and_never_a_500(attacked: Attacked) -> None:
    auth = b"Authorization: Bearer " + stage.ADMIN.encode() + b"\r\n"
    requests = [
        b"GET /runs HTTP/1.1\r\nHost: evil.example\r\n" + auth + b"\r\n",
        b"GET /runs HTTP/1.1\r\n" + auth + b"\r\n",
        b"GET /runs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + auth + b"\r\n",
        b"GET http://evil.example/runs HTTP/1.1\r\nHost: evil.example\r\n" + auth + b"\r\n",
        b"GET /runs\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /runs HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 200 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ]
    for raw in requests:
        answer = attacked.send(raw)
        statuses = [int(line.split()[1]) for line in answer.splitlines() if line.startswith(b"HTTP/1.1 ")]
        assert all(400 <= status < 500 for status in statuses), (raw, answer)
    assert attacked.ask("GET", "/healthz")[0] == 200


def test_other_sites_and_reading_change_nothing(attacked: Attacked) -> None:
    tokens = stage.bearer(stage.ADMIN)
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "evil.example"},
    ):
        for path in ("/api/v1/runs/r2/cancel", "/runs/r2/cancel", "/login"):
            status, _ = attacked.ask("POST", path, b"", **{**tokens, **headers})
            assert status in (403, 421), (path, headers)
    for path in ("/api/v1/runs/r2/cancel", "/runs/r2/cancel", "/api/v1/approve"):
        assert attacked.ask("GET", path, **tokens)[0] in (404, 405)
    many = "bytes=" + ",".join(f"0-{index}" for index in range(1500))
    assert attacked.ask("GET", "/assets/live.js", Range=many, **tokens)[0] == 416


# Test 31: hostile text in a browser.

CODE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "'-alert(4)-'",
    "javascript:alert(5)",
    "</title></textarea></script></pre><script>alert(6)</script>",
    "{{7*7}}${7*7}{% raw %}",
    "\x1b]0;title\x07\x1b[31mred",
    "\u202egnp.exe\u2066",
    "<a href='javascript:alert(7)'>x</a><iframe srcdoc='<script>parent.alert(8)</script>'>",
)


def hostile() -> Any:
    """A stage on which everything that strangers can name is an attack."""
    evil = " ".join(CODE)
    found = stage.filled()
    for run_id, run in list(found.queue.items()):
        found.queue[run_id] = replace(
            run,
            ref=f"refs/heads/{evil}",
            cause=evil,
            spec=f"s{CODE[1]}",
            spec_path=evil,
            reason=evil if run.state == "done" else "",
            cancel=evil if run.state == "done" else "",
            overrides=(evil,),
        )
    for run_id, record in list(found.records.items()):
        found.records[run_id] = replace(
            record,
            reason=evil,
            steps=tuple(replace(step, reason=evil) for step in record.steps),
            metrics=tuple(
                replace(metric, name=evil, slice=f"{evil}=1" if metric.slice else "")
                for metric in record.metrics
            ),
            gates=tuple(replace(gate, name=evil, reason=evil) for gate in record.gates),
        )
        found.logs[run_id, "train"] = f"{evil}\n".encode() * 3 + b"\xff\x00\n"
    found.reports["r1"] = f"<!DOCTYPE html><title>x</title><p>the report</p>{evil}"
    return found


@pytest.mark.slow
def test_hostile_text_is_inert_in_a_browser(tmp_path: Path) -> None:
    found = hostile()
    listener = server.listening()
    app = stage.app_of(found, url=server.address_of(listener), public_read=True)
    with server.served(app, listener) as url, browser.browser(tmp_path) as page:
        for path in ("/runs", "/runs/r1", "/runs/r5", "/runs/r4", "/changes/c1"):
            page.open(url + path)
            text = page.run("document.body.innerText")
            assert "<script>alert(1)</script>" in text, path
            assert "49" not in text.replace("1749", ""), path
            assert page.run("document.querySelectorAll('img, svg, iframe, body script').length") == 0, path
            assert page.run("[...document.links].filter((a) => !/^https?:/.test(a.href)).length") == 0, path
            assert "\u202e" not in text, path
        assert page.complaints() == []
        page.open(f"{url}/runs/r2")
        found.logs["r2", "train"] += f"live {' '.join(CODE)}\n".encode()
        page.wait(lambda: "live <script>" in page.run("document.getElementById('log').textContent"))
        assert page.run("document.getElementById('log').children.length") == 0
        assert "\x1b" not in page.run("document.getElementById('log').textContent")
        assert page.complaints() == []
        # The report is made elsewhere: whatever is in it, it has no scripts and no origin.
        page.open(f"{url}/runs/r1/report")
        assert "the report" in page.run("document.body.innerText")
        assert page.run("origin") == "null"
        assert not [text for text in page.complaints() if text.startswith("dialog")]


def test_hostile_text_is_valid_json_in_the_api() -> None:
    app = stage.app_of(hostile())
    for path in ("/api/v1/runs", "/api/v1/runs/r1", "/api/v1/changes", "/api/v1/runs/r1/steps"):
        answer = stage.ask(app, "GET", path, stage.ADMIN)
        assert answer.headers["content-type"] == "application/json"
        assert CODE[0] in str(answer.json())
