"""One request from its body to its answer: which version, run, labels, copies, log, counts."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import TypeVar

import msgspec
import numpy as np

from fiat.errors import FiatError
from fiat.serving.answer_log import AnswerLogs
from fiat.serving.batcher import Outputs
from fiat.serving.compared import predictions_of
from fiat.serving.limits import Gate, Refused
from fiat.serving.refusal import BadRequest
from fiat.serving.release import ServerLimits
from fiat.serving.requests import AnyArray, InferRequest
from fiat.serving.served import Running, ServedModel
from fiat.serving.session import RunFault
from fiat.serving.shadow import Copied
from fiat.serving.tally import named

_LARGE_BYTES, _MANY_ROWS = 1 << 17, 4096
Headers = Mapping[bytes, bytes]
Result = TypeVar("Result")
Read = Callable[[Running, Headers, bytes], InferRequest]
Write = Callable[[Running, InferRequest, Outputs], tuple[bytes, int | None]]


class _Named(msgspec.Struct):
    id: str | None = None


class Asked(msgspec.Struct, gc=False):
    """What a client asks.

    Attributes:
        headers: of the request, lower-case names.
        body: unpacked.
        started: `perf_counter` when its first byte came.
        read: headers and body as a version takes them.
        write: the outputs as the client wants them.
    """

    headers: Headers
    body: bytes
    started: float
    read: Read
    write: Write


class Answered(msgspec.Struct, gc=False):
    """An answer.

    Attributes:
        body: of it.
        header_length: of its JSON part when bytes follow it, else None.
        request_id: that the client gave or that was made for it.
        version: name of the version that answered.
    """

    body: bytes
    header_length: int | None
    request_id: str
    version: str


class Predictor:
    """Answers requests. Of one event loop.

    Args:
        limits: of the server.
        logs: where requests are written down.

    Attributes:
        gate: in front of the models.
    """

    def __init__(self, limits: ServerLimits, logs: AnswerLogs) -> None:
        self._limits, self._logs = limits, logs
        self._ids = msgspec.json.Decoder(_Named)
        self._prefix, self._made = os.urandom(8).hex(), 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large requests")
        self.gate = Gate(limits)

    async def answer(self, model: ServedModel, version: str, asked: Asked) -> Answered:
        """Answer one request.

        Args:
            model: that is asked.
            version: that the path names; empty lets the split choose.
            asked: the request.

        Raises:
            BadRequest: the client is wrong.
            Refused: too many requests, too slow, or the model failed.
        """
        headers, started = asked.headers, asked.started
        given = headers.get(b"x-request-id")
        request_id = "" if given is None else given.decode("latin-1")
        if version:
            running = model.versions[version]
        elif len(model.answering) == 1:
            running = model.answering[0]
        else:
            running = model.pick(self._key(headers, asked.body, request_id) or self._make_id())
        running, request = await self._read(model, running, asked, may_change=not version)
        tally = running.loaded.tally
        request_id = request.id or request_id or self._make_id()
        try:
            raw = await self._predict(running, request)
            if request.n_rows > _MANY_ROWS:
                outputs, found, predictions = await self._apart(_finished, running, request, raw, asked.write)
            else:
                outputs, found, predictions = _finished(running, request, raw, asked.write)
        except Refused as error:
            if error.status >= 500:
                self._failed(running, started)
            raise
        except RunFault as error:
            # The request has the form that the signature says: that the model can't answer it counts against the model.
            self._failed(running, started)
            raise _told(running, error) from error
        except FiatError as error:
            self._failed(running, started)
            raise Refused(500, f"the model gave no answer: {error.message}") from error
        except Exception:
            self._failed(running, started)
            raise
        seconds = perf_counter() - started
        tally.answered(seconds)
        tally.rows += request.n_rows
        if isinstance(predictions, dict):
            tally.counted(predictions)
        elif predictions is not None:
            tally.predicted(predictions)
        if model.log is not None or model.shadows:
            self._after(model, running, asked, request, request_id, outputs, seconds)
        return Answered(found[0], found[1], request_id, running.loaded.version.name)

    async def _read(
        self, model: ServedModel, running: Running, asked: Asked, *, may_change: bool
    ) -> tuple[Running, InferRequest]:
        """The request, and the version that takes it."""
        try:
            return running, await self._taken(running, asked)
        except BadRequest:
            if may_change and running is not model.stable:
                with contextlib.suppress(BadRequest):
                    request = await self._taken(model.stable, asked)
                    # The client is right by the version before: that the new one takes other inputs is the new one's fault.
                    self._failed(running, asked.started)
                    return model.stable, request
            running.loaded.tally.refused += 1
            raise

    async def _taken(self, running: Running, asked: Asked) -> InferRequest:
        if len(asked.body) <= _LARGE_BYTES or b"inference-header-content-length" in asked.headers:
            return asked.read(running, asked.headers, asked.body)
        return await self._apart(self._read_late, running, asked)

    def _read_late(self, running: Running, asked: Asked) -> InferRequest:
        if perf_counter() - asked.started > self._limits.timeout_s:
            raise Refused(503, "other large requests came before this one: try again later")
        return asked.read(running, asked.headers, asked.body)

    async def _apart(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Do what takes long in a thread, one request at a time: others are answered meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *arguments))

    async def _predict(self, running: Running, request: InferRequest) -> Outputs:
        batcher, gate = running.batcher, self.gate
        n_rows = request.n_rows
        if gate.try_enter():
            try:
                if not n_rows:
                    return _empty(running, request)
                if batcher.runs_inline(n_rows):
                    return batcher.run_inline(request.inputs, n_rows)
                deadline = asyncio.get_running_loop().time() + self._limits.timeout_s
                return await batcher.run(request.inputs, n_rows, deadline)
            finally:
                gate.leave()
        deadline = asyncio.get_running_loop().time() + self._limits.timeout_s
        await gate.enter(deadline)
        try:
            if not n_rows:
                return _empty(running, request)
            return await batcher.run(request.inputs, n_rows, deadline)
        finally:
            gate.leave()

    def _after(
        self,
        model: ServedModel,
        running: Running,
        asked: Asked,
        request: InferRequest,
        request_id: str,
        outputs: Outputs,
        seconds: float,
    ) -> None:
        if model.log is not None:
            log = self._logs.of(model.name)
            if log is not None:
                version, latency_us = running.loaded.version, int(seconds * 1e6)
                log.predictions.offer(
                    request_id, version.name, version.digest, request.inputs, outputs, latency_us
                )
        if model.shadows and request.n_rows:
            sticky = asked.headers.get(b"fiat-sticky")
            key = request_id if sticky is None else sticky.decode("latin-1")
            for other, shadow in model.copies(key, running):
                if other.loaded.info.inputs == running.loaded.info.inputs:
                    shadow.offer(Copied(partial(_same, request), outputs, request.n_rows))
                else:
                    read = partial(_reread, other, asked)
                    shadow.offer(Copied(read, outputs, request.n_rows))

    def _key(self, headers: Headers, body: bytes, request_id: str) -> str:
        """What says which version answers: the sticky key, the request's own id, its header's."""
        sticky = headers.get(b"fiat-sticky")
        if sticky is not None:
            return sticky.decode("latin-1")
        length = headers.get(b"inference-header-content-length", b"")
        try:
            named = self._ids.decode(body[: int(length)] if length else body).id
        except (ValueError, RecursionError):
            named = None
        return named or request_id

    def _make_id(self) -> str:
        self._made += 1
        return f"{self._prefix}-{self._made}"

    def _failed(self, running: Running, started: float) -> None:
        running.loaded.tally.failed += 1
        running.loaded.tally.answered(perf_counter() - started)


def _finished(
    running: Running, request: InferRequest, raw: Outputs, write: Write
) -> tuple[Outputs, tuple[bytes, int | None], AnyArray | dict[str, int] | None]:
    """What is added to the outputs, how they are written, and what was predicted: of many rows counted already."""
    outputs = running.loaded.answers.add(raw) if request.n_rows else raw
    predictions = predictions_of(outputs, request.n_rows)
    found = write(running, request, outputs)
    if predictions is None or request.n_rows <= _MANY_ROWS:
        return outputs, found, predictions
    return outputs, found, named(predictions)


def _same(request: InferRequest) -> Outputs:
    return request.inputs


def _reread(other: Running, asked: Asked) -> Outputs:
    return asked.read(other, asked.headers, asked.body).inputs


def _told(running: Running, error: RunFault) -> Refused | BadRequest:
    """What the client hears: values that the runtime refuses are its own to mend, anything else is our fault."""
    if error.by_values:
        return BadRequest(f"the model can't predict these values: {error.message}")
    return Refused(500, f"the model failed: {error.message}")


def _empty(running: Running, request: InferRequest) -> Outputs:
    """Answer to no rows; models that choke on none are not asked."""
    loaded = running.loaded
    try:
        return loaded.answers.add(loaded.session.run(request.inputs, 0))
    except (RunFault, FiatError, ValueError, IndexError):
        return {
            tensor.name: np.empty((0, *(max(size, 0) for size in tensor.shape[1:])), tensor.dtype)
            for tensor in loaded.info.answered
        }
