"""The API for acting: start, cancel, approve, roll back. Bearer tokens only, each act with a scope of its own."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header

from fiat.run.queue import Change
from fiat.run.view import Access
from fiat.web.access import BEARER, Here, Place, known_query, worker
from fiat.web.answers import ApproveAnswer, CancelAnswer, ChangeAnswer, change_answer
from fiat.web.api_runs import RunId, seen_run
from fiat.web.problems import Problem, documented
from fiat.web.requests import KEY_PATTERN, ApproveRequest, RollbackRequest, TriggerRequest

Starter = Annotated[Access, Depends(worker("trigger"))]
Canceller = Annotated[Access, Depends(worker("cancel"))]
Approver = Annotated[Access, Depends(worker("approve"))]
Admin = Annotated[Access, Depends(worker("admin"))]


def working_routes(prefix: str) -> APIRouter:
    """Routes that change something."""
    router = APIRouter(prefix=prefix, dependencies=[Depends(BEARER), Depends(known_query)], tags=["act"])
    for path, route, status in (
        ("/runs/{run_id}/cancel", cancel_run, 200),
        ("/trigger", trigger_runs, 201),
        ("/approve", approve_commit, 200),
        ("/rollback", roll_back, 201),
    ):
        router.add_api_route(
            path,
            route,
            methods=["POST"],
            status_code=status,
            responses=documented(404, 408, 409, 413),
        )
    return router


def cancel_run(place: Here, access: Canceller, run_id: RunId) -> CancelAnswer:
    """End a run, scope `cancel`. `cancelling`: its worker is told, and ends it in a moment."""
    seen_run(place, access, run_id)
    state = place.door.cancel(run_id, access.name)
    if state == "over":
        raise Problem(409, "the run is over")
    return CancelAnswer(state=state)


def trigger_runs(
    place: Here,
    access: Starter,
    asked: TriggerRequest,
    idempotency_key: Annotated[
        str, Header(pattern=KEY_PATTERN, description="The same for each try of one wish: it is done once.")
    ] = "",
) -> ChangeAnswer:
    """Start runs of a branch, tag or commit, scope `trigger`."""
    check_repo(place, access, asked.repo)

    key = f"{idempotency_key} {asked.model_dump_json()}" if idempotency_key else ""

    def submit() -> Change:
        return place.door.submit(asked.repo, asked.ref, asked.specs, asked.overrides, access.name, key)

    change = place.wishes.once(access.name, key, submit)
    return change_answer(change, place.settings.url)


def approve_commit(place: Here, access: Approver, asked: ApproveRequest) -> ApproveAnswer:
    """Let the held runs of one commit of a fork's pull request go, scope `approve`.

    `released` is 0 when the commit has not become runs yet: then they will not be held.
    """
    check_repo(place, access, asked.repo)
    return ApproveAnswer(released=place.door.approve(asked.repo, asked.pull, asked.commit, access.name))


def roll_back(place: Here, access: Admin, asked: RollbackRequest) -> ChangeAnswer:
    """Bring back the model that was deployed before, at all targets of the spec, scope `admin`."""
    check_repo(place, access, asked.repo)
    change = place.door.rollback(asked.repo, asked.spec, access.name)
    return change_answer(change, place.settings.url)


def check_repo(place: Place, access: Access, repo: str) -> None:
    """Refuse repositories that don't exist or must not be seen, with the same words.

    Raises:
        Problem: it is one of them.
    """
    if repo not in place.door.repositories or not access.sees(repo):
        hint = "name it as the runner's settings do: `owner/name`; a token may be for some repositories only"
        raise Problem(404, "there is no such repository", hint)
