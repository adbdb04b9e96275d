"""Downloads over real HTTP: streamed, resumed where they broke, checked."""

import hashlib
import importlib.util
import os
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from fiat.builtin.http_client import HttpClient, HttpPolicy
from fiat.builtin.http_download import download
from fiat.errors import EnvironmentFault, SpecError

_SPEC = importlib.util.spec_from_file_location("http_stage", Path(__file__).parent / "http_stage.py")
assert _SPEC is not None
assert _SPEC.loader is not None
http_stage = importlib.util.module_from_spec(_SPEC)
sys.modules["http_stage"] = http_stage
_SPEC.loader.exec_module(http_stage)
PUBLIC, reply, stage = http_stage.PUBLIC, http_stage.reply, http_stage.stage

BODY = os.urandom(3_000_000)
DIGEST = hashlib.sha256(BODY).hexdigest()


class Flaky:
    """Serves BODY, but breaks each of the first answers after some bytes.

    Args:
        breaks: bytes to send before breaking off, an entry an answer.
        etag: validator to send, empty for none.
        ranges: answers Range requests with 206.
        changes: the body after the first answer.
    """

    def __init__(
        self, breaks: list[int], *, etag: str = '"v1"', ranges: bool = True, changes: bytes = BODY
    ) -> None:
        self.breaks, self.etag, self.ranges, self.changes = breaks, etag, ranges, changes
        self.n_answers = 0

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        body = BODY if self.n_answers == 0 else self.changes
        etag = self.etag if body == BODY else '"v2"'
        asked, first = handler.headers.get("Range"), 0
        fresh = handler.headers.get("If-Range") in (None, etag)
        if asked and self.ranges and fresh:
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        if etag:
            handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(body) - first))
        handler.end_headers()
        count = self.breaks[self.n_answers] if self.n_answers < len(self.breaks) else len(body)
        self.n_answers += 1
        handler.wfile.write(body[first : first + count])
        handler.close_connection = True


def fetch(on: "http_stage.Stage", path: Path, sha256: str | None = None) -> int:
    on.names["data.example"] = [[PUBLIC]]
    waits: list[float] = []
    client = HttpClient(HttpPolicy(idle_timeout_s=5), resolve=on.resolve, connect=on.connect)
    came = download(client, "http://data.example/f", path, sha256, sleep=waits.append)
    assert came.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert came.size_bytes == path.stat().st_size
    assert len(waits) == came.n_requests - 1
    return came.n_requests


def ranges(on: "http_stage.Stage") -> list[str | None]:
    return [headers.get("range") for _, headers in on.requests]


def test_a_file_comes_whole(tmp_path: Path) -> None:
    with stage(lambda handler: reply(handler, BODY)) as on:
        assert fetch(on, tmp_path / "f", DIGEST.upper()) == 1
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_broken_transfer_goes_on_where_it_broke(tmp_path: Path) -> None:
    with stage(Flaky([1_000_000, 500_000])) as on:
        assert fetch(on, tmp_path / "f") == 3
        assert ranges(on) == [None, "bytes=1000000-", "bytes=1500000-"]
        assert on.requests[1][1]["if-range"] == '"v1"'
    assert (tmp_path / "f").read_bytes() == BODY


def test_without_a_validator_only_a_known_digest_allows_going_on(tmp_path: Path) -> None:
    with stage(Flaky([1_000_000], etag="")) as on:
        fetch(on, tmp_path / "known", DIGEST)
        assert ranges(on) == [None, "bytes=1000000-"]
    with stage(Flaky([1_000_000], etag='W/"weak"')) as on:
        fetch(on, tmp_path / "unknown")
        assert ranges(on) == [None, None]
    assert (tmp_path / "unknown").read_bytes() == BODY


def test_a_server_without_ranges_sends_it_again_from_the_start(tmp_path: Path) -> None:
    with stage(Flaky([1_000_000], ranges=False)) as on:
        assert fetch(on, tmp_path / "f") == 2
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_file_that_changed_meanwhile_is_never_glued_together(tmp_path: Path) -> None:
    other = os.urandom(2_000_000)
    with stage(Flaky([1_000_000], changes=other)) as on:
        assert fetch(on, tmp_path / "f") == 2
    assert (tmp_path / "f").read_bytes() == other


def test_another_part_than_asked_for_is_not_taken(tmp_path: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Range"):
            reply(handler, b"x", 206, ETag='"v1"', Content_Range="bytes 0-0/9")
        else:
            flaky(handler)

    flaky = Flaky([1_000_000])
    with stage(answer) as on:
        assert fetch(on, tmp_path / "f") == 3
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_busy_server_is_asked_again_and_a_server_that_stays_busy_is_a_fault(tmp_path: Path) -> None:
    count = iter(range(100))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, BODY, 503 if next(count) < 2 else 200)

    with stage(answer) as on:
        assert fetch(on, tmp_path / "f") == 3
    with (
        stage(lambda handler: reply(handler, b"", 429)) as on,
        pytest.raises(EnvironmentFault, match="tried 6 times: .* busy"),
    ):
        fetch(on, tmp_path / "g")
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path, status: int) -> None:
    with stage(lambda handler: reply(handler, b"no", status)) as on:
        with pytest.raises(SpecError, match=f"http://data.example/f answers with status {status}"):
            fetch(on, tmp_path / "f")
        assert len(on.requests) == 1
    assert not (tmp_path / "f").exists()


def test_a_server_that_is_not_there_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    with stage(lambda handler: reply(handler, b"")) as on:
        port = on.port
    client = HttpClient(HttpPolicy(allow_private_hosts=True))
    with pytest.raises(EnvironmentFault, match="can't be downloaded, tried 6 times"):
        download(client, f"http://127.0.0.1:{port}/f", tmp_path / "f", None, sleep=lambda _: None)


