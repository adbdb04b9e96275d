"""Hostile addresses and servers: nothing is sent to a private address, and every cap holds."""

import hashlib
import importlib.util
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from fiat.builtin.http_address import checked_addresses, is_public
from fiat.builtin.http_client import BrokenTransfer, HttpClient, HttpPolicy
from fiat.builtin.http_download import download
from fiat.builtin.source_url import UrlSource
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.source import SourceRequest

_SPEC = importlib.util.spec_from_file_location(
    "http_stage", Path(__file__).parents[1] / "builtin" / "http_stage.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
http_stage = importlib.util.module_from_spec(_SPEC)
sys.modules["http_stage"] = http_stage
_SPEC.loader.exec_module(http_stage)
PUBLIC, Stage, reply, stage = http_stage.PUBLIC, http_stage.Stage, http_stage.reply, http_stage.stage


def hello(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, b"hello")


def client(on: "Stage", **policy: object) -> HttpClient:
    return HttpClient(HttpPolicy(**policy), resolve=on.resolve, connect=on.connect)


NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:5ef5:79fd:0:0:80ff:fffe",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "2001:db8::1",
    "100::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_before_a_byte_is_sent(address: str) -> None:
    with stage(hello) as on:
        on.names["data.example.org"] = [[address]]
        host = f"[{address}]" if ":" in address else address
        urls = ["http://data.example.org/x"] + ([f"http://{host}/x"] if "%" not in address else [])
        for url in urls:
            with pytest.raises(SpecError, match="not a public address"):
                client(on).get(url)
        assert on.connected == []
        assert on.requests == []


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.0.0.1.",
        "010.8.8.8",
        "134744072",
        "8.8.2056",
    ],
)
def test_an_address_in_disguise_is_refused_and_never_resolved(host: str) -> None:
    with stage(hello) as on:
        with pytest.raises(SpecError, match="unusual way"):
            client(on).get(f"http://{host}/x")
        assert on.resolved == []
        assert on.connected == []


def test_the_resolver_of_the_system_does_not_get_around_the_check() -> None:
    for host in ("localhost", "127.0.0.1"):
        with pytest.raises(SpecError, match="not a public address"):
            HttpClient(HttpPolicy()).get(f"http://{host}:1/")


def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(SpecError, match=r"a.example \(10.0.0.1\)"):
        checked_addresses("a.example", 80, lambda host, port: [PUBLIC, "10.0.0.1"], allow_private=False)


def test_a_name_that_changes_its_answer_is_asked_once_and_the_checked_address_is_used() -> None:
    with stage(hello) as on:
        on.names["rebind.example"] = [[PUBLIC], ["127.0.0.1"], ["169.254.169.254"]]
        with client(on).get("http://rebind.example/x") as answer:
            assert answer.read(100) == b"hello"
        assert on.resolved == ["rebind.example"]
        assert on.connected == [PUBLIC]
        assert on.requests[0][1]["host"] == "rebind.example"
        with pytest.raises(SpecError, match="not a public address"):
            client(on).get("http://rebind.example/x")
        assert on.connected == [PUBLIC]


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://inner.example/",
        "//127.0.0.1/x",
    ],
)
def test_a_redirect_to_a_private_address_is_refused(target: str) -> None:
    with stage(lambda handler: reply(handler, b"", 302, Location=target)) as on:
        on.names |= {"data.example": [[PUBLIC]], "inner.example": [["10.1.2.3"]]}
        with pytest.raises(SpecError):
            client(on).get("http://data.example/x")
        assert on.connected == [PUBLIC]
        assert len(on.requests) == 1


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://data.example/x", "http://u:p@data.example/", "gopher://a"]
)
def test_a_redirect_to_another_kind_of_address_is_refused(target: str) -> None:
    with stage(lambda handler: reply(handler, b"", 301, Location=target)) as on:
        on.names["data.example"] = [[PUBLIC]]
        with pytest.raises(SpecError):
            client(on).get("http://data.example/x")
        assert len(on.requests) == 1


def test_redirects_to_other_public_hosts_are_followed_without_the_callers_secrets() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/first":
            reply(handler, b"", 302, Location="http://objects.example/second")
        else:
            reply(handler, b"there")

    with stage(answer) as on:
        on.names |= {"data.example": [[PUBLIC]], "objects.example": [["8.8.8.8"]]}
        with client(on).get(
            "http://data.example/first", {"Authorization": "Bearer s", "Range": "bytes=0-"}
        ) as found:
            assert found.read(10) == b"there"
        assert on.connected == [PUBLIC, "8.8.8.8"]
        assert on.requests[0][1]["authorization"] == "Bearer s"
        assert "authorization" not in on.requests[1][1]
        assert on.requests[1][1]["range"] == "bytes=0-"


