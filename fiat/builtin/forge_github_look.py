"""What `fiat doctor` is told of the link to GitHub."""

from collections.abc import Callable, Iterator

from fiat.builtin.forge_github_http import GithubHttp
from fiat.builtin.forge_look import (
    HookWords,
    look_at_clock,
    look_at_hooks,
    look_at_quota,
    look_at_repo,
    tried,
)
from fiat.builtin.forge_refusal import field_of
from fiat.builtin.forge_text import one_line
from fiat.ports.forge import Finding, ForgeRepo

_APP_NEEDS = {"checks": "write", "pull_requests": "write", "contents": "read"}
_EVENTS = ("push", "pull_request", "issue_comment")


def look(http: GithubHttp, repo: ForgeRepo, clock: Callable[[], float]) -> tuple[Finding, ...]:
    """Look at credential, repository, hooks, quota and clock.

    Args:
        http: GitHub.
        repo: what the operator set.
        clock: seconds since 1970.
    """
    found = tried("token", "GitHub", (lambda: _app(http)) if http.app_id else (lambda: _token(http)))
    found += tried("repository", "GitHub", lambda: _repo(http, repo))
    if http.app_id:
        found.append(
            Finding("webhook", "note", "an App has one webhook for all its repositories, in its own settings")
        )
    else:
        words = HookWords(_EVENTS)
        found += tried(
            "webhook", "GitHub", lambda: look_at_hooks(http, f"{http.root}/hooks?per_page=100", repo, words)
        )
    return (*found, *look_at_quota(http), *look_at_clock(http, clock()))


def _token(http: GithubHttp) -> Finding:
    reply = http.call("GET", "/user")
    who = one_line(str(field_of(reply.data, "login") or "somebody"), 100)
    scopes = reply.headers.get("x-oauth-scopes")
    if scopes is None:
        # Fine-grained tokens don't list what they may.
        return Finding("token", "good", f"the token is {who}'s; what it may do shows when it is used")
    held = {scope.strip() for scope in scopes.split(",")}
    if held & {"repo", "public_repo"}:
        return Finding("token", "good", f"the token is {who}'s, with the scopes {one_line(scopes, 200)}")
    if "repo:status" in held:
        mend = "give it the scope `repo`"
        return Finding("token", "note", f"the token of {who} can set statuses, and write no comments", mend)
    found = f"the token of {who} has no scope `repo`, only {one_line(scopes, 200) or 'none'}"
    return Finding("token", "bad", found, "make a token with the scope `repo`, or a fine-grained one")


def _app(http: GithubHttp) -> Iterator[Finding]:
    app = http.call_as_app("GET", "/app").data
    name = one_line(str(field_of(app, "slug") or http.app_id), 100)
    held = field_of(http.call_as_app("GET", f"{http.root}/installation").data, "permissions")
    held = held if isinstance(held, dict) else {}
    missing = [
        f"{right}: {level}"
        for right, level in _APP_NEEDS.items()
        if held.get(right) not in ((level, "write") if level == "read" else (level,))
    ]
    if missing:
        yield Finding(
            "token", "bad", f"the App {name} lacks {', '.join(missing)}", "grant it in the App's settings"
        )
    else:
        yield Finding("token", "good", f"the App {name} is installed, with what it needs")


def _repo(http: GithubHttp, repo: ForgeRepo) -> Iterator[Finding]:
    data = http.call("GET", http.root).data
    yield look_at_repo(data, repo, "GitHub")
    if field_of(data, "permissions.push") is False and not http.app_id:
        yield Finding(
            "permission",
            "bad",
            f"the token may only read {repo.name}",
            "checks need write access to the repository",
        )
