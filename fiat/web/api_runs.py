"""The API for reading: runs, steps, logs, events, changes, undelivered reports."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from fiat.run.view import Access, RunView
from fiat.web.access import BEARER, Here, Place, Reader, known_query
from fiat.web.answers import (
    ChangesAnswer,
    LettersAnswer,
    RunsAnswer,
    StepsAnswer,
    WholeChangeAnswer,
    WholeRunAnswer,
    change_answer,
    letter_answer,
    run_answer,
    step_answers,
    whole_change_answer,
    whole_run_answer,
)
from fiat.web.follower import CURSOR_LIMIT, Follower, read_cursor
from fiat.web.problems import Problem, documented
from fiat.web.requests import (
    CURSOR_PATTERN,
    ID_PATTERN,
    REPO_PATTERN,
    SPEC_PATTERN,
    STEP_PATTERN,
    LetterFilter,
    StateFilter,
)
from fiat.web.streams import EventStream

MOST_ITEMS = 200
MOST_LOG_BYTES = 1 << 20
LARGEST_OFFSET = 1 << 62

RunId = Annotated[str, Path(pattern=ID_PATTERN, description="Id of the run.")]
StepName = Annotated[str, Path(pattern=STEP_PATTERN, description="Name of the step.")]
RepoFilter = Annotated[str | None, Query(pattern=REPO_PATTERN, description="Only this repository.")]
SpecFilter = Annotated[str | None, Query(pattern=SPEC_PATTERN, description="Only specs of this name.")]
Before = Annotated[str, Query(pattern=CURSOR_PATTERN, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="Most items.")]
Offset = Annotated[
    int,
    Query(
        ge=-LARGEST_OFFSET, le=LARGEST_OFFSET, description="First byte; negative: that many before the end."
    ),
]
LogLimit = Annotated[int, Query(ge=1, le=MOST_LOG_BYTES, description="Most bytes.")]
_LOG: dict[str, Any] = {
    "description": "Bytes as they were printed, secrets masked.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
    "headers": {
        "Fiat-Offset": {"description": "Of the first byte.", "schema": {"type": "integer"}},
        "Fiat-Next-Offset": {"description": "Of the byte behind the last.", "schema": {"type": "integer"}},
        "Fiat-Ended": {"description": "Nothing will follow.", "schema": {"enum": ["true", "false"]}},
    },
}
_EVENTS: dict[str, Any] = {
    "description": "`log`, `state` and `end`; a comment as a heartbeat when there is nothing to tell.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}


def reading_routes(prefix: str) -> APIRouter:
    """Routes that need the scope `read`."""
    router = APIRouter(prefix=prefix, dependencies=[Depends(BEARER), Depends(known_query)], tags=["read"])
    for path, route, statuses in (
        ("/runs", list_runs, (404,)),
        ("/runs/{run_id}", show_run, (404,)),
        ("/runs/{run_id}/steps", list_steps, (404,)),
        ("/changes", list_changes, (404,)),
        ("/changes/{change_id}", show_change, (404,)),
        ("/letters", list_letters, (404,)),
    ):
        router.add_api_route(path, route, responses=documented(*statuses))
    router.add_api_route(
        "/runs/{run_id}/logs/{step}",
        read_log,
        response_class=Response,
        responses={200: _LOG, **documented(404)},
    )
    router.add_api_route(
        "/runs/{run_id}/events",
        follow_run,
        response_class=Response,
        responses={200: _EVENTS, **documented(404)},
    )
    router.add_api_route(
        "/openapi.json", openapi, response_class=JSONResponse, responses=documented(), name="openapi"
    )
    return router


def list_runs(
    place: Here,
    access: Reader,
    repo: RepoFilter = None,
    spec: SpecFilter = None,
    state: Annotated[StateFilter, Query(description="Only runs in this state.")] = "",
    before: Before = "",
    limit: Limit = 50,
) -> RunsAnswer:
    """Runs, newest first."""
    page = place.door.runs(narrowed(place, access, repo), spec or "", state, before, limit)
    return RunsAnswer(items=[run_answer(run, place.settings.url) for run in page.items], next=page.next)


def show_run(place: Here, access: Reader, run_id: RunId) -> WholeRunAnswer:
    """One run."""
    return whole_run_answer(seen_run(place, access, run_id), place.settings.url)


def list_steps(place: Here, access: Reader, run_id: RunId) -> StepsAnswer:
    """Steps of a run."""
    view = seen_run(place, access, run_id)
    return StepsAnswer(items=step_answers(view.run.steps if view.run else ()))


def read_log(
    place: Here, access: Reader, run_id: RunId, step: StepName, offset: Offset = 0, limit: LogLimit = 65536
) -> Response:
    """A piece of what a step printed."""
    seen_run(place, access, run_id)
    chunk = place.door.log(run_id, step, offset, limit)
    if chunk is None:
        raise Problem(404, "the run has no such step")
    headers = {
        "Fiat-Offset": str(chunk.offset),
        "Fiat-Next-Offset": str(chunk.next_offset),
        "Fiat-Ended": str(chunk.ended).lower(),
    }
    return Response(chunk.data, headers=headers, media_type="text/plain")


def follow_run(
    request: Request,
    place: Here,
    access: Reader,
    run_id: RunId,
    step: Annotated[str | None, Query(pattern=STEP_PATTERN, description="Only the log of this step.")] = None,
    offset: Annotated[
        str,
        Query(
            max_length=CURSOR_LIMIT, description="Where to go on: an event's `id`; with `step` also a number."
        ),
    ] = "",
    tail: Annotated[
        int | None, Query(ge=1, le=MOST_LOG_BYTES, description="Most bytes told of what was printed before.")
    ] = None,
    last_event_id: Annotated[
        str, Header(description="`id` of the last event; counts more than `offset`.")
    ] = "",
) -> Response:
    """Follow a run as server-sent events, until it ends."""
    seen_run(place, access, run_id)
    text = last_event_id or offset
    is_number = bool(step) and text.isascii() and text.isdigit() and len(text) < 19
    places = {str(step): int(text)} if is_number else read_cursor(text)
    if places is None:
        raise Problem(422, "`offset` is no place in the events of a run", "take the `id` of an event")
    follower = Follower(place.glances, run_id, places, step or "", tail)
    return EventStream(follower, place.streams, access.name)


def list_changes(
    place: Here, access: Reader, repo: RepoFilter = None, before: Before = "", limit: Limit = 50
) -> ChangesAnswer:
    """Changes, newest first."""
    page = place.door.changes(narrowed(place, access, repo), before, limit)
    return ChangesAnswer(
        items=[change_answer(item, place.settings.url) for item in page.items], next=page.next
    )


def show_change(
    place: Here, access: Reader, change_id: Annotated[str, Path(pattern=ID_PATTERN)]
) -> WholeChangeAnswer:
    """One change with its runs."""
    view = place.door.change(change_id)
    if view is None or not access.sees(view.change.repo):
        raise Problem(404, "there is no such change")
    return whole_change_answer(view, place.settings.url)


def list_letters(
    place: Here,
    access: Reader,
    repo: RepoFilter = None,
    state: Annotated[LetterFilter, Query(description="`waiting`, or `dead`: given up.")] = "",
    limit: Limit = 50,
) -> LettersAnswer:
    """Reports that could not be delivered yet, or never."""
    letters = place.door.letters(narrowed(place, access, repo), state, limit)
    return LettersAnswer(items=[letter_answer(letter) for letter in letters])


async def openapi(request: Request, access: Reader) -> JSONResponse:
    """This description."""
    del access
    return JSONResponse(request.app.openapi())


def seen_run(place: Place, access: Access, run_id: str) -> RunView:
    """The run.

    Raises:
        Problem: there is none, or it is of a repository that must not be seen: the answers are the same.
    """
    view = place.door.run(run_id)
    if view is None or not access.sees(view.queued.repo):
        raise Problem(404, "there is no such run")
    return view


def narrowed(place: Place, access: Access, repo: str | None) -> Sequence[str]:
    """The repositories to look at, empty for all.

    Raises:
        Problem: the one that is asked for does not exist or must not be seen.
    """
    if not repo:
        return sorted(access.repos)
    if repo not in place.door.repositories or not access.sees(repo):
        raise Problem(404, "there is no such repository")
    return (repo,)
