"""HTTP/1.1 on a socket: uvicorn's protocol on httptools, with the limits that it lacks.

A connection that sends its request drop by drop, never ends its headers, or does not read its answer costs memory and a
file each; here it costs them for a while only. One look a second at all connections, since a timer for each request would
take longer than a small model.
"""

import math
from collections.abc import Coroutine, Generator, Iterable, Sequence
from functools import partial
from types import coroutine
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from fiat.serving.app import WHOLE

MOST_HEAD_BYTES = 64 << 10
MOST_CONNECTIONS = 16384


class LimitedProtocol(HttpToolsProtocol):
    """One connection.

    Attributes:
        began_s: time of the event loop when the request that is being read began; infinite between requests.
        stuck_s: since when the client has not read on; infinite while it reads.
    """

    most_message_bytes = 64 << 20

    def connection_made(self, transport: Any) -> None:
        """A client is there, and has to send its first request in time."""
        self.began_s, self.stuck_s = self.loop.time(), math.inf
        self._unread_bytes = 0
        self._in_head, self._message_bytes = True, 0
        self._complete: RequestResponseCycle | None = None
        self._answered: RequestResponseCycle | None = None
        # Not a function for each request: request, cycle and function would hold one another until they are collected.
        self._extensions = {WHOLE: self.send_whole}
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()

    def on_message_begin(self) -> None:
        """The first byte of a request came."""
        self.began_s = self.loop.time()
        self._in_head, self._message_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """All headers came."""
        self._in_head = False
        super().on_headers_complete()
        cast(dict[str, Any], self.scope)["extensions"] = self._extensions

    def on_message_complete(self) -> None:
        """All of a request came."""
        self.began_s = math.inf
        self._message_bytes = 0
        super().on_message_complete()
        cycle, self._complete = self._complete, None
        if cycle is not None:
            self._run(cycle)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        super().data_received(data)
        cycle, self._complete = self._complete, None
        if cycle is not None:  # its body goes on in another packet
            self._answered = cycle
            super()._start_asgi_task(cycle, self.app)
        if self.began_s != math.inf:
            self._message_bytes += len(data)
            if self._message_bytes > (MOST_HEAD_BYTES if self._in_head else self.most_message_bytes):
                self.end(431 if self._in_head else 413, "the request is too long")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.more_body:
            # Most bodies come in one packet with their headers: a moment later the request is complete.
            self._complete = cycle
        else:
            self.loop.call_soon(
                self._run, cycle
            )  # not from here: thousands may be queued up behind one another

    def _run(self, cycle: RequestResponseCycle) -> None:
        """Let the app answer right here; a task is made only when it waits for something."""
        self._answered = cycle
        answer = cycle.run_asgi(self.app)
        try:
            awaited = answer.send(None)
        except StopIteration:
            return
        task = self.loop.create_task(_go_on(answer, awaited))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def send_whole(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send the answer to the request that is being answered, in one piece.

        Args:
            status: of HTTP.
            headers: lower-case names, values without control characters; `content-length` among them.
            body: of the answer.

        Returns:
            False when the client does not read on, and the answer has to wait: it is sent in the usual way then.
        """
        cycle = self._answered
        if cycle is None or cycle.flow.write_paused:
            return False
        if cycle.disconnected:
            return True
        parts = [STATUS_LINE[status]]
        for name, value in cycle.default_headers:
            parts += (name, b": ", value, b"\r\n")
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
            if name == b"connection":
                cycle.keep_alive = False
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        if cycle.scope["method"] != "HEAD":
            parts.append(body)
        cycle.transport.write(b"".join(parts))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self.end(400, msg.rstrip("."))

    def shutdown(self) -> None:
        """The server ends: close now, or after the request that is being read or answered."""
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
        elif self._is_forgotten():
            self.began_s = now_s

    def _is_forgotten(self) -> bool:
        """Between requests and without a timer: bytes came that begin no request."""
        idle = self.cycle is None or self.cycle.response_complete
        return idle and self.began_s == math.inf and self.timeout_keep_alive_task is None


@coroutine
def _go_on(answer: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that was begun outside a task and waits for something."""
    while True:
        try:
            given = yield awaited
        except BaseException as error:
            step = partial(answer.throw, error)
        else:
            step = partial(answer.send, given)
        try:
            awaited = step()
        except StopIteration:
            return


def look_at_all(connections: Iterable[Any], now_s: float, timeout_s: float) -> None:
    """Close the connections whose clients take too long."""
    for connection in list(connections):
        if isinstance(connection, LimitedProtocol):
            connection.look(now_s, timeout_s)
