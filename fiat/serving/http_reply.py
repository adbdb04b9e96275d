"""Answers outside ASGI: their first bytes, and coroutines that were begun outside a task."""

from collections.abc import Awaitable, Coroutine, Generator, Iterable, Mapping
from functools import partial
from types import coroutine
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from fiat.serving.app import Application, Reply, Send
from fiat.serving.turn import Turn


def reply_head(reply: Reply, usual: Iterable[tuple[bytes, bytes]], *, keep_alive: bool) -> tuple[bytes, bool]:
    """Status line and headers, and whether the connection is closed then.

    Args:
        reply: the answer.
        usual: headers of every answer.
        keep_alive: whether the client wants to go on.
    """
    parts = [STATUS_LINE[reply.status]]
    for name, value in usual:
        parts += (name, b": ", value, b"\r\n")
    for name, value in reply.headers:
        parts += (name, b": ", value, b"\r\n")
        if name == b"connection":
            keep_alive = False
    parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    return b"".join(parts), not keep_alive


class WasRead:
    """What uvicorn asks the parser of a request, after the parser went on to the next one: only POST of HTTP/1.1 waits.

    Args:
        keeps_alive: whether the client wants to go on.
    """

    def __init__(self, *, keeps_alive: bool) -> None:
        self._keeps_alive = keeps_alive

    def get_method(self) -> bytes:
        """The method."""
        return b"POST"

    def get_http_version(self) -> str:
        """The version."""
        return "1.1"

    def should_upgrade(self) -> bool:
        """Whether another protocol was offered."""
        return False

    def should_keep_alive(self) -> bool:
        """Whether the client wants to go on."""
        return self._keeps_alive


async def answer_later(
    app: Application,
    waits: Awaitable[Reply],
    scope: Mapping[str, Any],
    receive: object,
    send: Send,
) -> None:
    """The rest of a request as an ASGI app: what was begun is awaited, and sent."""
    await app.send(await waits, scope, send)


@coroutine
def go_on(answer: Coroutine[Any, Any, Any], awaited: Any) -> Generator[Any, Any, Any]:
    """The rest of a coroutine that was begun outside a task and waits for something."""
    while True:
        try:
            given = None
            if isinstance(awaited, Turn):
                yield from awaited.in_task()
            else:
                given = yield awaited
        except BaseException as error:
            step = partial(answer.throw, error)
        else:
            step = partial(answer.send, given)
        try:
            awaited = step()
        except StopIteration as ended:
            return ended.value
