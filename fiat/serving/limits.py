"""How many requests are worked on at a time: more of them wait, and when too many wait, the next ones come later."""

import asyncio
from collections import deque

from fiat.serving.release import ServerLimits


class Refused(Exception):
    """A request that gets no answer of a model.

    Attributes:
        status: of HTTP.
        message: one sentence for the client.
        headers: besides the usual ones.
    """

    def __init__(self, status: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class Gate:
    """The door in front of the models. Of one event loop.

    Args:
        limits: of the server.

    Attributes:
        active: requests that are worked on.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.active = 0

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._waiting)

    def try_enter(self) -> bool:
        """Enter if nobody has to wait; `leave` belongs to it."""
        if self.active < self._limits.concurrency and not self._waiting:
            self.active += 1
            return True
        return False

    async def enter(self, deadline: float) -> None:
        """Enter, waiting if need be; `leave` belongs to it.

        Args:
            deadline: time of the event loop until which it may take.

        Raises:
            Refused: too many wait, or it took too long.
        """
        if self.try_enter():
            return
        if len(self._waiting) >= self._limits.queue:
            raise Refused(
                429,
                f"{self._limits.concurrency} requests are worked on and {len(self._waiting)} wait: try again later",
                ((b"retry-after", b"1"),),
            )
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_at(deadline, self._expire, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # the turn came at the same moment: it goes on to the next one
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise
        finally:
            timer.cancel()

    def _expire(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            self._waiting.remove(turn)
            words = f"the request waited {self._limits.timeout_s:g} s for its turn: try again later"
            turn.set_exception(Refused(503, words))

    def leave(self) -> None:
        """Let the next one in."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the place is handed on: `active` stays
                return
        self.active -= 1
