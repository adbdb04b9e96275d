"""Forges `gitea` and `forgejo`: commit statuses, one comment a pull request and spec.

They list no deployments: `send` of one does nothing.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from fiat.builtin.forge_comment import CommentDesk, keep_comment
from fiat.builtin.forge_http import ForgeHttp, MakeClient, items_of, repo_root
from fiat.builtin.forge_look import (
    HookWords,
    is_private_url,
    look_at_clock,
    look_at_hooks,
    look_at_repo,
    tried,
)
from fiat.builtin.forge_pull import id_of, read_pull
from fiat.builtin.forge_refusal import Refused, field_of, in_words
from fiat.builtin.forge_text import one_line, url_path
from fiat.builtin.http_client import HttpClient
from fiat.ports.forge import Finding, ForgeRepo, Pull
from fiat.run.report import Check, PullComment, Report

DESCRIPTION_LIMIT = 255
COMMENT_LIMIT = 65_536
_WRITERS = ("owner", "admin", "write")
_EVENTS = ("push", "pull_request")
_PAGE = 50
_MOST_PAGES = 200


class GiteaForge:
    """`gitea`.

    Args:
        repo: the repository.
        make_client: gives the HTTP client for a policy.
        clock: seconds since 1970.
    """

    name = "gitea"
    _title = "Gitea"

    def __init__(
        self,
        repo: ForgeRepo,
        *,
        make_client: MakeClient = HttpClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repo, self._clock = repo, clock
        shown = {"Authorization": f"token {repo.credential.token}"} if repo.credential.token else {}
        self._http = ForgeHttp(repo, self._title, make_client, clock, lambda: shown)
        self._root = repo_root(repo.name)
        self._me = ""

    @property
    def remaining(self) -> int | None:
        """Requests left, where the forge counts them."""
        return self._http.remaining

    @property
    def git_token(self) -> str:
        """The token itself; see the port."""
        return self._repo.credential.token

    @property
    def repo_id(self) -> str:
        """The id of the repository of that name; see the port."""
        with in_words(self._title):
            return id_of(self._http.call("GET", self._root).data, "id")

    @property
    def limit(self) -> int | None:
        """Requests of a window, where the forge counts them."""
        return self._http.limit

    def send(self, report: Report, memory: str) -> str:
        """Tell the forge; see the port."""
        with in_words(self._title):
            if isinstance(report, PullComment):
                return keep_comment(self._http, self._desk(report.pull), report, memory)
            if isinstance(report, Check):
                self._send_status(report)
            return memory

    def _send_status(self, check: Check) -> None:
        fields = {
            "state": check.state,
            "context": check.context,
            "description": one_line(check.description, DESCRIPTION_LIMIT),
            "target_url": check.url,
        }
        self._http.call("POST", self._root + url_path("/statuses/{sha}", {"sha": check.commit}), fields)

    def pulls(self) -> tuple[Pull, ...]:
        """The open pull requests; see the port."""
        found: list[Pull] = []
        with in_words(self._title):
            # Pages by number: its links lead to the address that its settings call its own, which need not be ours.
            for page in range(1, _MOST_PAGES + 1):
                path = f"{self._root}/pulls?state=open&limit={_PAGE}&page={page}"
                items = items_of(self._http.call("GET", path).data)
                found += [pull for item in items if (pull := read_pull(item))]
                if not items:
                    break
        return tuple(found)

    def may_write(self, person_id: str, person_name: str) -> bool:
        """Whether the forge says so of that name, and the name's id is that one; see the port."""
        try:
            path = url_path("/collaborators/{name}/permission", {"name": person_name})
        except ValueError:
            return False
        with in_words(self._title):
            try:
                said = self._http.call("GET", self._root + path).data
            except Refused as refusal:
                if refusal.status != 404:
                    raise
                return False
        same = person_id != "" and id_of(said, "user.id") == person_id
        return same and field_of(said, "permission") in _WRITERS

    def check(self) -> tuple[Finding, ...]:
        """Look at token, repository, hooks and clock; see the port."""
        found = tried("token", self._title, self._look_at_token)
        found += tried("repository", self._title, self._look_at_repo)
        path, words = f"{self._root}/hooks?limit={_PAGE}", HookWords(_EVENTS)
        found += tried("webhook", self._title, lambda: look_at_hooks(self._http, path, self._repo, words))
        if self._repo.hook_url and is_private_url(self._repo.hook_url):
            said = f"{self._title} sends no webhooks to private addresses such as {self._repo.hook_url} by itself"
            mend = "let its administrator add the host to ALLOWED_HOST_LIST in [webhook] of app.ini"
            found.append(Finding("webhook host", "note", said, mend))
        return (*found, *look_at_clock(self._http, self._clock()))

    def _look_at_token(self) -> Finding:
        who = one_line(str(field_of(self._http.call("GET", "/user").data, "login") or "somebody"), 100)
        return Finding("token", "good", f"the token is {who}'s")

    def _look_at_repo(self) -> list[Finding]:
        data = self._http.call("GET", self._root).data
        found = [look_at_repo(data, self._repo, self._title)]
        if field_of(data, "permissions.push") is False:
            said = f"the token may only read {self._repo.name}"
            found.append(Finding("permission", "bad", said, "checks need write access to the repository"))
        return found

    def _desk(self, pull: int) -> CommentDesk:
        return CommentDesk(
            listed=f"{self._root}/issues/{pull}/comments",
            one=self._root + "/issues/comments/{id}",
            edit="PATCH",
            limit=COMMENT_LIMIT,
            ours=self._is_ours,
        )

    def _is_ours(self, comment: Mapping[str, Any]) -> bool:
        self._me = self._me or id_of(self._http.call("GET", "/user").data, "id")
        return self._me != "" and id_of(comment, "user.id") == self._me


class ForgejoForge(GiteaForge):
    """`forgejo`: the same API."""

    name = "forgejo"
    _title = "Forgejo"
