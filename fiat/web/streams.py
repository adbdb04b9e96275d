"""Event streams: as many as are allowed, none of which can hold up another or live for ever."""

import logging
from collections import Counter

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from fiat.web.follower import Follower
from fiat.web.meter import Meter
from fiat.web.problems import Problem
from fiat.web.settings import WebSettings

THREADS = 8
_BEAT = b": beat\n\n"
# After a break the client comes again after a second, with the id of the last event that it saw.
_HELLO = b"retry: 1000\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_log = logging.getLogger("fiat.web")


class Streams:
    """Seats for event streams.

    Args:
        settings: how many, how long.
        meter: counts the taken ones.
    """

    def __init__(self, settings: WebSettings, meter: Meter) -> None:
        self.settings = settings
        self._meter = meter
        self._taken: Counter[str] = Counter()
        self._limiter: CapacityLimiter | None = None
        self.closing = False

    def close(self) -> None:
        """Let every stream end soon: the server stops."""
        self.closing = True

    @property
    def limiter(self) -> CapacityLimiter:
        """Threads that streams look at runs in."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(THREADS)
        return self._limiter

    def sit(self, name: str) -> None:
        """Take a seat.

        Raises:
            Problem: there is none.
        """
        settings = self.settings
        if self._taken.total() >= settings.streams or self._taken[name] >= settings.streams_each:
            raise Problem(429, "too many event streams are open", headers={"Retry-After": "10"})
        self._taken[name] += 1
        self._meter.streams.set(self._taken.total())

    def rise(self, name: str) -> None:
        """Give a seat back."""
        self._taken[name] -= 1
        if not self._taken[name]:
            del self._taken[name]
        self._meter.streams.set(self._taken.total())


class EventStream(Response):
    """Answers with the events of a run until it ends, the client goes or is too slow, or the time is over.

    Args:
        follower: what there is to tell.
        streams: seats.
        name: whose seat it is.
    """

    media_type = "text/event-stream"

    def __init__(self, follower: Follower, streams: Streams, name: str) -> None:
        super().__init__()
        self._follower = follower
        self._streams = streams
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        self._streams.sit(self._name)
        try:
            async with anyio.create_task_group() as group:

                async def watch() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    group.cancel_scope.cancel()

                group.start_soon(watch)
                await self._tell(send)
                group.cancel_scope.cancel()
        finally:
            self._streams.rise(self._name)

    async def _tell(self, send: Send) -> None:
        settings = self._streams.settings
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        try:
            await self._send(send, _HELLO)
            with anyio.move_on_after(settings.stream_s):
                await self._follow(send)
            await self._send(send, b"", more=False)
        except (TimeoutError, OSError):
            # Too slow, or gone: its seat is free again, and it may come back to where it was.
            return

    async def _follow(self, send: Send) -> None:
        settings = self._streams.settings
        spoken = anyio.current_time()
        while not self._streams.closing:
            try:
                looked = await anyio.to_thread.run_sync(self._follower.look, limiter=self._streams.limiter)
            except Exception:
                _log.exception("a followed run could not be read")
                return
            for event in looked.events:
                await self._send(send, event)
                spoken = anyio.current_time()
            if looked.over:
                return
            if anyio.current_time() - spoken >= settings.heartbeat_s:
                await self._send(send, _BEAT)
                spoken = anyio.current_time()
            await anyio.sleep(settings.poll_s)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        message: Message = {"type": "http.response.body", "body": body, "more_body": more}
        with anyio.fail_after(self._streams.settings.send_timeout_s):
            await send(message)
