"""Forge `github`: statuses or check runs, one comment a pull request and spec, deployments."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from fiat.builtin.forge_comment import CommentDesk, keep_comment
from fiat.builtin.forge_github_check import send_check
from fiat.builtin.forge_github_deploy import send_deployed
from fiat.builtin.forge_github_http import GithubHttp
from fiat.builtin.forge_github_look import look
from fiat.builtin.forge_http import MakeClient
from fiat.builtin.forge_pull import id_of, read_pull
from fiat.builtin.forge_refusal import Refused, field_of, in_words
from fiat.builtin.forge_text import one_line, url_path, without_astral
from fiat.builtin.http_client import HttpClient
from fiat.ports.forge import Finding, ForgeRepo, Pull
from fiat.run.report import Check, Deployed, PullComment, Report

DESCRIPTION_LIMIT = 140
COMMENT_LIMIT = 65_536
_WRITERS = ("admin", "write")


class GithubForge:
    """`github`: github.com and GitHub Enterprise.

    A commit gets check runs when the credential is an App, else commit statuses.

    Args:
        repo: the repository.
        make_client: gives the HTTP client for a policy.
        clock: seconds since 1970.
    """

    name = "github"

    def __init__(
        self,
        repo: ForgeRepo,
        *,
        make_client: MakeClient = HttpClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repo, self._clock = repo, clock
        self._http = GithubHttp(repo, make_client, clock)
        self._me: tuple[object, object] | None = None

    @property
    def remaining(self) -> int | None:
        """Requests left in this hour."""
        return self._http.remaining

    @property
    def git_token(self) -> str:
        """The personal token, or the App's for this hour; see the port."""
        with in_words("GitHub"):
            return self._http.git_token()

    @property
    def repo_id(self) -> str:
        """The id of the repository of that name; see the port."""
        with in_words("GitHub"):
            return id_of(self._http.call("GET", self._http.root).data, "id")

    @property
    def limit(self) -> int | None:
        """Requests an hour."""
        return self._http.limit

    def send(self, report: Report, memory: str) -> str:
        """Tell GitHub; see the port."""
        with in_words("GitHub"):
            if isinstance(report, PullComment):
                return keep_comment(self._http, self._desk(report.pull), report, memory)
            if isinstance(report, Deployed):
                return send_deployed(self._http, report, memory)
            if self._http.app_id:
                return send_check(self._http, report, memory, self._clock())
            return self._send_status(report, memory)

    def _send_status(self, check: Check, memory: str) -> str:
        # Source: https://docs.github.com/en/rest/commits/statuses; the description takes no 4-byte characters.
        path = url_path("/statuses/{sha}", {"sha": check.commit})
        fields = {
            "state": check.state,
            "context": check.context,
            "description": one_line(without_astral(check.description), DESCRIPTION_LIMIT),
        }
        self._http.call(
            "POST", self._http.root + path, fields | ({"target_url": check.url} if check.url else {})
        )
        return memory

    def pulls(self) -> tuple[Pull, ...]:
        """The open pull requests; see the port."""
        with in_words("GitHub"):
            path = f"{self._http.root}/pulls?state=open&per_page=100"
            pages = list(self._http.pages(path, remember=True))
        return tuple(pull for page in pages for item in page if (pull := read_pull(item)))

    def may_write(self, person_id: str, person_name: str) -> bool:
        """Whether GitHub says so of that name, and the name's id is that one; see the port.

        Source: https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user
        """
        try:
            path = url_path("/collaborators/{name}/permission", {"name": person_name})
        except ValueError:
            return False
        with in_words("GitHub"):
            try:
                said = self._http.call("GET", self._http.root + path).data
            except Refused as refusal:
                if refusal.status != 404:
                    raise
                return False
        same = person_id != "" and id_of(said, "user.id") == person_id
        return same and field_of(said, "permission") in _WRITERS

    def check(self) -> tuple[Finding, ...]:
        """Look at credential, repository, hooks, quota and clock; see the port."""
        return look(self._http, self._repo, self._clock)

    def _desk(self, pull: int) -> CommentDesk:
        return CommentDesk(
            listed=f"{self._http.root}/issues/{pull}/comments?per_page=100",
            one=self._http.root + "/issues/comments/{id}",
            edit="PATCH",
            limit=COMMENT_LIMIT,
            ours=self._is_ours,
        )

    def _is_ours(self, comment: Mapping[str, Any]) -> bool:
        if self._http.app_id:
            return self._http.is_us(comment.get("performed_via_github_app"))
        kind, who = self._me = self._me or self._ask_who_we_are()
        return who is not None and field_of(comment, f"user.{kind}") == who

    def _ask_who_we_are(self) -> tuple[object, object]:
        try:
            return "id", field_of(self._http.call("GET", "/user").data, "id")
        except Refused as refusal:
            if refusal.status != 403:
                raise
            # The token of a workflow may not ask; its name is known.
            return "login", "github-actions[bot]"
