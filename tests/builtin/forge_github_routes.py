"""The pretended GitHub: its paths, its limits, and its words of refusal."""

import hashlib
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

import jwt
from forge_world import Answer, Asked, Seen, World

Route = Callable[[World, re.Match[str], Asked], Answer]
_APP = {"id": 77, "slug": "fiat-app", "name": "Fiat"}
_ASTRAL = re.compile(r"[\U00010000-\U0010ffff]")
_TOO_MANY = 1000


def answer(world: World, asked: Asked) -> Answer:
    """What GitHub says to a request."""
    found = _refuse(world, asked) or _route(world, asked)
    more = {}
    if asked.method == "GET" and found.status == 200:
        more["ETag"] = f'W/"{hashlib.sha256(json.dumps(found.body).encode()).hexdigest()[:16]}"'
        if asked.headers.get("if-none-match") == more["ETag"]:
            found = Answer(304, None, found.headers)
    # What did not change is free.
    world.remaining -= found.status != 304
    quota = {
        "X-RateLimit-Limit": str(world.limit),
        "X-RateLimit-Remaining": str(max(0, world.remaining)),
        "X-RateLimit-Reset": str(int(time.time()) + 1800),
    }
    if world.scopes is not None and not _is_app(world, asked):
        quota["X-OAuth-Scopes"] = world.scopes
    return Answer(found.status, found.body, {**quota, **more, **found.headers})


def _route(world: World, asked: Asked) -> Answer:
    repo = re.escape(f"/repos/{world.repo_name}")
    for method, pattern, route in _ROUTES:
        found = re.fullmatch(pattern.replace("{repo}", repo), asked.path)
        if found and method == asked.method:
            return route(world, found, asked)
    return Answer(404, {"message": "Not Found"})


def _bearer(asked: Asked) -> str:
    return asked.headers.get("authorization", "").partition(" ")[2]


def _is_app(world: World, asked: Asked) -> bool:
    return _bearer(asked) in world.installation_tokens


def _refuse(world: World, asked: Asked) -> Answer | None:
    shown = _bearer(asked)
    if shown == world.token or shown in world.installation_tokens or (world.app_key and _jwt(world, shown)):
        return None
    return Answer(401, {"message": "Bad credentials"})


def _jwt(world: World, shown: str) -> bool:
    try:
        claims = jwt.decode(
            shown, world.app_key, algorithms=["RS256"], options={"require": ["iat", "exp", "iss"]}
        )
    except jwt.PyJWTError:
        return False
    return claims["exp"] - claims["iat"] <= 660 and claims["iss"] == str(_APP["id"])


def _invalid(message: str) -> Answer:
    errors = [{"resource": "Status", "code": "custom", "message": message}]
    return Answer(422, {"message": "Validation Failed", "errors": errors})


def _paged(world: World, asked: Asked, items: list[Any], key: str = "") -> Answer:
    size = min(int(asked.query.get("per_page", "30")), world.page_size)
    page = int(asked.query.get("page", "1"))
    shown = items[(page - 1) * size : page * size]
    headers = {}
    if page * size < len(items):
        query = urlencode({**asked.query, "page": page + 1})
        following = world.next_page(f"{world.url}{asked.path}?{query}")
        headers["Link"] = f'<{following}>; rel="next", <{world.url}{asked.path}?page=9>; rel="last"'
    return Answer(200, {"total_count": len(items), key: shown} if key else shown, headers)


def _status(world: World, found: re.Match[str], asked: Asked) -> Answer:
    body = asked.body
    if not world.exists(found["sha"]):
        return Answer(422, {"message": f"No commit found for SHA: {found['sha']}"})
    if len(body.get("description") or "") > 140:
        return _invalid("description is too long (maximum is 140 characters)")
    if _ASTRAL.search(body.get("description") or ""):
        return _invalid("description doesn't accept 4-byte Unicode")
    if body["state"] not in ("error", "failure", "pending", "success"):
        return _invalid("state is not included in the list")
    context = body.get("context", "default")
    if len(world.states(found["sha"], context)) >= _TOO_MANY:
        return _invalid("This SHA and context has reached the maximum number of statuses.")
    world.seen.append(
        Seen(
            found["sha"], context, body["state"], body.get("description") or "", body.get("target_url") or ""
        )
    )
    return Answer(201, {"id": next(world.ids), "state": body["state"], "context": context})


