"""Slow, rude and many clients; and the end of a server, which loses no request."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parent))
from server_stage import RunningServer, make_graph_package, request_of, started, wait_for

from fiat.testing.sample_packages import make_package

BODY = json.dumps(request_of([[1, 0, 0]])).encode()
HEAD = b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
LAST = b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    package = make_package(tmp_path_factory.mktemp("packages"), 2)
    arguments = [
        "--timeout-s",
        "1",
        "--body-bytes",
        "200000",
        "--model",
        "tiny",
        "1",
        "",
        str(package.folder),
    ]
    with started(*arguments) as found:
        yield found


def read_all(client: socket.socket) -> bytes:
    """What comes until the server closes."""
    client.settimeout(15)
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    "start",
    [b"", b"POST /v2/mod", HEAD[:-2], HEAD, HEAD + BODY[:20], b"\r\n\r\n"],
    ids=["nothing", "half a line", "half of the headers", "no body", "half a body", "no request"],
)
def test_a_client_that_never_ends_its_request_is_cut_off(server: RunningServer, start: bytes) -> None:
    with socket.create_connection(server.address) as client:
        client.sendall(start)
        started_s = time.monotonic()
        answer = read_all(client)
        assert time.monotonic() - started_s < 10
    assert not answer or b" 408 " in answer.split(b"\r\n")[0]
    assert server.infer([[1, 0, 0]]).status == 200


def test_drops_that_never_make_a_request_hold_nobody_up(server: RunningServer) -> None:
    clients = [socket.create_connection(server.address) for _ in range(50)]
    try:
        for client in clients:
            client.sendall(HEAD[:30])
        answered = [server.infer([[1, 0, 0]]).status for _ in range(50)]
        assert set(answered) == {200}
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nBad Header\r\n\r\n", 400),
        (b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n", 413),
        (
            b"GET /v2 HTTP/1.1\r\nHost: x\r\n"
            + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 500) for n in range(2000)),
            431,
        ),
        (b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % b"\xff\xfe", 400),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
    ids=["tls", "version", "header", "long body", "long headers", "chunk", "bytes in the path", "connect"],
)
def test_what_is_no_request_is_refused_in_json_and_closed(
    server: RunningServer, sent: bytes, status: int
) -> None:
    with socket.create_connection(server.address) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
        answer = read_all(client)
    if answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert int(head.split()[1]) == status
        assert list(json.loads(body)) == ["error"]
    assert server.infer([[1, 0, 0]]).status == 200


def test_a_chunked_body_is_taken_and_a_long_one_is_not(server: RunningServer) -> None:
    def chunked(body: bytes) -> bytes:
        with socket.create_connection(server.address) as client:
            client.sendall(
                b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            try:
                for start in range(0, len(body), 5000):
                    part = body[start : start + 5000]
                    client.sendall(b"%x\r\n%s\r\n" % (len(part), part))
                    time.sleep(0.001)
                client.sendall(b"0\r\n\r\n")
            except ConnectionError:
                pass
            return read_all(client)

    assert b" 200 " in chunked(BODY).split(b"\r\n")[0]
    refused = chunked(b" " * 300_000)
    assert not refused or b" 413 " in refused.split(b"\r\n")[0]


def test_a_thousand_requests_behind_one_another_are_answered_in_order(server: RunningServer) -> None:
    bodies = [json.dumps({**request_of([[place, 0, 0]]), "id": f"{place}"}).encode() for place in range(1000)]
    with socket.create_connection(server.address) as client:
        client.settimeout(20)
        sent = b"".join(
            b"POST /v2/models/tiny/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n"
            % (len(body), closing)
            + body
            for body, closing in zip(bodies, [b""] * 999 + [b"Connection: close\r\n"], strict=True)
        )
        threading.Thread(target=client.sendall, args=(sent,)).start()
        answer = read_all(client)
    assert answer.count(b"HTTP/1.1 200 OK") == 1000
    places = [answer.index(b'"id":"%d"' % place) for place in range(1000)]
    assert places == sorted(places)


def test_half_a_request_behind_many_is_not_too_long(server: RunningServer) -> None:
    whole = HEAD + BODY
    with socket.create_connection(server.address) as client:
        client.settimeout(20)
        client.sendall(whole * (400_000 // len(whole)) + HEAD[:50])
        time.sleep(0.3)
        client.sendall(HEAD[50:] + BODY + LAST)
        answer = read_all(client)
    assert answer.count(b"HTTP/1.1 200 OK") == 400_000 // len(whole) + 2


def test_a_client_that_goes_away_is_forgotten(server: RunningServer) -> None:
    for _ in range(20):
        with socket.create_connection(server.address) as client:
            client.sendall(HEAD + BODY)
    wait_for(lambda: b"fiat_requests_in_flight" in server.ask("GET", "/metrics").body)
    assert server.infer([[1, 0, 0]]).status == 200


def test_who_expects_to_be_asked_for_the_body_is_asked(server: RunningServer) -> None:
    with socket.create_connection(server.address) as client:
        client.settimeout(10)
        client.sendall(HEAD[:-2] + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(BODY)
        assert b" 200 " in read_all(client).split(b"\r\n")[0]


@pytest.mark.parametrize("size", [1, 100, 10_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_offer_to_upgrade_is_passed_over_and_its_body_belongs_to_it(
    server: RunningServer, size: int, chunked: bool
) -> None:
    """Java's own client makes this offer with every request."""

    def sent(body: bytes) -> bytes:
        if not chunked:
            return HEAD.partition(b"Content")[0] + OFFER + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        head = HEAD.partition(b"Content")[0] + OFFER + b"Transfer-Encoding: chunked\r\n\r\n"
        return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)

    stream = sent(BODY) + sent(b"GET /v2/health/live HTTP/1.1\r\n\r\n") + LAST
    with socket.create_connection(server.address) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(stream), size):
            client.sendall(stream[start : start + size])
        answer = read_all(client)
    statuses = [part.split()[0] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"400", b"200"]
    assert b'"live"' not in answer


