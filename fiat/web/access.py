"""Who asks, and whether they may: bearer tokens for programs, sessions for browsers, nobody else."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from fiat.run.view import Access, Scope
from fiat.web.door import FrontDoor
from fiat.web.glances import Glances
from fiat.web.meter import Meter
from fiat.web.problems import Problem
from fiat.web.session import Sessions
from fiat.web.settings import WebSettings
from fiat.web.streams import Streams
from fiat.web.wishes import Wishes

PUBLIC = Access("", frozenset({"read"}))
_BEARER = re.compile(r"bearer +([\x21-\x7e]{1,500})", re.IGNORECASE)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="fiat"'}
BEARER = HTTPBearer(auto_error=False, description="A token of the runner's settings.")


@dataclass(frozen=True)
class Place:
    """What routes work with; kept in the app's state.

    Attributes:
        door: the engine.
        settings: as given.
        sessions: cookies.
        meter: counts.
        streams: seats for event streams.
        glances: runs as followers see them.
        now: clock, aware UTC.
        wishes: what was asked for under which key.
    """

    door: FrontDoor
    settings: WebSettings
    sessions: Sessions
    meter: Meter
    streams: Streams
    glances: Glances
    now: Callable[[], datetime]
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        access: what they may do; None for nobody known.
        sealed: the session's cookie; empty for programs.
    """

    access: Access | None
    sealed: str = ""

    @property
    def name(self) -> str:
        """For records and pages; empty for the public."""
        return self.access.name if self.access else ""

    def may(self, scope: Scope) -> bool:
        """Whether they may do that."""
        return self.access is not None and self.access.may(scope)


def place_of(request: Request) -> Place:
    """What the app was made with."""
    place: Place = request.app.state.place
    return place


def caller_of(request: Request) -> Caller:
    """Who asks: the bearer token, else the session, else the public where reading is open.

    Raises:
        Problem: a bearer token is given, and nobody has it.
    """
    place = place_of(request)
    authorization = request.headers.get("authorization")
    if authorization is not None:
        match = _BEARER.fullmatch(authorization)
        access = place.door.token(match[1]) if match else None
        if access is None:
            raise Problem(401, "the token is not one of this runner's", headers=_CHALLENGE)
        return Caller(access)
    sealed = place.sessions.sealed(request.headers.get("cookie", ""))
    token = place.sessions.token(sealed) if sealed else ""
    access = place.door.token(token) if token else None
    if access is not None:
        return Caller(access, sealed)
    return Caller(PUBLIC if place.settings.public_read else None)


async def reader(request: Request) -> Access:
    """Whoever may read.

    Raises:
        Problem: 401 for nobody, 403 for a token without that scope.
    """
    return _with_scope(caller_of(request), "read")


def worker(scope: Scope) -> Callable[[Request], Awaitable[Access]]:
    """A dependency: a program whose token has that scope. Sessions don't count: pages have forms of their own."""

    async def check(request: Request) -> Access:
        caller = caller_of(request)
        if "authorization" not in request.headers:
            raise Problem(401, "this needs a bearer token", headers=_CHALLENGE)
        return _with_scope(caller, scope)

    return check


async def known_query(request: Request) -> None:
    """Refuse parameters that a route does not have: a filter with a misspelt name would show everything.

    Raises:
        Problem: there is one.
    """
    route = request.scope.get("route")
    if isinstance(route, APIRoute):
        known = {parameter.alias for parameter in route.dependant.query_params}
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            errors = tuple(f"query.{name[:100]}: there is no such parameter" for name in unknown[:20])
            raise Problem(422, "the request has parts that can't be right", errors=errors)


def _with_scope(caller: Caller, scope: Scope) -> Access:
    if caller.access is None:
        raise Problem(401, "this needs a token", headers=_CHALLENGE)
    if not caller.access.may(scope):
        raise Problem(403, f"the token lacks the scope {scope}", "give it in the runner's settings")
    return caller.access


async def _place(request: Request) -> Place:
    return place_of(request)


# Not blocking, so async: a plain function would cost a thread for nothing.
Here = Annotated[Place, Depends(_place)]
Reader = Annotated[Access, Depends(reader)]
