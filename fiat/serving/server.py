"""The app on uvicorn: sockets, signals, and an end that loses no request."""

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from fiat.serving.app import Application
from fiat.serving.http_protocol import LimitedProtocol, look_at_all
from fiat.serving.release import ServerLimits

_GRACE_S = 0.3
_IDLE_S = 75
_BACKLOG = 2048


class Server(uvicorn.Server):
    """A server that first says that it ends, and then ends.

    Args:
        app: what is served.
        limits: of it.
    """

    def __init__(self, app: Application, limits: ServerLimits) -> None:
        own = {"direct": app, "most_message_bytes": 2 * limits.body_bytes + (1 << 20)}
        protocol = type("Protocol", (LimitedProtocol,), own)
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_IDLE_S,
                timeout_graceful_shutdown=max(1, round(limits.drain_s)),
            )
        )
        # Whoever sends rubbish does not fill the log.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._app, self._limits = app, limits

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: once a second look at the connections."""
        if counter % 10 == 0:
            now_s = asyncio.get_running_loop().time()
            look_at_all(self.server_state.connections, now_s, self._limits.timeout_s)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End at SIGTERM and SIGINT; a second SIGINT does not wait for requests."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Say that the server is not ready any more, and end it a moment later."""
        if self._app.is_draining:
            self.force_exit = sig == signal.SIGINT
            return
        self._app.is_draining = True
        asyncio.get_running_loop().call_later(_GRACE_S, self._exit)

    def _exit(self) -> None:
        self.should_exit = True


def listen(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket that is bound.

    Args:
        host: address or name.
        port: 0 takes a free one.
        shared: other processes listen on the same port, and the system spreads connections over them.

    Raises:
        OSError: the port is taken, or there is no such address.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    found = socket.socket(family, kind, protocol)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind(address)
    return found


def url_of(found: socket.socket) -> str:
    """Where a socket is reached."""
    host, port = found.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - shown, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def raise_file_limit() -> None:
    """Take as many open files as the system allows: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
