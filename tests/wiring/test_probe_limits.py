"""Looking at data takes a minute at most, whatever its server does."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fiat.builtin.source_url import UrlSource
from fiat.errors import EnvironmentFault
from fiat.ports.confinement import Confinement
from fiat.ports.source import SourceRequest
from fiat.wiring.probe_limits import Budget, Watchdog


@contextmanager
def slow_server(piece: bytes, pause_s: float) -> Iterator[str]:
    """A file that comes piece by piece and never ends; gives its address."""
    over = threading.Event()

    def serve(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.recv(9999)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while not over.wait(pause_s):
                try:
                    client.sendall(piece)
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/rows.csv"
        over.set()
        thread.join(5)


def request(folder: Path, url: str) -> SourceRequest:
    return SourceRequest({"url": url}, folder, folder, True, 1 << 40, {}, Confinement(confined=True))


def test_a_server_that_sends_a_byte_now_and_then_is_left_when_the_time_is_over(tmp_path: Path) -> None:
    with slow_server(b"x", 0.1) as url:
        began_s = time.monotonic()
        with pytest.raises(EnvironmentFault, match="can't be looked at"):
            UrlSource(Budget(seconds=1.0).client).probe(request(tmp_path, url))
        assert time.monotonic() - began_s < 4


def test_a_server_that_sends_without_end_is_left_when_the_bytes_are_spent(tmp_path: Path) -> None:
    with slow_server(b"x" * 10_000, 0.001) as url, pytest.raises(EnvironmentFault, match="more than is read"):
        UrlSource(Budget(seconds=20.0, size_bytes=100_000).client).probe(request(tmp_path, url))


def test_what_hangs_is_not_waited_for_and_not_begun_again_until_it_ends() -> None:
    watchdog, gate, begun = Watchdog(), threading.Event(), list[int]()

    def hang() -> str:
        begun.append(1)
        gate.wait(10)
        return "late"

    with pytest.raises(EnvironmentFault, match="looked at for"):
        watchdog.run("a", hang, 0.1)
    with pytest.raises(EnvironmentFault, match="still being looked at"):
        watchdog.run("a", hang, 0.1)
    assert watchdog.run("b", lambda: "other", 5) == "other"
    gate.set()
    give_up_s = time.monotonic() + 5
    while any(thread.is_alive() for thread in watchdog._running.values()):
        assert time.monotonic() < give_up_s
        time.sleep(0.01)
    assert watchdog.run("a", hang, 5) == "late"
    assert len(begun) == 2


def test_what_the_work_raises_is_raised() -> None:
    def fail() -> str:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        Watchdog().run("a", fail, 5)
