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
from urllib.parse import quote, unquote

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
    unpacked,
)
from fiat.serving.counts import WorkerCounts
from fiat.serving.fleet import Fleet
from fiat.serving.inform import Informer
from fiat.serving.label_body import read_labels
from fiat.serving.limits import Refused
from fiat.serving.mlflow_forms import write_invocation_error, write_invocations
from fiat.serving.predict import Asked, Predictor
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
_MOST_PATHS, _LONGEST_PATH = 1024, 512
_LARGE_BYTES = 1 << 18
_LONGEST_ID = 200


class Reply(msgspec.Struct, gc=False):
    """An answer as it is sent.

    Attributes:
        status: of HTTP.
        headers: lower-case names, values without control characters; `content-length` among them.
        body: of it.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


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
        """Answer one request in the way of ASGI."""
        if scope["type"] != "http":
            await _other(scope, receive, send)
            return
        started = perf_counter()
        headers: Headers = dict(scope["headers"])
        raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        try:
            body = b""
            if self._route(scope["method"], raw_path).methods is POST:
                body = await read_body(
                    receive, headers, most_bytes=self._limits.body_bytes, timeout_s=self._limits.timeout_s
                )
        except Disconnected:
            return
        except Refused as error:
            reply = await self._reply(*_told(error, raw_path), headers)
        else:
            reply = await self.reply(scope["method"], raw_path, headers, body, started)
        await self.send(reply, scope, send)

    def knows(self, raw_path: bytes) -> bool:
        """Whether this path was asked for before and is there."""
        return raw_path in self._routes

    async def reply(
        self, method: str, raw_path: bytes, headers: Headers, body: bytes, started: float
    ) -> Reply:
        """The answer to a request that is there as a whole; it waits for nothing if it need not.

        Args:
            method: of HTTP.
            raw_path: as it stands in the request, without the query.
            headers: lower-case names.
            body: as it was sent, perhaps packed.
            started: `perf_counter` when its first byte came.
        """
        self.in_flight += 1
        try:
            route = self._route(method, raw_path)
            body = unpacked(body, headers, self._limits.body_bytes)
            if route.kind == "infer" or route.kind == "invocations":
                return await self._predict(route, headers, body, started)
            if route.kind == "labels":
                return await self._reply(*self._take_labels(headers, body), (), headers)
            told = self._informer.answer(route, body, is_draining=self.is_draining)
            return await self._reply(*told, (), headers)
        except (BadRequest, Refused) as error:
            return await self._reply(*_told(error, raw_path), headers)
        except Exception:
            LOG.exception("%s %s failed", method, raw_path)
            failed = Refused(500, "the server failed: its log says why")
            return await self._reply(*_told(failed, raw_path), headers)
        finally:
            self.in_flight -= 1

    def _route(self, method: str, raw_path: bytes) -> Route:
        route = self._routes.get(raw_path)
        if route is None:
            found = find_route(raw_path)
            if found is None:
                raise Refused(404, f"there is nothing at {unquote(raw_path.decode('latin-1'))[:200]!r}")
            route = found
            if len(self._routes) < _MOST_PATHS and len(raw_path) < _LONGEST_PATH:
                self._routes[raw_path] = route
        if method not in route.methods:
            allowed = ", ".join(route.methods)
            raise Refused(405, f"this path takes {allowed}, not {method}", ((b"allow", allowed.encode()),))
        return route

    async def _predict(self, route: Route, headers: Headers, body: bytes, started: float) -> Reply:
        if route.kind == "infer":
            model = self._informer.served(route)
            asked = Asked(headers, body, started, _read_infer, _write_infer)
            answer = await self.predictor.answer(model, route.version, asked)
            extra = [(b"x-request-id", _as_header(answer.request_id))]
            if answer.header_length is None:
                return await self._reply(200, JSON, answer.body, extra, headers)
            extra.append((b"inference-header-content-length", b"%d" % answer.header_length))
            return await self._reply(200, BYTES, answer.body, extra, headers)
        model = self._informer.only_model()
        asked = Asked(headers, body, started, _read_invocation, _write_invocation)
        answer = await self.predictor.answer(model, "", asked)
        extra = [
            (b"x-request-id", _as_header(answer.request_id)),
            (b"fiat-version", _as_header(answer.version)),
        ]
        return await self._reply(200, JSON, answer.body, extra, headers)

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

    async def _reply(
        self, status: int, kind: bytes, body: bytes, extra: Sequence[tuple[bytes, bytes]], headers: Headers
    ) -> Reply:
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
        return Reply(status, sent, body)

    async def send(self, reply: Reply, scope: Scope, send: Send) -> None:
        """Send an answer in the way of ASGI, or in one piece where that is possible."""
        extensions = scope.get("extensions")
        if extensions is not None and WHOLE in extensions and extensions[WHOLE](reply):
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})


def _told(
    error: BadRequest | Refused, raw_path: bytes
) -> tuple[int, bytes, bytes, Sequence[tuple[bytes, bytes]]]:
    extra = error.headers if isinstance(error, Refused) else ()
    if raw_path.strip(b"/") == b"invocations":
        return error.status, JSON, write_invocation_error(error.message, error.status), extra
    return error.status, JSON, msgspec.json.encode({"error": error.message}), extra


async def _packed(body: bytes, coding: str) -> bytes:
    if len(body) < _LARGE_BYTES:
        return pack(body, coding)
    return await asyncio.get_running_loop().run_in_executor(None, pack, body, coding)


def _read_infer(running: Running, headers: Headers, body: bytes) -> InferRequest:
    length = headers.get(b"inference-header-content-length")
    return running.loaded.decoder.read(body, None if length is None else length.decode("latin-1"))


def _read_invocation(running: Running, headers: Headers, body: bytes) -> InferRequest:
    return running.loaded.invocations.read(body, headers.get(b"content-type", b"").decode("latin-1"))


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
