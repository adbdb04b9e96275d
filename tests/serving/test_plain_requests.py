"""Requests that come whole are answered without ASGI: clients can't tell, whichever way theirs goes."""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from server_stage import RunningServer, request_of, started
from wire_stage import Wire

from fiat.serving.answer_log import AnswerLogs
from fiat.serving.app import Application
from fiat.serving.fleet import Fleet
from fiat.serving.release import ServerLimits
from fiat.serving.server import Server
from fiat.testing.sample_packages import make_package

BODY = json.dumps({**request_of([[1, 0, 0]]), "id": "mine"}).encode()
LINE = b"POST /v2/models/tiny/infer HTTP/1.1\r\n"
HEAD = b"Host: x\r\nContent-Length: %d\r\n" % len(BODY)
CLOSE = b"Connection: close\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    package = make_package(tmp_path_factory.mktemp("packages"), 2)
    with started("--model", "tiny", "1", "", str(package.folder)) as found:
        assert found.infer([[1, 0, 0]]).status == 200  # from now on the path is known
        yield found


def ask(server: RunningServer, *parts: bytes) -> tuple[list[bytes], bytes]:
    """Headers without the date, and the body, of what comes until the server closes; a pause after each part."""
    with socket.create_connection(server.address) as client:
        client.settimeout(10)
        for part in parts:
            client.sendall(part)
            time.sleep(0.02)
        found = b""
        while data := client.recv(65536):
            found += data
    head, _, body = found.partition(b"\r\n\r\n")
    return [line for line in head.split(b"\r\n") if not line.startswith(b"date")], body


@pytest.mark.parametrize(
    "parts",
    [
        (LINE + HEAD + CLOSE + b"\r\n", BODY),
        (LINE + HEAD + CLOSE + b"\r\n" + BODY[:9], BODY[9:]),
        (LINE + HEAD, CLOSE + b"\r\n" + BODY),
        (LINE[:20], LINE[20:] + HEAD + CLOSE + b"\r\n" + BODY),
        (LINE.replace(b"infer ", b"infer?a=b ") + HEAD + CLOSE + b"\r\n" + BODY,),
        (LINE.replace(b"1.1", b"1.0") + HEAD + b"\r\n" + BODY,),
        (
            LINE
            + b"Host: x\r\nTransfer-Encoding: chunked\r\n"
            + CLOSE
            + b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
        ),
    ],
    ids=["body apart", "half a body", "half of the headers", "half a line", "query", "1.0", "chunks"],
)
def test_the_answer_is_the_same_however_the_request_comes(
    server: RunningServer, parts: tuple[bytes, ...]
) -> None:
    whole = ask(server, LINE + HEAD + CLOSE + b"\r\n" + BODY)
    assert whole[0][0] == b"HTTP/1.1 200 OK"
    assert json.loads(whole[1])["id"] == "mine"
    assert sorted(ask(server, *parts)[0]) == sorted(whole[0])
    assert ask(server, *parts)[1] == whole[1]


def test_a_client_that_asks_whether_it_may_go_on_is_told_so(server: RunningServer) -> None:
    head, body = ask(server, LINE + HEAD + CLOSE + b"Expect: 100-continue\r\n\r\n", BODY)
    assert head == [b"HTTP/1.1 100 Continue"]
    assert body.startswith(b"HTTP/1.1 200 OK")


def test_requests_behind_one_another_are_answered_in_order_whichever_way_they_go(
    server: RunningServer,
) -> None:
    plain = LINE + HEAD + b"\r\n" + BODY
    live = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    last = LINE + HEAD + CLOSE + b"\r\n" + BODY
    with socket.create_connection(server.address) as client:
        client.settimeout(10)
        client.sendall(plain + live + plain + live + live + plain + last[:-10])
        time.sleep(0.05)
        client.sendall(last[-10:])
        found = b""
        while data := client.recv(65536):
            found += data
    bodies = [part.partition(b"\r\n\r\n")[2] for part in found.split(b"HTTP/1.1 200 OK")[1:]]
    told = ["live" if body == b'{"live":true}' else json.loads(body)["id"] for body in bodies]
    assert told == ["mine", "live", "mine", "live", "live", "mine", "mine"]


def test_wrong_requests_are_refused_in_the_same_words_either_way(server: RunningServer) -> None:
    bad = BODY.replace(b"FP32", b"FP99")
    assert bad != BODY
    whole = ask(server, LINE + HEAD + CLOSE + b"\r\n" + bad)
    assert whole[0][0].startswith(b"HTTP/1.1 400")
    assert ask(server, LINE + HEAD + CLOSE + b"\r\n", bad) == whole


def no_check(key: str, folder: Path, digest: str) -> None:
    """Nothing is signed here."""


def test_a_connection_that_rests_is_closed_after_a_while_and_one_that_is_used_is_not() -> None:
    async def rest() -> tuple[list[bool], int]:
        limits = ServerLimits()
        app = Application(
            Fleet(limits, threads=1, check=no_check),
            limits,
            AnswerLogs(0, time.time),
            version="0",
            workers=tuple,
        )
        server = Server(app, limits)
        server.config.load()
        protocol: Any = server.config.http_protocol_class
        connection, wire = (
            protocol(config=server.config, server_state=server.server_state, app_state={}),
            Wire(),
        )
        connection.connection_made(wire)
        request = b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        # The first one takes the way of ASGI, which has a timer of its own; the others do not.
        for _ in range(2):
            connection.data_received(request)
        closed, now_s = [], asyncio.get_running_loop().time()
        for after_s, sent in ((0, b""), (60, b""), (1, request), (1, b""), (60, b""), (20, b"")):
            now_s += after_s
            if sent:
                connection.data_received(sent)
            connection.look(now_s, 10.0)
            closed.append(wire.is_closed)
        return closed, wire.written.count(b"200 OK")

    closed, answers = asyncio.run(rest())
    assert answers == 3
    assert closed == [False, False, False, False, False, True]
