"""The server as an ASGI app: every path, every answer. Start here.

Plain ASGI and nothing on the way but a dictionary: a framework's routing and validation take several times as long as a
small model. Works on any ASGI server; `server.py` runs it on uvicorn.

Source: the Open Inference Protocol (`inference_rest.md`), and https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Any
from urllib.parse import quote

import msgspec

from fiat.serving.answer_log import AnswerLogs
from fiat.serving.batcher import Outputs
from fiat.serving.bodies import (
    SMALLEST_PACKED_BYTES,
    Disconnected,
    Receive,
    chosen_coding,
    pack,
    read_body,
)
from fiat.serving.counts import WorkerCounts
from fiat.serving.fleet import Fleet
from fiat.serving.inform import Informer
from fiat.serving.label_body import read_labels
from fiat.serving.limits import Refused
from fiat.serving.mlflow_forms import write_invocation_error, write_invocations
from fiat.serving.predict import Answered, Predictor
from fiat.serving.refusal import BadRequest
from fiat.serving.release import ServerLimits
from fiat.serving.requests import InferRequest
from fiat.serving.routes import POST, Route, find_route
from fiat.serving.served import Running

Scope = Mapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Headers = Mapping[bytes, bytes]
LOG = logging.getLogger("fiat.serving")
WHOLE = "fiat.whole"
"""ASGI extension of our own server: sends an answer in one piece."""
JSON, BYTES = b"application/json", b"application/octet-stream"
_MOST_PATHS = 1024
_LARGE_BYTES = 1 << 18
_LONGEST_ID = 200


class Application:
    """The app.

    Args:
        fleet: the models.
        limits: of the server.
        logs: where requests are written down.
        version: of Fiat.
        workers: what every worker of the server tells, this one among them.

    Attributes:
        is_draining: the server is about to end: it answers on, but says that it is not ready, and closes connections.
        in_flight: requests that are not answered yet.
        predictor: answers requests.
    """

    def __init__(
        self,
        fleet: Fleet,
        limits: ServerLimits,
        logs: AnswerLogs,
        *,
        version: str,
        workers: Callable[[], Sequence[WorkerCounts]],
    ) -> None:
        self._fleet, self._limits, self._logs = fleet, limits, logs
        self._informer = Informer(fleet, limits, version, workers)
        self._routes: dict[bytes, Route] = {}
        self.predictor = Predictor(limits, logs)
        self.is_draining = False
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await _other(scope, receive, send)
            return
        started = perf_counter()
        headers: Headers = dict(scope["headers"])
        self.in_flight += 1
        try:
            route = self._route(scope)
            if route.kind == "infer" or route.kind == "invocations":
                answer = await self._predict(route, headers, receive, started)
                await self._send_answer(answer, route, scope, headers, send)
            else:
                await self._inform(route, scope, headers, receive, send)
        except (BadRequest, Refused) as error:
            await self._send_error(error, scope, headers, send)
        except Disconnected:
            pass
        except Exception:
            LOG.exception("%s %s failed", scope["method"], scope["path"])
            await self._send_error(Refused(500, "the server failed: its log says why"), scope, headers, send)
        finally:
            self.in_flight -= 1

    def _route(self, scope: Scope) -> Route:
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        route = self._routes.get(raw)
        if route is None:
            found = find_route(raw)
            if found is None:
                raise Refused(404, f"there is nothing at {scope['path'][:200]!r}")
            route = found
            if len(self._routes) < _MOST_PATHS:
                self._routes[raw] = route
        if scope["method"] not in route.methods:
            allowed = ", ".join(route.methods)
            raise Refused(
                405, f"this path takes {allowed}, not {scope['method']}", ((b"allow", allowed.encode()),)
            )
        return route

    async def _predict(self, route: Route, headers: Headers, receive: Receive, started: float) -> Answered:
        body = await read_body(
            receive, headers, most_bytes=self._limits.body_bytes, timeout_s=self._limits.timeout_s
        )
        if route.kind == "infer":
            model = self._informer.served(route)
            length = headers.get(b"inference-header-content-length")
            text = None if length is None else length.decode("latin-1")
            return await self.predictor.answer(
                model,
                route.version,
                headers,
                body,
                started=started,
                read=lambda running: running.loaded.decoder.read(body, text),
                write=_write_infer,
            )
        model = self._informer.only_model()
        kind = headers.get(b"content-type", b"").decode("latin-1")
        return await self.predictor.answer(
            model,
            "",
            headers,
            body,
            started=started,
            read=lambda running: running.loaded.invocations.read(body, kind),
            write=_write_invocation,
        )

    async def _inform(
        self, route: Route, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> None:
        body = b""
        if route.methods is POST:
            body = await read_body(
                receive, headers, most_bytes=self._limits.body_bytes, timeout_s=self._limits.timeout_s
            )
        if route.kind == "labels":
            status, kind, content = self._take_labels(headers, body)
        else:
            status, kind, content = self._informer.answer(route, body, is_draining=self.is_draining)
        await self._send(status, kind, content, scope, headers, send)

    def _take_labels(self, headers: Headers, body: bytes) -> tuple[int, bytes, bytes]:
        model, labels = read_labels(body)
        name = model or self._informer.only_model().name
        log = self._logs.of(name)
        if log is None:
            raise Refused(404, f"nothing is written down of the model {name!r}, so labels have no place")
        if not log.labels.offer(labels):
            raise Refused(
                503, "there is no room for these labels now: send them again", ((b"retry-after", b"1"),)
            )
        return 200, JSON, msgspec.json.encode({"labels": len(labels)})

    async def _send_answer(
        self, answer: Answered, route: Route, scope: Scope, headers: Headers, send: Send
    ) -> None:
        extra: list[tuple[bytes, bytes]] = [(b"x-request-id", _as_header(answer.request_id))]
        kind = JSON
        if answer.header_length is not None:
            kind = BYTES
            extra.append((b"inference-header-content-length", b"%d" % answer.header_length))
        if route.kind == "invocations":
            extra.append((b"fiat-version", _as_header(answer.version)))
        await self._send(200, kind, answer.body, scope, headers, send, extra)

    async def _send_error(
        self, error: BadRequest | Refused, scope: Scope, headers: Headers, send: Send
    ) -> None:
        extra = list(error.headers) if isinstance(error, Refused) else []
        if scope["path"].strip("/") == "invocations":
            body = write_invocation_error(error.message, error.status)
        else:
            body = msgspec.json.encode({"error": error.message})
        await self._send(error.status, JSON, body, scope, headers, send, extra)

    async def _send(
        self,
        status: int,
        kind: bytes,
        body: bytes,
        scope: Scope,
        headers: Headers,
        send: Send,
        extra: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        sent = [(b"content-type", kind), *extra]
        accepted = headers.get(b"accept-encoding")
        if accepted is not None and len(body) >= SMALLEST_PACKED_BYTES:
            coding = chosen_coding(accepted)
            if coding:
                body = await _packed(body, coding)
                sent += [(b"content-encoding", coding.encode()), (b"vary", b"accept-encoding")]
        sent.append((b"content-length", b"%d" % len(body)))
        if self.is_draining:
            sent.append((b"connection", b"close"))
        extensions = scope.get("extensions")
        if extensions is not None and WHOLE in extensions and extensions[WHOLE](status, sent, body):
            return
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})


async def _packed(body: bytes, coding: str) -> bytes:
    if len(body) < _LARGE_BYTES:
        return pack(body, coding)
    return await asyncio.get_running_loop().run_in_executor(None, pack, body, coding)


def _write_infer(running: Running, request: InferRequest, outputs: Outputs) -> tuple[bytes, int | None]:
    return running.loaded.encoder.write(request, outputs)


def _write_invocation(running: Running, request: InferRequest, outputs: Outputs) -> tuple[bytes, int | None]:
    return write_invocations(outputs, running.loaded.info), None


def _as_header(text: str) -> bytes:
    """A text that a client gave as the value of a header: quoted where it is not plain."""
    if text.isascii() and text.isprintable() and len(text) <= _LONGEST_ID:
        return text.encode()
    return quote(text[:_LONGEST_ID], errors="replace").encode()


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """What is no HTTP: the start and the end of the server, and WebSockets, which are refused."""
    if scope["type"] != "lifespan":
        await send({"type": "websocket.close", "code": 1000})
        return
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
