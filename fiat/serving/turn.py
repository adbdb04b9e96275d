"""A result that comes later. Who waits for it needs neither a task nor a future: most requests have none."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, cast

Result = TypeVar("Result")


class Turn(Generic[Result]):
    """May be awaited once, in a task or outside of any. Of one event loop.

    Outside a task the awaiting coroutine gives the turn itself to whoever drives it, who sets `wake` and goes on when it is
    called. In a task it is awaited like a future.

    Attributes:
        is_done: it was told or failed, or nobody waits for it any more.
        wake: called once when it is told or fails.
    """

    __slots__ = ("_error", "_result", "is_done", "wake")

    def __init__(self) -> None:
        self.is_done = False
        self.wake: Callable[[], None] | None = None
        self._result: Result | None = None
        self._error: Exception | None = None

    def tell(self, result: Result) -> None:
        """Here is the result."""
        self._result = result
        self._end()

    def fail(self, error: Exception) -> None:
        """There will be no result: who waits gets this instead."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self.is_done = True
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()

    def in_task(self) -> Generator[Any, Any, None]:
        """Wait in a task until it is done."""
        if self.is_done:
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not ended.done():
                ended.set_result(None)

        self.wake = wake
        try:
            yield from ended
        finally:
            # A task that is cancelled wants nothing any more.
            self.is_done = True

    def __await__(self) -> Generator[Any, Any, Result]:
        """Wait for it.

        Raises:
            Exception: it failed.
        """
        if not self.is_done:
            if asyncio.current_task() is None:
                yield self
            else:
                yield from self.in_task()
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                # It knows this frame: they would hold one another, and what was asked, until they are collected.
                del error
        return cast(Result, self._result)