def _output(world: World, run: dict[str, Any], body: dict[str, Any]) -> Answer | None:
    output = body.get("output") or {}
    if len(output.get("annotations", ())) > 50:
        return _invalid("No more than 50 annotations are allowed")
    if len(output.get("summary", "")) > 65535:
        return _invalid("Only 65535 characters are allowed")
    run["annotations"].extend(output.get("annotations", ()))
    run["output"] = {
        "title": output.get("title"),
        "summary": output.get("summary"),
        "annotations_count": len(run["annotations"]),
    }
    run |= {
        name: body[name] for name in ("status", "conclusion", "details_url", "external_id") if name in body
    }
    if "conclusion" in body:
        run["status"] = "completed"
    elif run["status"] != "completed":
        run["conclusion"] = None
    word = run["conclusion"] or run["status"]
    world.seen.append(
        Seen(run["head_sha"], run["name"], word, output.get("title") or "", run.get("details_url") or "")
    )
    return None


def _check_create(world: World, found: re.Match[str], asked: Asked) -> Answer:
    if not _is_app(world, asked):
        return Answer(403, {"message": "You must authenticate via a GitHub App."})
    if not world.exists(asked.body["head_sha"]):
        return Answer(422, {"message": f"No commit found for SHA: {asked.body['head_sha']}"})
    run: dict[str, Any] = {
        "id": next(world.ids),
        "name": asked.body["name"],
        "head_sha": asked.body["head_sha"],
        "annotations": [],
        "status": "queued",
        "conclusion": None,
        "app": _APP,
        "started_at": datetime.now(UTC).isoformat(),
    }
    refused = _output(world, run, asked.body)
    if refused:
        return refused
    world.check_runs[run["id"]] = run
    return Answer(201, _shown(run))


def _shown(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "annotations"}


def _check_update(world: World, found: re.Match[str], asked: Asked) -> Answer:
    run = world.check_runs.get(int(found["id"]))
    if run is None:
        return Answer(404, {"message": "Not Found"})
    return _output(world, run, asked.body) or Answer(200, _shown(run))


def _check_get(world: World, found: re.Match[str], asked: Asked) -> Answer:
    run = world.check_runs.get(int(found["id"]))
    return Answer(200, _shown(run)) if run else Answer(404, {"message": "Not Found"})


def _check_list(world: World, found: re.Match[str], asked: Asked) -> Answer:
    runs = [
        _shown(run)
        for run in reversed(world.check_runs.values())
        if run["head_sha"] == found["sha"] and run["name"] == asked.query.get("check_name", run["name"])
    ]
    return _paged(world, asked, runs, "check_runs")


def _comments(world: World, found: re.Match[str], asked: Asked) -> Answer:
    number = int(found["number"])
    if asked.method == "GET":
        return _paged(world, asked, world.comments.get(number, []))
    if len(asked.body["body"]) > 65536:
        return _invalid("body is too long (maximum is 65536 characters)")
    comment = world.add_comment(number, asked.body["body"])
    if _is_app(world, asked):
        comment |= {
            "performed_via_github_app": _APP,
            "user": {"id": 901, "login": "fiat-app[bot]", "type": "Bot"},
        }
    return Answer(201, comment)


def _comment_edit(world: World, found: re.Match[str], asked: Asked) -> Answer:
    comment = world.find_comment(int(found["id"]))
    if comment is None:
        return Answer(404, {"message": "Not Found"})
    comment["body"] = asked.body["body"]
    return Answer(200, comment)


