"""Uvicorn's way to answer a request, made shorter: no task for an app that waits for nothing, answers in one piece."""

from collections.abc import Sequence
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from fiat.serving.app import WHOLE, Reply
from fiat.serving.http_reply import go_on, reply_head


class ShortCycles(HttpToolsProtocol):
    """One connection, as uvicorn has it."""

    def connection_made(self, transport: Any) -> None:
        """A client is there."""
        self._complete: tuple[RequestResponseCycle, Any] | None = None
        self._answered: RequestResponseCycle | None = None
        # Not a function for each request: request, cycle and function would hold one another until they are collected.
        self._extensions = {WHOLE: self.send_whole}
        super().connection_made(transport)

    def run_now(self) -> None:
        """Let the app answer the request that uvicorn was just told of, if it is its turn and complete."""
        found, self._complete = self._complete, None
        if found is not None:
            self._run(*found)

    def run_later(self) -> None:
        """The same, in a task."""
        found, self._complete = self._complete, None
        if found is not None:
            self._answered = found[0]
            super()._start_asgi_task(*found)

    def begin_cycle(self, parts: Sequence[bytes], app: Any) -> None:
        """Tell uvicorn of a request whose URL and headers are held here.

        Args:
            parts: of its body, as far as it is there.
            app: answers it.

        Raises:
            HttpParserError: its path is none.
            ValueError: the same.
        """
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers += headers
        cast(dict[str, Any], self.scope)["extensions"] = self._extensions
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        usual, self.app = self.app, app
        try:
            super().on_headers_complete()
        finally:
            self.app = usual
        for part in parts:
            super().on_body(part)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.more_body:
            # Most bodies come in one packet with their headers: a moment later the request is complete.
            self._complete = cycle, app
        else:
            # Not from here: thousands may be queued up behind one another.
            self.loop.call_soon(self._run, cycle, app)

    def _run(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let the app answer right here; a task is made only when it waits for something."""
        self._answered = cycle
        answer = cycle.run_asgi(app)
        try:
            awaited = answer.send(None)
        except StopIteration:
            return
        task = self.loop.create_task(go_on(answer, awaited))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def send_whole(self, reply: Reply) -> bool:
        """Send the answer to the request that is being answered, in one piece.

        Args:
            reply: the answer.

        Returns:
            False when the client does not read on, and the answer has to wait: it is sent in the usual way then.
        """
        cycle = self._answered
        if cycle is None or cycle.flow.write_paused:
            return False
        if cycle.disconnected:
            return True
        head, closes = reply_head(reply, cycle.default_headers, keep_alive=cycle.keep_alive)
        cycle.keep_alive = not closes
        cycle.transport.write(head if cycle.scope["method"] == "HEAD" else head + reply.body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if closes:
            cycle.transport.close()
        cycle.on_response()
        return True
