"""Reads bodies before anybody looks at them: never more than the limit, never longer than the patience, never too many."""

from dataclasses import dataclass

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fiat.web.gate import SAFE_METHODS
from fiat.web.problems import Problem
from fiat.web.settings import WebSettings

SMALL_BYTES = 1 << 20
SMALL_POOL_BYTES = 32 << 20
DRAIN_S = 1.0


@dataclass
class _Pool:
    """Bytes of bodies that may still be held at a time; large bodies can't crowd out the small ones."""

    small: int
    large: int


class BodyReader:
    """Reads the whole body of a request, then lets the request go on.

    Args:
        app: what comes behind it; it finds the body as one piece.
        settings: limits.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._settings = settings
        self._pool = _Pool(SMALL_POOL_BYTES, max(settings.max_body_bytes, SMALL_BYTES))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        held = _Held(self._pool)
        try:
            body: bytes | None = await self._read(scope, receive, held)

            async def receive_again() -> Message:
                nonlocal body
                if body is None:
                    return await receive()
                whole, body = body, None
                return {"type": "http.request", "body": whole, "more_body": False}

            await self._app(scope, receive_again, send)
        finally:
            held.give_back()

    async def _read(self, scope: Scope, receive: Receive, held: "_Held") -> bytes:
        hook = scope["path"].startswith("/webhook")
        limit = self._settings.max_body_bytes if hook else self._settings.max_request_bytes
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise _refusal(400, "Content-Length is no number")
        if len(length) > 19 or int(length) > limit:
            # Whoever waits for our leave has sent nothing yet.
            if b"expect" not in headers:
                await _drain(receive)
            raise _refusal(413, f"the body is larger than {limit:,} bytes")
        with anyio.move_on_after(self._settings.read_timeout_s):
            return await _gather(receive, limit, held)
        raise _refusal(408, f"the body took longer than {self._settings.read_timeout_s:g} seconds")


class _Held:
    """What one request holds of the pool."""

    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self.small = self.large = 0

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            Problem: others hold too much.
        """
        small = min(size, SMALL_BYTES - self.small)
        self.small += small
        self.large += size - small
        self._pool.small -= small
        self._pool.large -= size - small
        if min(self._pool.small, self._pool.large) < 0:
            raise _refusal(503, "too many bodies at a time", {"Retry-After": "10"})

    def give_back(self) -> None:
        """Hold nothing any more."""
        self._pool.small += self.small
        self._pool.large += self.large
        self.small = self.large = 0


async def _gather(receive: Receive, limit: int, held: _Held) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _refusal(400, "the body broke off")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            chunks.clear()
            held.give_back()
            await _drain(receive)
            raise _refusal(413, f"the body is larger than {limit:,} bytes")
        held.take(len(chunk))
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _drain(receive: Receive) -> None:
    """Let the rest of a refused body go by for a moment: a client that still writes would not see our answer."""
    with anyio.move_on_after(DRAIN_S):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                return


def _refusal(status: int, detail: str, headers: dict[str, str] | None = None) -> Problem:
    return Problem(status, detail, headers={"Connection": "close", **(headers or {})})
