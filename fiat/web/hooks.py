"""Webhooks: the signature over the raw body, then what it says, then a durable record, then the answer."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fiat.errors import FiatError, SpecError
from fiat.run.delivery import Delivery
from fiat.run.view import TakenState
from fiat.web.door import HookDoor, HookReader
from fiat.web.github import GithubDispatch
from fiat.web.meter import OTHER, ROUTE_KEY, Meter
from fiat.web.problems import Problem, problem_of
from fiat.web.settings import WebSettings

PATHS = ("/webhook", "/webhook/{forge}")
THREADS = 64
_log = logging.getLogger("fiat.web")


@dataclass(frozen=True)
class _Call:
    """One webhook call as it came."""

    forge: str
    headers: Mapping[str, str]
    body: bytes


class Hooks:
    """Takes webhooks of every forge, at `/webhook` and `/webhook/{forge}`.

    Args:
        door: readers, secrets, and where deliveries go.
        settings: limits.
        meter: counts them.
    """

    def __init__(self, door: HookDoor, settings: WebSettings, meter: Meter) -> None:
        self._door = door
        self._settings = settings
        self._meter = meter
        self._github = GithubDispatch(self._take)
        # Threads of their own: slow pages must not keep a delivery waiting.
        self._limiter: CapacityLimiter | None = None

    async def answer(self, request: Request) -> Response:
        """Answer one call."""
        request.scope[ROUTE_KEY] = PATHS[-1]
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers.raw
        }
        call = _Call(request.path_params.get("forge", ""), headers, await request.body())
        if self._limiter is None:
            self._limiter = CapacityLimiter(THREADS)
        return await anyio.to_thread.run_sync(self._answer, call, limiter=self._limiter)

    def _answer(self, call: _Call) -> Response:
        try:
            reader = self._reader(call)
            self._verify(reader, call)
            delivery = self._read(reader, call)
            self._verify_owner(reader, call, delivery)
            state = self._hand_on(delivery)
        except Problem as problem:
            return problem.response()
        self._meter.hook(delivery.forge, delivery.event, state)
        return JSONResponse({"state": state, "event": delivery.event}, 202)

    def _reader(self, call: _Call) -> HookReader:
        for reader in self._door.triggers:
            if call.forge == reader.name or (not call.forge and reader.recognises(call.headers)):
                return reader
        if call.forge:
            raise Problem(404, "there is no such forge")
        # The same as for a wrong signature: nobody has signed this.
        raise self._unsigned(OTHER)

    def _verify(self, reader: HookReader, call: _Call) -> None:
        secrets = self._door.secrets_for(reader.name)
        if not secrets and self._settings.insecure:
            return
        if not reader.verify(call.headers, call.body, secrets):
            raise self._unsigned(reader.name)

    def _verify_owner(self, reader: HookReader, call: _Call, delivery: Delivery) -> None:
        """Whoever knows the secret of one repository must not speak for another."""
        secrets = self._door.secrets_of(delivery)
        if secrets is None or (not secrets and self._settings.insecure):
            return
        if not reader.verify(call.headers, call.body, secrets):
            raise self._unsigned(reader.name)

    def _unsigned(self, forge: str) -> Problem:
        self._meter.hook(forge, OTHER, "unsigned")
        hint = "the secret must be the same at the forge and in the runner's webhook_secrets"
        return Problem(401, "the signature is missing or wrong", hint)

    def _read(self, reader: HookReader, call: _Call) -> Delivery:
        try:
            return reader.read(call.headers, call.body)
        except SpecError as error:
            detail, hint = error.message, error.hint
        except Exception:
            # Whoever knows the secret has sent something that our reader stumbles over: no reason to be tried again.
            _log.exception("could not read a webhook of %s", reader.name)
            detail, hint = "the body can't be read", ""
        self._meter.hook(reader.name, OTHER, "unreadable")
        raise Problem(400, detail, hint)

    def _hand_on(self, delivery: Delivery) -> TakenState:
        try:
            if delivery.forge == "github":
                return self._github.dispatch(delivery)
            return self._take(delivery)
        except FiatError as error:
            _log.error("a webhook of %s was not taken: %s", delivery.forge, error)
            self._meter.hook(delivery.forge, delivery.event, "refused")
            problem = problem_of(error)
            # Whatever it is, the forge must see a failure, so that it shows in its list and can be sent again.
            raise Problem(
                503, "the delivery could not be stored", problem.hint, {"Retry-After": "30"}
            ) from error

    def _take(self, delivery: Delivery) -> TakenState:
        return self._door.take((delivery,))[0]