def test_a_circle_of_redirects_ends() -> None:
    with stage(lambda handler: reply(handler, b"", 302, Location="/again")) as on:
        on.names["data.example"] = [[PUBLIC]]
        with pytest.raises(SpecError, match="redirects more than 5 times"):
            client(on).get("http://data.example/x")
        assert len(on.requests) == 6


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://data.example/x",
        "http:///x",
        "http://user:secret@data.example/",
        "http://data.example/\r\nX-Injected: 1",
        "http://data.example/a b",
        "http://data.example:99999/",
        "http://data.example\\@127.0.0.1/",
        "http://b\u00fccher.example/",
        "http://" + "a" * 300 + ".example/",
        "http://-x.example/",
        "javascript:alert(1)",
    ],
)
def test_an_address_that_is_no_plain_url_is_refused_and_no_secret_is_shown(url: str) -> None:
    with stage(hello) as on:
        with pytest.raises(SpecError) as caught:
            client(on).get(url)
        assert on.resolved == []
        assert "secret" not in str(caught.value)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(65536))


def announced(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 40))
    handler.end_headers()
    handler.wfile.write(bytes(65536))


def chunked(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")


@pytest.mark.parametrize("answer", [endless, announced, chunked])
def test_an_endless_or_too_large_body_is_refused_and_leaves_no_file(
    tmp_path: Path, answer: "http_stage.Answer"
) -> None:
    with stage(answer) as on:
        on.names["data.example"] = [[PUBLIC]]
        path = tmp_path / "f"
        with pytest.raises(SpecError, match="more than the 1,000,000 bytes allowed"):
            download(client(on, max_bytes=1_000_000), "http://data.example/f", path, None)
        assert not path.exists()
        assert len(on.requests) == 1


def read_all(by: HttpClient, url: str) -> None:
    with by.get(url) as found:
        while found.read(1000):
            pass


def slow_header(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.02)


def slow_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.02)


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1.5)


@pytest.mark.parametrize("answer", [slow_header, slow_body, silent])
def test_a_server_that_drips_or_says_nothing_is_left_in_time(answer: "http_stage.Answer") -> None:
    with stage(answer) as on:
        on.names["data.example"] = [[PUBLIC]]
        began = time.monotonic()
        with pytest.raises(BrokenTransfer):
            read_all(client(on, timeout_s=0.6, idle_timeout_s=0.4), "http://data.example/x")
        assert time.monotonic() - began < 1.3


def many_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-More: 1\r\n" * 100)


def long_header(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        handler.wfile.write(b"x" * 65536)


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n" * 10)
    handler.close_connection = True


@pytest.mark.parametrize("answer", [many_headers, long_header, no_http])
def test_endless_headers_and_answers_that_are_no_http_are_refused(answer: "http_stage.Answer") -> None:
    with stage(answer) as on:
        on.names["data.example"] = [[PUBLIC]]
        with pytest.raises(BrokenTransfer):
            client(on).get("http://data.example/x")


def test_a_wrong_digest_names_both_digests_and_leaves_no_file(tmp_path: Path) -> None:
    right, wrong = hashlib.sha256(b"hello").hexdigest(), "0" * 64
    with stage(hello) as on:
        on.names["data.example"] = [[PUBLIC]]
        source = UrlSource(lambda policy: HttpClient(policy, resolve=on.resolve, connect=on.connect))
        settings = {"url": "http://data.example/f.csv?token=secret", "sha256": wrong}
        request = SourceRequest(settings, tmp_path, tmp_path, False, 1000, {})
        with pytest.raises(SpecError, match=f"{right}, expected {wrong}") as caught:
            source.fetch(request)
        assert list(tmp_path.iterdir()) == []
        assert "secret" not in str(caught.value)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with stage(hello) as on, stage(hello) as proxy:
        on.names["data.example"] = [[PUBLIC]]
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with client(on).get("http://data.example/x") as answer:
            assert answer.status == 200
        assert proxy.requests == []


def test_a_given_proxy_is_not_asked_for_private_hosts() -> None:
    with stage(hello) as on:
        proxied = client(on, proxies={"HTTP_PROXY": "http://proxy.corp:3128", "NO_PROXY": "direct.example"})
        for url in ("http://127.0.0.1/", "http://localhost/", "http://db.internal/", "http://2130706433/"):
            with pytest.raises(SpecError):
                proxied.get(url)
        assert on.connected == []
        with proxied.get("http://data.example/x?y=1") as answer:
            assert answer.read(10) == b"hello"
        assert on.connected == ["proxy.corp"]
        assert on.requests[0][0] == "http://data.example/x?y=1"
        on.names["direct.example"] = [[PUBLIC]]
        with proxied.get("http://direct.example/x") as answer:
            assert answer.status == 200
        assert on.connected[-1] == PUBLIC


def test_a_name_that_does_not_resolve_is_a_fault_of_the_machine() -> None:
    with pytest.raises(EnvironmentFault, match="can't be resolved"):
        HttpClient(HttpPolicy()).get("http://no-such-host.invalid/")
