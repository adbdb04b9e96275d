"""Everything that the runner answers over HTTP, put together. Start here."""

import time
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from fiat.errors import FiatError
from fiat.run.view import Health
from fiat.web.access import Place, caller_of, place_of
from fiat.web.api_places import place_routes
from fiat.web.api_runs import reading_routes
from fiat.web.api_work import working_routes
from fiat.web.body import BodyReader
from fiat.web.door import FrontDoor
from fiat.web.frame import Frame
from fiat.web.gate import Gate
from fiat.web.glances import Glances
from fiat.web.hooks import PATHS, Hooks
from fiat.web.login_pages import LoginPages
from fiat.web.meter import METRICS_TYPE, Meter, Stopwatch
from fiat.web.pages import Pages
from fiat.web.place_pages import PlacePages
from fiat.web.problems import Problem, ProblemDocument, problem_of
from fiat.web.session import Sessions
from fiat.web.settings import WebSettings, check_opening
from fiat.web.streams import Streams

API = "/api/v1"
_MOST_FAULTS = 20


class FiatApi(FastAPI):
    """FastAPI with the form of our errors in its description."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        document["components"]["schemas"].setdefault("ProblemDocument", ProblemDocument.model_json_schema())
        return document


def create_app(door: FrontDoor, settings: WebSettings, now: Callable[[], datetime]) -> FiatApi:
    """Make the ASGI app.

    Args:
        door: the engine; its methods are called in threads, several at a time.
        settings: addresses, limits and keys.
        now: clock, aware UTC.

    Raises:
        SpecError: a secret is too short, or unsigned webhooks are wanted beyond loopback.
    """
    check_opening(settings, (text for trigger in door.triggers for text in door.secrets_for(trigger.name)))
    meter = Meter()
    place = Place(
        door=door,
        settings=settings,
        sessions=Sessions(settings, now),
        meter=meter,
        streams=Streams(settings, meter),
        glances=Glances(door, settings.poll_s, time.monotonic),
        now=now,
    )
    app = FiatApi(
        title="Fiat runner",
        summary="Runs of specs, their logs, and what may be asked for.",
        version=version("fiat-ml"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.place = place
    hooks = Hooks(door, settings, meter)
    for path in PATHS:
        app.add_route(path, hooks.answer, methods=["POST"], include_in_schema=False)
    app.include_router(reading_routes(API))
    app.include_router(place_routes(API))
    app.include_router(working_routes(API))
    for path, route in (("/healthz", _healthz), ("/readyz", _readyz), ("/metrics", _metrics)):
        app.add_api_route(path, route, methods=["GET", "HEAD"], include_in_schema=False)
    frame = Frame(place.sessions)
    pages = Pages(place, frame)
    app.include_router(pages.routes())
    app.include_router(PlacePages(place, frame).routes())
    app.include_router(LoginPages(place, frame).routes())
    _answer_errors(app, pages)
    app.add_middleware(BodyReader, settings=settings)
    app.add_middleware(Gate, settings=settings)
    app.add_middleware(Stopwatch, meter=meter)
    return app


def _answer_errors(app: FastAPI, pages: Pages) -> None:
    def answer(request: Request, problem: Problem) -> Response:
        return pages.problem(request, problem) if pages.serves(request) else problem.response()

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - registered for this class
        return answer(request, error)

    async def on_fiat_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, FiatError)  # noqa: S101 - registered for this class
        return answer(request, problem_of(error))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
        words = "there is no such page" if error.status_code == 404 else str(error.detail)
        return answer(request, Problem(error.status_code, words, headers=error.headers or {}))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
        found = error.errors()
        if any(fault["type"] == "json_invalid" for fault in found):
            return answer(request, Problem(400, "the body is not JSON"))
        faults = tuple(
            f"{'.'.join(str(part)[:100] for part in fault['loc'])}: {fault['msg'][:200]}"
            for fault in found[:_MOST_FAULTS]
        )
        return answer(request, Problem(422, "the request has parts that can't be right", errors=faults))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(FiatError, on_fiat_error)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)


def _healthz(request: Request) -> Response:
    return _health(request, place_of(request).door.health())


def _readyz(request: Request) -> Response:
    return _health(request, place_of(request).door.ready())


def _health(request: Request, health: Health) -> Response:
    """How it is; what exactly is told to those who may read."""
    content: dict[str, object] = {"ok": health.ok}
    try:
        if caller_of(request).may("read"):
            content["parts"] = dict(health.parts)
    except Problem:
        pass
    return JSONResponse(content, 200 if health.ok else 503)


def _metrics(request: Request) -> Response:
    place = place_of(request)
    caller = caller_of(request)
    # Whoever reads pages without a token does not read the numbers of the whole runner.
    if not place.settings.metrics_open and not (caller.name and caller.may("read")):
        status = 403 if caller.name else 401
        raise Problem(
            status, "metrics need a token with the scope read", headers={"WWW-Authenticate": "Bearer"}
        )
    seen = [repo for repo in place.door.repositories if caller.access is None or caller.access.sees(repo)]
    page = place.meter.page(place.door.numbers(), seen)
    return Response(page, media_type=METRICS_TYPE)
