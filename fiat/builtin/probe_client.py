"""Ask a server as a client would: HTTP over a connection that stays open, some clients at a time, times taken.

A client of its own, because it must cost little beside what it measures: requests are bytes that were made before.
"""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from fiat.builtin.probe_server import ProbeFault

_MOST_HEAD = 1 << 16
_CHUNK = 1 << 16
_SHOWN = 200


@dataclass(frozen=True)
class Address:
    """Where inference requests go.

    Attributes:
        host: address or name.
        port: of the server.
        path: of the model's `infer`.
        timeout_s: longest wait for anything of an answer.
    """

    host: str
    port: int
    path: str
    timeout_s: float


def address_of(url: str, model: str, timeout_s: float) -> Address:
    """The address of a model's `infer` at a server.

    Raises:
        ProbeFault: the server's URL is none.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ProbeFault(f"the server tells the address {url!r}, which is none")
    return Address(host, port, f"/v2/models/{quote(model, safe='')}/infer", timeout_s)


def as_request(address: Address, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """One client; opens its connection at the first request."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *raised: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def ask(self, request: bytes) -> bytes:
        """Send a request; the body of its answer.

        Raises:
            ProbeFault: the server refused, hung up, or did not answer in time.
        """
        try:
            if self._socket is None:
                place = (self._address.host, self._address.port)
                self._socket = socket.create_connection(place, self._address.timeout_s)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(request)
            status, body = _read_answer(self._socket)
        except TimeoutError:
            raise ProbeFault(f"the server did not answer within {self._address.timeout_s:g} s") from None
        except (OSError, ValueError) as error:
            raise ProbeFault(f"the connection to the server broke: {error}") from None
        if status != 200:
            said = body[:_SHOWN].decode("utf-8", "replace")
            raise ProbeFault(f"the server answered a row of the data with {status}: {said}")
        return body


def _read_answer(link: socket.socket) -> tuple[int, bytes]:
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > _MOST_HEAD:
            raise ValueError("its answer has no end of headers")
        data += _some(link)
    lines = bytes(data[:end]).split(b"\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])
    }
    status, length = int(lines[0].split()[1]), int(headers.get(b"content-length", b"-1"))
    if length < 0:
        raise ValueError("its answer does not say how long it is")
    body = data[end + 4 :]
    while len(body) < length:
        body += _some(link)
    return status, bytes(body)


def _some(link: socket.socket) -> bytes:
    data = link.recv(_CHUNK)
    if not data:
        raise ValueError("it hung up")
    return data


@dataclass
class _Load:
    """What the clients share."""

    requests: Sequence[bytes]
    end: float
    most: int
    latencies_s: list[float] = field(default_factory=list)
    faults: list[ProbeFault] = field(default_factory=list)


def put_under_load(
    address: Address, requests: Sequence[bytes], *, clients: int, duration_s: float, most_requests: int
) -> list[float]:
    """Ask again and again, each client as soon as it has its answer; the times of all answers in seconds.

    Args:
        address: of the model.
        requests: asked in turn.
        clients: at a time.
        duration_s: when no further request begins.
        most_requests: after so many answers it ends earlier.

    Raises:
        ProbeFault: a request was refused, or not answered.
    """
    load = _Load(requests, time.monotonic() + duration_s, most_requests)
    threads = [
        threading.Thread(target=_ask_on, args=(address, load, number), daemon=True)
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if load.faults:
        raise load.faults[0]
    return load.latencies_s


def _ask_on(address: Address, load: _Load, number: int) -> None:
    turn = number
    try:
        with Connection(address) as connection:
            while not load.faults and len(load.latencies_s) < load.most:
                started = time.monotonic()
                if started > load.end and load.latencies_s:
                    return
                connection.ask(load.requests[turn % len(load.requests)])
                load.latencies_s.append(time.monotonic() - started)
                turn += 1
    except ProbeFault as fault:
        load.faults.append(fault)
