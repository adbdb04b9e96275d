"""The pages of places: where models stand, and one place with what was put there."""

import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fiat.web.access import Place, caller_of
from fiat.web.api_places import seen_place
from fiat.web.api_runs import narrowed
from fiat.web.frame import Frame
from fiat.web.pages import reading_access
from fiat.web.place_rows import hold_row, place_facts, place_row, put_row
from fiat.web.problems import Problem
from fiat.web.requests import REPO_PATTERN, TARGET_PATTERN

ROWS = 100


class PlacePages:
    """Routes of these pages.

    Args:
        place: what they work with.
        frame: what stands around each of them.
    """

    def __init__(self, place: Place, frame: Frame) -> None:
        self._place = place
        self._frame = frame

    def routes(self) -> APIRouter:
        """All of them; none is part of the API's description."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/places", self.places, response_class=Response)
        router.add_api_route("/places/{target}/{model}", self.one, response_class=Response)
        return router

    def places(self, request: Request) -> Response:
        """Where models stand."""
        caller = caller_of(request)
        access = reading_access(caller)
        if access is None:
            return self._frame.knock(request)
        place, repo = self._place, request.query_params.get("repo", "")
        now = place.now()
        views = place.door.places(narrowed(place, access, repo or None))
        values = {
            "rows": [place_row(view, now) for view in views],
            "repositories": [name for name in place.door.repositories if access.sees(name)],
            "repo": repo,
        }
        return self._frame.page(caller, "places.html", values)

    def one(self, request: Request, target: str, model: str) -> Response:
        """One place."""
        caller = caller_of(request)
        access = reading_access(caller)
        if access is None:
            return self._frame.knock(request)
        repo = request.query_params.get("repo", "")
        fits = re.fullmatch(REPO_PATTERN, repo) and all(
            re.fullmatch(TARGET_PATTERN, name) for name in (target, model)
        )
        if not fits:
            raise Problem(404, "there is no such place")
        view = seen_place(self._place, access, (repo, target, model), ROWS)
        now = self._place.now()
        values = {
            "row": place_row(view, now),
            "facts": place_facts(view),
            "holds": [hold_row(hold, now) for hold in view.holds],
            "puts": [put_row(one, view.standing, now) for one in view.history],
            "more": len(view.history) == ROWS,
        }
        return self._frame.page(caller, "place.html", values)
