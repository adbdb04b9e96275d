"""A connection without a socket, and calls as the event loop makes them."""

import asyncio
from collections.abc import Callable
from typing import Any


class Wire(asyncio.Transport):
    """What a connection writes, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        """Whoever feeds it looks at nothing."""

    def resume_reading(self) -> None:
        """Nothing is ever held back here."""


async def outside(call: Callable[[], object]) -> None:
    """Call something as the event loop calls protocols: in no task; then let everything run that is ready."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        try:
            call()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    loop.call_soon(run)
    await done
    for _ in range(5):
        await asyncio.sleep(0)