def _deployments(world: World, found: re.Match[str], asked: Asked) -> Answer:
    if asked.method == "GET":
        wanted = {"sha": asked.query.get("sha"), "environment": asked.query.get("environment")}
        shown = [d for d in reversed(world.deployments) if all(v in (None, d[k]) for k, v in wanted.items())]
        return _paged(world, asked, [{k: v for k, v in d.items() if k != "statuses"} for d in shown])
    body = asked.body
    if body.get("auto_merge", True) or body.get("required_contexts") != []:
        return Answer(409, {"message": "Conflict merging main into the ref."})
    made = {"id": next(world.ids), "sha": body["ref"], **body, "statuses": []}
    world.deployments.append(made)
    return Answer(201, {"id": made["id"]})


def _deployed(world: World, found: re.Match[str], asked: Asked) -> Answer:
    for deployment in world.deployments:
        if deployment["id"] == int(found["id"]):
            if len(asked.body.get("description", "")) > 140:
                return _invalid("description is too long (maximum is 140 characters)")
            deployment["statuses"].append(asked.body)
            return Answer(201, {"id": next(world.ids), **asked.body})
    return Answer(404, {"message": "Not Found"})


def _pulls(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return _paged(world, asked, world.pulls)


def _permission(world: World, found: re.Match[str], asked: Asked) -> Answer:
    name = unquote(found["name"])
    if name not in world.people:
        return Answer(404, {"message": f"{name} is not a user"})
    person, permission = world.people[name]
    return Answer(
        200, {"permission": permission, "role_name": permission, "user": {"id": person, "login": name}}
    )


def _repo(world: World, found: re.Match[str], asked: Asked) -> Answer:
    rights = {"admin": False, "push": True, "pull": True}
    return Answer(200, {"id": world.repo_id, "full_name": world.repo_name, "permissions": rights})


def _user(world: World, found: re.Match[str], asked: Asked) -> Answer:
    if _bearer(asked) != world.token:
        return Answer(403, {"message": "Resource not accessible by integration"})
    return Answer(200, {"id": world.me[0], "login": world.me[1], "type": "User"})


def _hooks(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return _paged(world, asked, world.hooks)


def _app(world: World, found: re.Match[str], asked: Asked) -> Answer:
    return Answer(200, _APP)


def _installation(world: World, found: re.Match[str], asked: Asked) -> Answer:
    rights = {"checks": "write", "statuses": "write", "pull_requests": "write", "deployments": "write"}
    return Answer(200, {"id": 5, "app_id": _APP["id"], "permissions": {**rights, "contents": "read"}})


def _token(world: World, found: re.Match[str], asked: Asked) -> Answer:
    token = f"ghs_{next(world.ids)}"
    world.installation_tokens.add(token)
    ends = datetime.fromtimestamp(time.time() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Answer(201, {"token": token, "expires_at": ends})


_ROUTES: list[tuple[str, str, Route]] = [
    ("POST", "{repo}/statuses/(?P<sha>[^/]+)", _status),
    ("POST", "{repo}/check-runs", _check_create),
    ("PATCH", r"{repo}/check-runs/(?P<id>\d+)", _check_update),
    ("GET", r"{repo}/check-runs/(?P<id>\d+)", _check_get),
    ("GET", "{repo}/commits/(?P<sha>[^/]+)/check-runs", _check_list),
    ("GET", r"{repo}/issues/(?P<number>\d+)/comments", _comments),
    ("POST", r"{repo}/issues/(?P<number>\d+)/comments", _comments),
    ("PATCH", r"{repo}/issues/comments/(?P<id>\d+)", _comment_edit),
    ("GET", "{repo}/deployments", _deployments),
    ("POST", "{repo}/deployments", _deployments),
    ("POST", r"{repo}/deployments/(?P<id>\d+)/statuses", _deployed),
    ("GET", "{repo}/pulls", _pulls),
    ("GET", "{repo}/collaborators/(?P<name>[^/]+)/permission", _permission),
    ("GET", "{repo}", _repo),
    ("GET", "/user", _user),
    ("GET", "{repo}/hooks", _hooks),
    ("GET", "/app", _app),
    ("GET", "{repo}/installation", _installation),
    ("POST", "/app/installations/5/access_tokens", _token),
]
