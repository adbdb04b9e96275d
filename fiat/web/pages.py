"""The pages: the list of runs, one run, one change. They are what a status' link points to."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fiat.run.view import Access, RunView, Scope
from fiat.web.access import Caller, Place, caller_of
from fiat.web.api_runs import narrowed, seen_run
from fiat.web.forms import check_form, read_form
from fiat.web.frame import REPORT_POLICY, Frame
from fiat.web.page_rows import (
    change_standing,
    gate_row,
    metric_rows,
    run_facts,
    run_place,
    run_row,
    run_sentence,
    run_standing,
    shown_step,
    silence,
    step_row,
    when,
)
from fiat.web.problems import Problem
from fiat.web.requests import CURSOR_PATTERN, ID_PATTERN, SPEC_PATTERN
from fiat.web.words import log_text

ROWS = 50
TAIL_BYTES = 64 << 10
STATES = ("held", "waiting", "running", "done")
_MACHINE = ("/api/", "/webhook", "/metrics", "/healthz", "/readyz")


class Pages:
    """Routes of pages.

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
        for path, route in (
            ("/", self.start),
            ("/runs", self.runs),
            ("/runs/{run_id}", self.run),
            ("/runs/{run_id}/report", self.report),
            ("/changes/{change_id}", self.change),
            ("/assets/{name}", self.asset),
            ("/favicon.ico", self.no_icon),
        ):
            router.add_api_route(path, route, response_class=Response)
        router.add_api_route("/runs/{run_id}/{act}", self.act, methods=["POST"], response_class=Response)
        return router

    def serves(self, request: Request) -> bool:
        """Whether a person looks at what this request gives."""
        return not request.url.path.startswith(_MACHINE)

    def problem(self, request: Request, problem: Problem) -> Response:
        """An error as a page."""
        try:
            caller = caller_of(request)
        except Problem:
            caller = Caller(None)
        response = self._frame.page(caller, "problem.html", {"problem": problem}, problem.status)
        response.headers.update(problem.headers)
        return response

    def start(self) -> Response:
        """The list is the start."""
        return RedirectResponse("/runs", 307)

    def no_icon(self) -> Response:
        """Pages bring their icon along; browsers that show something else ask for one."""
        return Response(status_code=204, headers={"Cache-Control": "public, max-age=86400"})

    def asset(self, name: str) -> Response:
        """A style sheet or script."""
        found = self._frame.asset(name)
        if found is None:
            raise Problem(404, "there is no such file")
        return found

    def runs(self, request: Request) -> Response:
        """The list of runs."""
        caller = caller_of(request)
        access = reading_access(caller)
        if access is None:
            return self._frame.knock(request)
        asked = {name: request.query_params.get(name, "") for name in ("repo", "spec", "state", "before")}
        fits = (
            (not asked["spec"] or re.fullmatch(SPEC_PATTERN, asked["spec"]))
            and re.fullmatch(CURSOR_PATTERN, asked["before"])
            and asked["state"] in ("", *STATES)
        )
        if not fits:
            raise Problem(404, "there is no such list")
        place = self._place
        repos = narrowed(place, access, asked["repo"] or None)
        page = place.door.runs(repos, asked["spec"], asked["state"], asked["before"], ROWS)
        filters = {name: asked[name] for name in ("repo", "spec", "state") if asked[name]}
        values = {
            "rows": [run_row(run, place.now()) for run in page.items],
            "repositories": [name for name in place.door.repositories if access.sees(name)],
            "states": STATES,
            "asked": asked,
            "filtered": bool(filters),
            "first": _address("/runs", filters) if asked["before"] else "",
            "older": _address("/runs", {**filters, "before": page.next}) if page.next else "",
            "live": not asked["before"],
        }
        return self._frame.page(caller, "runs.html", values)

    def run(self, request: Request, run_id: str) -> Response:
        """One run."""
        caller = caller_of(request)
        access = reading_access(caller)
        if access is None:
            return self._frame.knock(request)
        view = self._seen(access, run_id)
        now = self._place.now()
        run = view.run
        asked = request.query_params.get("step", "")
        whole, sliced = metric_rows(run.metrics if run else ())
        values = {
            "view": view,
            "queued": view.queued,
            "standing": run_standing(view.queued, recorded=run is not None),
            "sentence": run_sentence(view.queued),
            "place": run_place(view.queued),
            "facts": run_facts(view, now),
            "gates": [gate_row(gate) for gate in (run.gates if run else ())],
            "metrics": whole,
            "slices": sliced,
            "steps": [step_row(step, now) for step in (run.steps if run else ())],
            "chosen": bool(asked),
            "acts": _acts(view, caller),
            **self._output(view, shown_step(view, asked)),
        }
        return self._frame.page(caller, "run.html", values)

    def change(self, request: Request, change_id: str) -> Response:
        """One change: the runs that came of a commit."""
        caller = caller_of(request)
        access = reading_access(caller)
        if access is None:
            return self._frame.knock(request)
        view = self._place.door.change(change_id) if re.fullmatch(ID_PATTERN, change_id) else None
        if view is None or not access.sees(view.change.repo):
            raise Problem(404, "there is no such change")
        now = self._place.now()
        values = {
            "change": view.change,
            "standing": change_standing(view.change, view.runs),
            "place": run_place(view.change),
            "made": when(view.change.made_at, now),
            "rows": [run_row(run, now) for run in view.runs],
        }
        return self._frame.page(caller, "change.html", values)

    def report(self, request: Request, run_id: str) -> Response:
        """The full report."""
        access = reading_access(caller_of(request))
        if access is None:
            return self._frame.knock(request)
        self._seen(access, run_id)
        text = self._place.door.report_html(run_id)
        if text is None:
            raise Problem(404, "the run has no report")
        return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_POLICY})

    async def act(self, request: Request, run_id: str, act: str) -> Response:
        """A button of a run's page."""
        fields = await read_form(request)
        return await anyio.to_thread.run_sync(self._act, request, fields, run_id, act)

    def _act(self, request: Request, fields: Mapping[str, str], run_id: str, act: str) -> Response:
        caller = caller_of(request)
        check_form(request, caller, fields)
        scope = _SCOPES.get(act)
        access = caller.access
        if scope is None or access is None or not caller.sealed:
            raise Problem(
                404 if scope is None else 401, "log in first" if scope else "there is no such button"
            )
        if not access.may(scope):
            raise Problem(403, f"your token lacks the scope {scope}", "give it in the runner's settings")
        queued = self._seen(access, run_id).queued
        door = self._place.door
        target = f"/runs/{run_id}"
        if act == "cancel":
            door.cancel(run_id, access.name)
        elif act == "approve":
            door.approve(queued.repo, queued.pull, queued.commit, access.name)
        else:
            change = door.submit(queued.repo, queued.commit, (queued.spec,), queued.overrides, access.name)
            target = f"/changes/{change.id}"
        return RedirectResponse(target, 303)

    def _seen(self, access: Access, run_id: str) -> RunView:
        if not re.fullmatch(ID_PATTERN, run_id):
            raise Problem(404, "there is no such run")
        return seen_run(self._place, access, run_id)

    def _output(self, view: RunView, step: str) -> dict[str, object]:
        """The end of a step's output, and where it goes on."""
        chunk = self._place.door.log(view.queued.id, step, -TAIL_BYTES, TAIL_BYTES) if step else None
        text = log_text(chunk.data.decode("utf-8", "replace")) if chunk else ""
        return {
            "step": step,
            "course": self._place.door.course(view.queued.id, step) if step else None,
            "output": text,
            "silent": "" if text else silence(view, step),
            "cut_kib": (chunk.offset + 1023) // 1024 if chunk else 0,
            "offset": max(0, chunk.next_offset) if chunk else 0,
        }


_SCOPES: Mapping[str, Scope] = {"cancel": "cancel", "approve": "approve", "again": "trigger"}


def _acts(view: RunView, caller: Caller) -> list[tuple[str, str]]:
    """The buttons that make sense now and are allowed: last part of the address, and words."""
    if not caller.sealed:
        return []
    queued = view.queued
    acts = []
    if queued.state == "held" and caller.may("approve"):
        acts.append(("approve", f"Approve {queued.commit[:8]}"))
    if queued.state == "done" and caller.may("trigger"):
        acts.append(("again", "Run again"))
    if queued.state != "done" and not queued.cancel and caller.may("cancel"):
        acts.append(("cancel", "Cancel"))
    return acts


def reading_access(caller: Caller) -> Access | None:
    """What somebody may do who may read; None for somebody who has to log in first.

    Raises:
        Problem: their token lacks that scope.
    """
    if caller.access is not None and not caller.access.may("read"):
        raise Problem(403, "your token lacks the scope read", "log out, and in with another one")
    return caller.access


def _address(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
