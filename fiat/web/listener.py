"""The server under the app: connections that dawdle, flood or hang are ended before the app ever hears of them."""

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fiat.web.app import FiatApi
from fiat.web.streams import Streams

MOST_HEAD_BYTES = 128 << 10
MOST_CONNECTIONS = 1000
KEEP_ALIVE_S = 30
GRACE_S = 10


class GuardedConnection(HttpToolsProtocol):
    """A connection whose requests begin in time or not at all.

    uvicorn waits for ever for the rest of a head, takes heads of any size, and for ever tries to hand the last bytes to a
    client that does not read.

    Attributes:
        head_timeout_s: longest time that a head may take to arrive.
        close_timeout_s: longest time that the last bytes may take to leave.
        tick_s: pause between two looks at the clock.
    """

    head_timeout_s = 8.0
    close_timeout_s = 30.0
    tick_s = 1.0
    _waits_since: float | None = None
    _closes_since: float | None = None
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._waits_since = self.loop.time()
        self._timer = self.loop.call_later(self.tick_s, self._tick)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        if self._waits_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins: its head must be here in time."""
        super().on_message_begin()
        self._waits_since = self.loop.time()
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """The head is here; the app watches over the body."""
        self._waits_since = None
        super().on_headers_complete()

    def _tick(self) -> None:
        now = self.loop.time()
        if self.transport.is_closing():
            self._closes_since = self._closes_since or now
            if now - self._closes_since > self.close_timeout_s:
                self.transport.abort()
                return
        elif self._waits_since is not None and now - self._waits_since > self.head_timeout_s:
            self.transport.abort()
            return
        self._timer = self.loop.call_later(self.tick_s, self._tick)


class WebServer(uvicorn.Server):
    """A server that lets followers of runs go before it waits for open connections.

    Args:
        config: of the server.
        streams: of the app.
    """

    def __init__(self, config: Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in order."""
        self._streams.close()
        await super().shutdown(sockets)


def make_server(
    app: FiatApi, connection: type[GuardedConnection] = GuardedConnection, **options: Any
) -> WebServer:
    """The server for an app; `run(sockets=[...])` serves until SIGINT or SIGTERM.

    Args:
        app: from `create_app`.
        connection: with other times, for tests.
        options: further ones of uvicorn.
    """
    config = Config(
        app,
        http=connection,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        **options,
    )
    return WebServer(config, app.state.place.streams)
