"""How a person gets in and out: a token becomes a session of their browser."""

import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fiat.web.access import Place, caller_of
from fiat.web.forms import check_form, read_form
from fiat.web.frame import Frame

_LOCAL = re.compile(r"/[A-Za-z0-9_.~?=&%-][A-Za-z0-9_./~?=&%-]*")


class LoginPages:
    """Routes of the login.

    Args:
        place: what they work with.
        frame: what stands around each page.
    """

    def __init__(self, place: Place, frame: Frame) -> None:
        self._place = place
        self._frame = frame

    def routes(self) -> APIRouter:
        """All of them."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/login", self.form, response_class=Response)
        router.add_api_route("/login", self.login, methods=["POST"], response_class=Response)
        router.add_api_route("/logout", self.logout, methods=["POST"], response_class=Response)
        return router

    def form(self, request: Request) -> Response:
        """The form that takes a token."""
        return self._page(request, request.query_params.get("next", ""))

    async def login(self, request: Request) -> Response:
        """Make a session of a token."""
        fields = await read_form(request)
        check_form(request, caller_of(request), fields)
        token, target = fields.get("token", "").strip(), fields.get("next", "")
        if not token or self._place.door.token(token) is None:
            return self._page(request, target, "This runner does not know that token.")
        return RedirectResponse(_local(target), 303, {"Set-Cookie": self._place.sessions.seal(token)})

    async def logout(self, request: Request) -> Response:
        """End the session of this browser."""
        check_form(request, caller_of(request), await read_form(request))
        return RedirectResponse("/login", 303, {"Set-Cookie": self._place.sessions.end()})

    def _page(self, request: Request, target: str, complaint: str = "") -> Response:
        values = {"complaint": complaint, "target": _local(target)}
        return self._frame.page(caller_of(request), "login.html", values, 401 if complaint else 200)


def _local(target: str) -> str:
    """An address of ours to go to after the login; anything else leads to the list."""
    return target if _LOCAL.fullmatch(target) else "/runs"
