"""Connections over a real socket that dawdle, flood or hang."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from web_server import listening, served
from web_stage import READ, app_of, filled

from fiat.web.listener import MOST_HEAD_BYTES, GuardedConnection


class Hasty(GuardedConnection):
    head_timeout_s = 0.4
    close_timeout_s = 0.4
    tick_s = 0.05


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    listener = listening()
    with served(app_of(filled(), send_timeout_s=0.3), listener, Hasty):
        yield listener.getsockname()


def read_all(client: socket.socket) -> bytes:
    """Everything until the other side ends it."""
    found = b""
    client.settimeout(10)
    try:
        while piece := client.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def test_a_head_that_never_ends_is_cut_off(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        started = time.monotonic()
        assert read_all(client) == b""
        assert time.monotonic() - started < 5


def test_a_connection_that_says_nothing_is_cut_off(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client:
        assert read_all(client) == b""


def test_a_head_without_measure_is_cut_off(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        sent, cut = 0, False
        while not cut and sent < 32 * MOST_HEAD_BYTES:
            try:
                sent += client.send(b"a" * 65536)
            except OSError:
                cut = True
        assert cut


def test_a_second_request_on_the_same_connection_has_its_own_time(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client:
        for _ in range(3):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b'{"ok":true}'):
                answer += client.recv(65536)
            time.sleep(0.3)
        client.sendall(b"G")
        assert read_all(client) == b""


def test_a_follower_that_does_not_read_is_dropped_down_to_its_socket() -> None:
    stage = filled()
    stage.logs["r2", "train"] = b"x" * (64 << 20)
    listener = listening()
    app = app_of(stage, send_timeout_s=0.3)
    with served(app, listener, Hasty), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        client.sendall(
            b"GET /api/v1/runs/r2/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
            + READ.encode()
            + b"\r\n\r\n"
        )
        until = time.monotonic() + 20
        gone = False
        while not gone and time.monotonic() < until:
            time.sleep(0.1)
            try:
                client.send(b"x")
            except OSError:
                gone = True
        assert gone
        assert app.state.place.meter.registry.get_sample_value("fiat_event_streams") == 0


def test_the_server_ends_while_runs_are_followed() -> None:
    listener = listening()
    started = 0.0
    with served(app_of(filled()), listener, Hasty):
        client = socket.create_connection(listener.getsockname())
        client.sendall(
            b"GET /api/v1/runs/r2/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
            + READ.encode()
            + b"\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        reading = threading.Thread(target=read_all, args=(client,))
        reading.start()
        started = time.monotonic()
    assert time.monotonic() - started < 8
    reading.join(10)
    client.close()