def test_private_hosts_are_reached_when_the_operator_allows_it(tmp_path: Path) -> None:
    with stage(lambda handler: reply(handler, BODY)) as on:
        client = HttpClient(HttpPolicy(allow_private_hosts=True))
        came = download(client, f"http://127.0.0.1:{on.port}/f", tmp_path / "f", DIGEST)
        assert came.n_requests == 1
        assert on.requests[0][1]["host"] == f"127.0.0.1:{on.port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate for secure.example in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=secure.example",
    ]
    argv += ["-addext", "subjectAltName=DNS:secure.example", "-keyout", f"{path}.key", "-out", f"{path}.crt"]
    try:
        subprocess.run(argv, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the openssl program")
    path.write_bytes(Path(f"{path}.key").read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def test_tls_checks_the_name_while_the_connection_is_pinned_to_an_address(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    with stage(lambda handler: reply(handler, b"secure")) as on:
        on.names |= {"secure.example": [[PUBLIC]], "other.example": [[PUBLIC]]}
        client = HttpClient(HttpPolicy(), resolve=on.resolve, connect=_over_tls(on, context))
        with pytest.raises(EnvironmentFault, match="certificate of secure.example is not to be trusted"):
            client.get("https://secure.example/x")
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        with client.get("https://secure.example/x") as answer:
            assert answer.read(100) == b"secure"
        assert names[-1] == "secure.example"
        assert on.connected[-1] == PUBLIC
        with pytest.raises(EnvironmentFault, match="certificate of other.example"):
            client.get("https://other.example/x")
        assert len(on.requests) == 1


def _over_tls(on: "http_stage.Stage", context: ssl.SSLContext) -> "http_stage.Connect":
    """A connector to a small TLS terminator in front of the stage."""

    def connect(address: str, port: int, timeout_s: float) -> "http_stage.socket.socket":
        on.connected.append(address)
        ours, theirs = http_stage.socket.socketpair()

        def serve() -> None:
            try:
                with context.wrap_socket(theirs, server_side=True) as tls:
                    asked = b""
                    while not asked.endswith(b"\r\n\r\n"):
                        asked += tls.recv(4096)
                    with http_stage.socket.create_connection(("127.0.0.1", on.port)) as plain:
                        plain.sendall(asked)
                        while data := plain.recv(65536):
                            tls.sendall(data)
            except OSError:
                theirs.close()

        threading.Thread(target=serve, daemon=True).start()
        return ours

    return connect


def test_what_writes_is_sent_with_its_body_and_length() -> None:
    with stage(lambda handler: reply(handler, handler.command.encode(), 201)) as on:
        client = HttpClient(HttpPolicy(allow_private_hosts=True))
        for method, body in (("POST", b"{}"), ("PATCH", b"x" * 100_000), ("PUT", b""), ("DELETE", None)):
            url = f"http://127.0.0.1:{on.port}/w"
            with client.send(method, url, {"Authorization": "token t"}, body) as answer:
                assert answer.status == 201
                assert answer.read(100) == method.encode()
            assert on.requests[-1][1]["content-length"] == str(len(body or b""))
            assert on.requests[-1][1]["authorization"] == "token t"
        assert on.bodies == [b"{}", b"x" * 100_000, b"", b""]


@pytest.mark.parametrize(
    ("status", "target", "followed"),
    [
        (307, "/w2", True),
        (308, "http://127.0.0.1:{port}/w2", True),
        (301, "/w2", False),
        (302, "/w2", False),
        (303, "/w2", False),
        (307, "http://localhost:{port}/w2", False),
        (308, "https://127.0.0.1:{port}/w2", False),
        (307, "http://127.0.0.1:1/w2", False),
    ],
)
def test_what_writes_is_never_sent_on_to_another_place(status: int, target: str, followed: bool) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        where = target.format(port=handler.server.server_address[1])
        reply(handler, b"", *((status,) if handler.path == "/w" else (201,)), Location=where)

    with stage(answer) as on:
        client = HttpClient(HttpPolicy(allow_private_hosts=True))
        url = f"http://127.0.0.1:{on.port}/w"
        if followed:
            with client.send("POST", url, {}, b"{}") as found:
                assert found.status == 201
            assert on.bodies == [b"{}", b"{}"]
        else:
            with pytest.raises(SpecError, match="redirects what is written"):
                client.send("POST", url, {}, b"{}")
            assert len(on.requests) == 1


def test_an_own_authority_is_trusted_alone(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with stage(lambda handler: reply(handler, b"secure")) as on:
        on.names["secure.example"] = [[PUBLIC]]
        policy = HttpPolicy(ca_file=f"{certificate}.crt")
        client = HttpClient(policy, resolve=on.resolve, connect=_over_tls(on, context))
        with client.get("https://secure.example/x") as answer:
            assert answer.read(100) == b"secure"
        lost = HttpClient(
            HttpPolicy(ca_file="/nowhere.pem"), resolve=on.resolve, connect=_over_tls(on, context)
        )
        with pytest.raises(EnvironmentFault, match=r"/nowhere\.pem"):
            lost.get("https://secure.example/x")


@pytest.mark.parametrize("value", ["secret\n", "secret\r\nX: y", "secret\x00", "secrét", "secret\ud800"])
def test_a_malformed_header_is_refused_without_being_shown(value: str) -> None:
    client = HttpClient(HttpPolicy(), resolve=lambda *_: pytest.fail("it was resolved"))
    for call in (client.get, lambda url, headers: client.send("POST", url, headers)):
        with pytest.raises(SpecError, match="the header Authorization for api.example") as caught:
            call("https://api.example/x", {"Authorization": value})
        assert "secr" not in str(caught.value)
