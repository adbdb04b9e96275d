"""The pretended Gitea (and Forgejo): GitHub's shapes with their own words, and pages by number."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from forge_world import Answer, Asked, Seen, World

Route = Callable[[World, re.Match[str], Asked], Answer]


def answer(world: World, asked: Asked) -> Answer:
    """What Gitea says to a request."""
    kind, _, shown = asked.headers.get("authorization", "").partition(" ")
    if (kind, shown) != ("token", world.token):
        return Answer(401, {"message": "user does not exist"})
    repo = re.escape(f"/repos/{world.repo_name}")
    for method, pattern, route in _ROUTES:
        found = re.fullmatch(pattern.replace("{repo}", repo), asked.path)
        if found and method == asked.method:
            return route(world, found, asked)
    return Answer(404, {"message": "The target couldn't be found."})


def _paged(world: World, asked: Asked, items: list[Any]) -> Answer:
    size, page = (
        min(int(asked.query.get("limit", "30")), world.page_size, 50),
        int(asked.query.get("page", "1")),
    )
    # The links lead to the address that the server was told is its own.
    link = (
        {"Link": '<http://git.internal.example/api/v1/x?page=2>; rel="next"'}
        if page * size < len(items)
        else {}
    )
    return Answer(200, items[(page - 1) * size : page * size], {"X-Total-Count": str(len(items)), **link})


def _status(world: World, found: re.Match[str], asked: Asked) -> Answer:
    body = asked.body
    if not world.exists(found["sha"]):
        return Answer(404, {"message": "The target couldn't be found."})
    if body["state"] not in ("pending", "success", "error", "failure", "warning", "skipped"):
        return Answer(422, {"message": "unknown state"})
    world.seen.append(
        Seen(found["sha"], body["context"], body["state"], body["description"], body.get("target_url") or "")
    )
    return Answer(201, {"id": next(world.ids), "status": body["state"], "context": body["context"]})


def _comments(world: World, found: re.Match[str], asked: Asked) -> Answer:
    number = int(found["number"])
    if asked.method == "GET":
        return Answer(200, world.comments.get(number, []))
    return Answer(201, world.add_comment(number, asked.body["body"]))


def _comment_edit(world: World, found: re.Match[str], asked: Asked) -> Answer:
    comment = world.find_comment(int(found["id"]))
    if comment is None:
        return Answer(404, {"message": "The target couldn't be found."})
    comment["body"] = asked.body["body"]
    return Answer(200, comment)


def _pulls(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return _paged(world, asked, world.pulls)


def _permission(world: World, found: re.Match[str], asked: Asked) -> Answer:
    name = unquote(found["name"])
    if name not in world.people:
        return Answer(404, {"message": "user does not exist"})
    person, permission = world.people[name]
    return Answer(200, {"permission": permission, "user": {"id": person, "login": name}})


def _repo(world: World, found: re.Match[str], asked: Asked) -> Answer:
    rights = {"admin": True, "push": True, "pull": True}
    return Answer(200, {"id": world.repo_id, "full_name": world.repo_name, "permissions": rights})


def _user(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return Answer(200, {"id": world.me[0], "login": world.me[1]})


def _hooks(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return _paged(world, asked, world.hooks)


_ROUTES: list[tuple[str, str, Route]] = [
    ("POST", "{repo}/statuses/(?P<sha>[^/]+)", _status),
    ("GET", r"{repo}/issues/(?P<number>\d+)/comments", _comments),
    ("POST", r"{repo}/issues/(?P<number>\d+)/comments", _comments),
    ("PATCH", r"{repo}/issues/comments/(?P<id>\d+)", _comment_edit),
    ("GET", "{repo}/pulls", _pulls),
    ("GET", "{repo}/collaborators/(?P<name>[^/]+)/permission", _permission),
    ("GET", "{repo}", _repo),
    ("GET", "/user", _user),
    ("GET", "{repo}/hooks", _hooks),
]