@pytest.fixture(scope="module")
def slow_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes a fifth of a second or so for a hundred rows."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{place}", "v"], [f"m{place + 1}"]) for place in range(8)]
    nodes.append(helper.make_node("ReduceMean", ["m8"], ["y"], axes=[1]))
    package = make_graph_package(
        tmp_path_factory.mktemp("slow"),
        "slow",
        nodes,
        inputs=[("x", TensorProto.FLOAT, ["n", 3])],
        outputs=[("y", TensorProto.FLOAT, ["n", 1])],
        constants={"w": np.ones((3, 1500), np.float32), "v": np.eye(1500, dtype=np.float32)},
    )
    return package.folder


def ask_many(server: RunningServer, n_clients: int, n_rows: int = 300) -> list[int]:
    found: list[int] = []

    def ask() -> None:
        found.append(server.infer([[1, 0, 0]] * n_rows, model="slow").status)

    threads = [threading.Thread(target=ask) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_above_concurrency_and_queue_clients_are_told_to_come_later(slow_package: Path) -> None:
    arguments = ["--concurrency", "1", "--queue", "1", "--model", "slow", "1", "", str(slow_package)]
    with started(*arguments) as server:
        found = ask_many(server, 8)
        assert set(found) <= {200, 429}
        assert found.count(200) >= 2
        assert found.count(429) >= 1


def test_a_request_above_its_time_is_refused_and_counted(slow_package: Path) -> None:
    arguments = ["--timeout-s", "0.05", "--batch-rows", "1", "--model", "slow", "1", "", str(slow_package)]
    with started(*arguments) as server:
        assert server.infer([[1, 0, 0]] * 4000, model="slow").status == 503
        text = server.ask("GET", "/metrics").body.decode()
        (line,) = (line for line in text.splitlines() if line.startswith("fiat_requests_failed_total{"))
        assert line.endswith(" 1")


@pytest.mark.slow
def test_at_the_end_running_requests_are_answered_and_new_ones_are_not(slow_package: Path) -> None:
    with started("--model", "slow", "1", "", str(slow_package)) as server:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.extend(ask_many(server, 3, 2000)))
        thread.start()
        wait_for(lambda: b"fiat_requests_in_flight" in server.ask("GET", "/metrics").body)
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: _ready(server) != 200)
        thread.join()
        assert found == [200, 200, 200]
        assert server.process.wait(15) == 0


def _ready(server: RunningServer) -> int:
    try:
        return server.ask("GET", "/v2/health/ready").status
    except OSError:
        return 0


@pytest.mark.slow
def test_several_workers_share_a_port_count_together_and_come_back(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    with started("--workers", "2", "--model", "tiny", "1", "", str(package.folder)) as server:

        def workers() -> set[str]:
            text = server.ask("GET", "/metrics").body.decode()
            lines = [line for line in text.splitlines() if line.startswith("fiat_memory_bytes{")]
            return {line.split('"')[1] for line in lines}

        wait_for(lambda: workers() == {"0", "1"})
        for _ in range(40):
            assert server.infer([[1, 0, 0]]).status == 200

        def rows() -> int:
            (stats,) = server.ask("GET", "/v2/models/tiny/stats").json()["model_stats"]
            return int(stats["inference_count"])

        wait_for(lambda: rows() == 40)
        children = _children(server.process.pid)
        assert len(children) == 2
        os.kill(children[0], signal.SIGKILL)
        wait_for(lambda: len(set(_children(server.process.pid)) - {children[0]}) == 2)
        wait_for(lambda: all(_answers(server) for _ in range(10)))
        workers_left = _children(server.process.pid)
        os.kill(server.process.pid, signal.SIGKILL)
        wait_for(lambda: all(_state(pid) == "Z" for pid in workers_left))


@pytest.mark.slow
def test_a_worker_that_stands_still_is_replaced(tmp_path: Path) -> None:
    package = make_package(tmp_path, 2)
    with started("--workers", "2", "--model", "tiny", "1", "", str(package.folder)) as server:
        wait_for(lambda: all(_answers(server) for _ in range(10)))
        time.sleep(1.5)  # both have shown that they move
        frozen, other = _children(server.process.pid)
        os.kill(frozen, signal.SIGSTOP)
        wait_for(lambda: frozen not in _children(server.process.pid), 40)
        wait_for(lambda: len(_children(server.process.pid)) == 2)
        assert other in _children(server.process.pid)
        wait_for(lambda: all(_answers(server) for _ in range(10)))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def _answers(server: RunningServer) -> bool:
    try:
        return server.infer([[1, 0, 0]]).status == 200
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_workers_that_cannot_be_started_are_tried_again() -> None:
    program = (
        "import sys; from fiat.serving.options import parse; from fiat.serving.workers import _Supervisor;"
        "options = parse(['--workers', '2', '--model', 'a', '1', '', '/nonexistent']);"
        "sys.exit(_Supervisor(options, ['/nonexistent/python']).run())"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = [process.stderr.readline() for _ in range(4)]
        process.terminate()
        assert process.wait(20) == 0
    assert all("can't be started" in line for line in told)
