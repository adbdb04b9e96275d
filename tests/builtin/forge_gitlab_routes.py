"""The pretended GitLab: its paths, its state machine of statuses, and its words of refusal."""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlencode

from forge_world import Answer, Asked, Seen, World

Route = Callable[[World, re.Match[str], Asked], Answer]
_EVENTS = {"pending": "enqueue", "running": "run"}
_STATES = ("pending", "running", "success", "failed", "canceled", "skipped")


def answer(world: World, asked: Asked) -> Answer:
    """What GitLab says to a request."""
    world.remaining -= 1
    shown = asked.headers.get("private-token") or asked.headers.get("authorization", "").partition(" ")[2]
    found = _route(world, asked) if shown == world.token else Answer(401, {"message": "401 Unauthorized"})
    quota = {"RateLimit-Limit": str(world.limit), "RateLimit-Remaining": str(max(0, world.remaining))}
    quota["RateLimit-Reset"] = str(int(time.time()) + 60)
    return Answer(found.status, found.body, {**quota, **found.headers})


def _route(world: World, asked: Asked) -> Answer:
    own = f"(?P<project>{world.repo_id}|{re.escape(quote(world.repo_name, safe=''))}|{world.fork_id})"
    for method, pattern, route in _ROUTES:
        found = re.fullmatch(pattern.replace("{project}", f"/projects/{own}"), asked.path)
        if found and method == asked.method:
            return route(world, found, asked)
    missing = "404 Project Not Found" if asked.path.startswith("/projects/") else "404 Not Found"
    return Answer(404, {"message": missing})


def _paged(world: World, asked: Asked, items: list[Any]) -> Answer:
    size, page = (
        min(int(asked.query.get("per_page", "20")), world.page_size),
        int(asked.query.get("page", "1")),
    )
    headers = {}
    if page * size < len(items):
        query = urlencode({**asked.query, "page": page + 1})
        headers["Link"] = f'<{world.next_page(f"{world.url}{asked.path}?{query}")}>; rel="next"'
    return Answer(200, items[(page - 1) * size : page * size], headers)


def _status(world: World, found: re.Match[str], asked: Asked) -> Answer:
    body = asked.body
    if found["project"] == str(world.fork_id) and not world.fork_open:
        return Answer(403, {"message": "403 Forbidden"})
    if not world.exists(found["sha"]):
        return Answer(404, {"message": "404 Commit Not Found"})
    name = body.get("name") or body.get("context") or "default"
    for field in ("name", "target_url", "description"):
        if len(body.get(field) or "") > 255:
            return Answer(400, {"message": {field: ["is too long (maximum is 255 characters)"]}})
    if body["state"] not in _STATES:
        return Answer(400, {"error": "state does not have a valid value"})
    words = [seen.word for seen in world.seen if (seen.commit, seen.context) == (found["sha"], name)]
    last = words[-1] if words else ""
    if (body["state"], last) in (("pending", "pending"), ("pending", "running"), ("running", "running")):
        event = _EVENTS[body["state"]]
        reason = f'(Reason(s): Status cannot transition via "{event}")'
        return Answer(400, {"message": f"Cannot transition status via :{event} from :{last} {reason}"})
    seen = Seen(
        found["sha"], name, body["state"], body.get("description") or "", body.get("target_url") or ""
    )
    world.seen.append(seen)
    return Answer(201, {"id": next(world.ids), "status": body["state"], "name": name})


def _statuses(world: World, found: re.Match[str], asked: Asked) -> Answer:
    latest = {seen.context: seen for seen in world.seen if seen.commit == found["sha"]}
    shown = [
        {"name": name, "status": seen.word, "description": seen.description}
        for name, seen in latest.items()
        if name == asked.query.get("name", name)
    ]
    return _paged(world, asked, shown)


def _notes(world: World, found: re.Match[str], asked: Asked) -> Answer:
    number = int(found["number"])
    if asked.method == "GET":
        return _paged(world, asked, [_as_note(comment) for comment in world.comments.get(number, [])])
    if len(asked.body["body"]) > 1_000_000:
        return Answer(400, {"message": {"note": ["is too long (maximum is 1000000 characters)"]}})
    return Answer(201, _as_note(world.add_comment(number, asked.body["body"])))


def _as_note(comment: dict[str, Any]) -> dict[str, Any]:
    person = comment["user"]
    author = {"id": person["id"], "username": person["login"]}
    return {"id": comment["id"], "body": comment["body"], "author": author, "system": False}


def _note_edit(world: World, found: re.Match[str], asked: Asked) -> Answer:
    comment = world.find_comment(int(found["id"]))
    if comment is None:
        return Answer(404, {"message": "404 Not found"})
    comment["body"] = asked.body["body"]
    return Answer(200, _as_note(comment))


def _merge_requests(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return _paged(world, asked, world.pulls)


def _member(world: World, found: re.Match[str], asked: Asked) -> Answer:
    for name, (person, level) in world.people.items():
        if str(person) == unquote(found["id"]):
            return Answer(200, {"id": person, "username": name, "state": "active", "access_level": level})
    return Answer(404, {"message": "404 Not found"})


def _project(world: World, found: re.Match[str], asked: Asked) -> Answer:
    rights = {"project_access": {"access_level": 40}, "group_access": None}
    return Answer(200, {"id": world.repo_id, "path_with_namespace": world.repo_name, "permissions": rights})


def _user(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return Answer(200, {"id": world.me[0], "username": world.me[1]})


def _scopes(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return Answer(200, {"id": 1, "active": True, "scopes": (world.scopes or "").split()})


def _hooks(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return _paged(world, asked, world.hooks)


_ROUTES: list[tuple[str, str, Route]] = [
    ("POST", "{project}/statuses/(?P<sha>[^/]+)", _status),
    ("GET", "{project}/repository/commits/(?P<sha>[^/]+)/statuses", _statuses),
    ("GET", r"{project}/merge_requests/(?P<number>\d+)/notes", _notes),
    ("POST", r"{project}/merge_requests/(?P<number>\d+)/notes", _notes),
    ("PUT", r"{project}/merge_requests/(?P<number>\d+)/notes/(?P<id>\d+)", _note_edit),
    ("GET", "{project}/merge_requests", _merge_requests),
    ("GET", "{project}/members/all/(?P<id>[^/]+)", _member),
    ("GET", "{project}/hooks", _hooks),
    ("GET", "{project}", _project),
    ("GET", "/user", _user),
    ("GET", "/personal_access_tokens/self", _scopes),
]
