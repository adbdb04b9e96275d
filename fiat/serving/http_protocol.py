"""HTTP/1.1 on a socket: uvicorn's protocol on httptools, with the limits that it lacks.

A connection that sends its request drop by drop, never ends its headers, or does not read its answer costs memory and a
file each; here it costs them for a while only. One look a second at all connections, since a timer for each request would
take longer than a small model.

Most requests come in one packet, to a path that was asked for before, by a client that waits for the answer. Those the app
answers from the parser's own call, without ASGI's messages; when they wait for a run, from the call that brings its
outputs. All others take uvicorn's way, and so do those that wait when more comes on their connection.
"""

import math
from collections.abc import Awaitable, Coroutine, Iterable
from functools import partial
from time import perf_counter
from typing import Any, cast

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from fiat.serving.app import Application, Reply
from fiat.serving.http_cycles import ShortCycles
from fiat.serving.http_parser import PlainParser
from fiat.serving.http_reply import WasRead, answer_later, go_on, reply_head
from fiat.serving.turn import Turn

MOST_HEAD_BYTES = 64 << 10
MOST_CONNECTIONS = 16384


class LimitedProtocol(ShortCycles):
    """One connection.

    Attributes:
        direct: the app, asked without ASGI.
        began_s: time of the event loop when the request that is being read began; infinite between requests.
        stuck_s: since when the client has not read on; infinite while it reads.
        rested_s: since when nothing came after an answer, as far as anybody looked; infinite while something comes.
    """

    direct: Application
    most_message_bytes = 64 << 20

    def connection_made(self, transport: Any) -> None:
        """A client is there, and has to send its first request in time."""
        self.began_s, self.stuck_s, self.rested_s = self.loop.time(), math.inf, math.inf
        self._unread_bytes = 0
        self._in_head, self._message_bytes, self._packet_bytes = True, 0, 0
        cast(Any, self).parser = PlainParser(self)
        self._comes_again = False
        # A request whose headers are there, and of which uvicorn does not know yet.
        self._is_held = False
        self._parts: list[bytes] = []
        # The answer to a request that waits for a run, and uvicorn does not know of.
        self._begun: Coroutine[Any, Any, Reply] | None = None
        self._waits_for: Turn[Any] | None = None
        self._keeps_alive = True
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()

    def on_message_begin(self) -> None:
        """The first byte of a request came."""
        if self._begun is not None:
            self._hand_on(self._waits_for)
        self.began_s, self.rested_s = self.loop.time(), math.inf
        # What came before it in the same packet is not of this request.
        self._in_head, self._message_bytes = True, 1 - self._packet_bytes
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header came."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """All headers came."""
        self._comes_again = self.parser.should_upgrade()
        if self._comes_again:
            return
        self._in_head = False
        if self._packet_bytes > MOST_HEAD_BYTES and self._head_bytes() > MOST_HEAD_BYTES:
            self.end(431, "the request is too long")
        self._is_held, self._parts = True, []

    def on_body(self, body: bytes) -> None:
        """A part of a body came."""
        if self._is_held:
            self._parts.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """All of a request came."""
        if self._comes_again:
            return
        self.began_s = math.inf
        self._message_bytes = 0
        if self._is_held:
            if self.transport.is_closing():
                return  # its connection had its last answer
            if self._is_plain():
                self._is_held = False
                self._answer()
                return
            self._release(self.app)
        super().on_message_complete()
        self.run_now()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._packet_bytes = len(data)
        super().data_received(data)
        if self._is_held and not self.transport.is_closing():
            try:
                self._release(self.app)
            except (httptools.HttpParserError, ValueError):
                self.send_400_response("Invalid HTTP request received.")
        self.run_later()  # its body goes on in another packet
        if self.began_s != math.inf:
            self._message_bytes += len(data)
            if self._message_bytes > (MOST_HEAD_BYTES if self._in_head else self.most_message_bytes):
                self.end(431 if self._in_head else 413, "the request is too long")

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _is_plain(self) -> bool:
        """Whether the request that is held can be answered right here."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and self.direct.knows(self.url)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.transport.is_closing()
        )

    def _answer(self) -> None:
        # Not held any longer than the request: the connection may rest for a minute.
        parts, self._parts = self._parts, []
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._keeps_alive = self.parser.should_keep_alive()
        self._begun = self.direct.reply("POST", self.url, dict(self.headers), body, perf_counter())
        self._go_on()

    def _go_on(self) -> None:
        """Answer the request, as far as it need not wait."""
        begun = cast(Coroutine[Any, Any, Reply], self._begun)
        try:
            awaited = begun.send(None)
        except StopIteration as ended:
            self._begun = self._waits_for = None
            self._write(ended.value)
            return
        if isinstance(awaited, Turn):
            self._waits_for, awaited.wake = awaited, self._go_on
        else:
            self._hand_on(awaited)

    def _hand_on(self, awaited: Any) -> None:
        """Make the request that waits one like all others."""
        begun, self._begun, self._waits_for = self._begun, None, None
        if isinstance(awaited, Turn):
            awaited.wake = None
        waits = cast(Awaitable[Reply], go_on(cast(Coroutine[Any, Any, Reply], begun), awaited))
        parser, cast(Any, self).parser = self.parser, WasRead(keeps_alive=self._keeps_alive)
        try:
            self._release(partial(answer_later, self.direct, waits))
            super().on_message_complete()
        finally:
            self.parser = parser
        self.cycle.disconnected = self.transport.is_closing()
        self.run_later()

    def _release(self, app: Any) -> None:
        """Tell uvicorn of the request that is held.

        Raises:
            HttpParserError: its path is none.
            ValueError: the same.
        """
        self._is_held = False
        parts, self._parts = self._parts, []
        self.begin_cycle(parts, app)

    def _write(self, reply: Reply) -> None:
        if self.transport.is_closing():
            return
        head, closes = reply_head(reply, self.server_state.default_headers, keep_alive=self._keeps_alive)
        self.transport.write(head + reply.body)
        self.server_state.total_requests += 1
        if closes:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self.end(400, msg.rstrip("."))

    def shutdown(self) -> None:
        """The server ends: close now, or after the request that is being read or answered."""
        if self._begun is not None:
            self._hand_on(self._waits_for)
        idle = self.began_s == math.inf or (self._in_head and not self._message_bytes)
        if idle or self.cycle is not None:
            super().shutdown()

    def end(self, status: int, words: str) -> None:
        """Answer if nothing was answered yet, and close."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = msgspec.json.encode({"error": words})
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(
                body
            )
            transport.write(STATUS_LINE[status] + head + body)
        transport.close()

    def look(self, now_s: float, timeout_s: float) -> None:
        """Close the connection if its client takes too long."""
        transport = self.transport
        if transport is None:
            return
        unread = cast(Any, transport).get_write_buffer_size()
        if not unread or unread < self._unread_bytes:
            self.stuck_s = math.inf
        elif self.stuck_s == math.inf:
            self.stuck_s = now_s
        self._unread_bytes = unread
        if now_s - self.stuck_s > timeout_s:
            transport.abort()
        elif now_s - self.began_s > timeout_s:
            self.end(408, f"the request was not complete after {timeout_s:g} s")
        elif self.began_s == math.inf and self.timeout_keep_alive_task is None and self._is_idle():
            # Who was answered right here has no timer of uvicorn's.
            self.rested_s = min(self.rested_s, now_s)
            if now_s - self.rested_s > self.timeout_keep_alive:
                transport.close()

    def _is_idle(self) -> bool:
        return self._begun is None and (self.cycle is None or self.cycle.response_complete)


def look_at_all(connections: Iterable[Any], now_s: float, timeout_s: float) -> None:
    """Close the connections whose clients take too long."""
    for connection in list(connections):
        if isinstance(connection, LimitedProtocol):
            connection.look(now_s, timeout_s)
