"""The API for reading where models stand."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from fiat.run.view import Access, PlaceView
from fiat.web.access import BEARER, Here, Place, Reader, known_query
from fiat.web.api_runs import Limit, RepoFilter, narrowed
from fiat.web.place_answers import PlacesAnswer, WholePlaceAnswer, place_answer, whole_place_answer
from fiat.web.problems import Problem, documented
from fiat.web.requests import REPO_PATTERN, TARGET_PATTERN

RepoOf = Annotated[str, Query(pattern=REPO_PATTERN, description="Repository whose place it is.")]
TargetName = Annotated[str, Path(pattern=TARGET_PATTERN, description="Name under `deploy:` in the spec.")]
ModelName = Annotated[str, Path(pattern=TARGET_PATTERN, description="Name of the model.")]


def place_routes(prefix: str) -> APIRouter:
    """Routes about places; they need the scope `read`."""
    router = APIRouter(prefix=prefix, dependencies=[Depends(BEARER), Depends(known_query)], tags=["read"])
    router.add_api_route("/places", list_places, responses=documented(404))
    router.add_api_route("/places/{target}/{model}", show_place, responses=documented(404))
    return router


def list_places(place: Here, access: Reader, repo: RepoFilter = None) -> PlacesAnswer:
    """Where models stand: a target of a repository each, with what is wanted there and what was seen last."""
    views = place.door.places(narrowed(place, access, repo))
    return PlacesAnswer(items=[place_answer(view, place.settings.url) for view in views])


def show_place(
    place: Here, access: Reader, target: TargetName, model: ModelName, repo: RepoOf, limit: Limit = 50
) -> WholePlaceAnswer:
    """One place, with what was put there, the newest first."""
    return whole_place_answer(seen_place(place, access, (repo, target, model), limit), place.settings.url)


def seen_place(place: Place, access: Access, name: tuple[str, str, str], limit: int) -> PlaceView:
    """The place of a repository, target and model.

    Raises:
        Problem: there is none, or it is of a repository that must not be seen: the answers are the same.
    """
    view = place.door.place(*name, limit) if access.sees(name[0]) else None
    if view is None:
        raise Problem(404, "there is no such place")
    return view
