"""Forge `gitlab`: commit statuses, one note a merge request and spec.

GitLab lists no deployments of ours: its own need a branch and an environment of its pipelines. `send` of one does nothing.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from fiat.builtin.forge_comment import CommentDesk, keep_comment
from fiat.builtin.forge_gitlab_status import send_status
from fiat.builtin.forge_http import ForgeHttp, MakeClient
from fiat.builtin.forge_look import (
    HookWords,
    look_at_clock,
    look_at_hooks,
    look_at_quota,
    look_at_repo,
    tried,
)
from fiat.builtin.forge_pull import id_of, is_hash
from fiat.builtin.forge_refusal import Refused, field_of, in_words
from fiat.builtin.forge_text import one_line
from fiat.builtin.http_client import HttpClient
from fiat.ports.forge import Finding, ForgeRepo, Pull
from fiat.run.report import Check, PullComment, Report

COMMENT_LIMIT = 1_000_000
DEVELOPER = 30
_EVENTS = ("push_events", "merge_requests_events", "note_events")


class GitlabForge:
    """`gitlab`: gitlab.com and self-hosted.

    Args:
        repo: the project.
        make_client: gives the HTTP client for a policy.
        clock: seconds since 1970.
    """

    name = "gitlab"

    def __init__(
        self,
        repo: ForgeRepo,
        *,
        make_client: MakeClient = HttpClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repo, self._clock = repo, clock
        shown = {"PRIVATE-TOKEN": repo.credential.token} if repo.credential.token else {}
        self._http = ForgeHttp(repo, "GitLab", make_client, clock, lambda: shown)
        self._root = f"/projects/{quote(repo.id or repo.name, safe='')}"
        self._me = ""

    @property
    def remaining(self) -> int | None:
        """Requests left in this minute."""
        return self._http.remaining

    @property
    def git_token(self) -> str:
        """The token itself; see the port."""
        return self._repo.credential.token

    @property
    def repo_id(self) -> str:
        """The id of the project of that name; see the port."""
        # By its name, as git asks for it: an address with the id always leads to that id.
        with in_words("GitLab"):
            path = f"/projects/{quote(self._repo.name, safe='')}"
            return id_of(self._http.call("GET", path).data, "id")

    @property
    def limit(self) -> int | None:
        """Requests a minute."""
        return self._http.limit

    def send(self, report: Report, memory: str) -> str:
        """Tell GitLab; see the port."""
        with in_words("GitLab"):
            if isinstance(report, PullComment):
                return keep_comment(self._http, self._desk(report.pull), report, memory)
            if isinstance(report, Check):
                return send_status(self._http, self._root, report, memory, self._note)
            return memory

    def _note(self, check: Check, comment: PullComment, memory: str) -> str:
        """Say on the merge request what no project lets us set as a status; the last of the ways to tell of a fork."""
        for pull in self.pulls():
            if pull.commit == check.commit:
                return keep_comment(self._http, self._desk(pull.number), comment, memory)
        return memory  # the commit is no head any more: nobody waits for it

    def pulls(self) -> tuple[Pull, ...]:
        """The open merge requests; see the port."""
        with in_words("GitLab"):
            path = f"{self._root}/merge_requests?state=opened&per_page=100"
            pages = list(self._http.pages(path, remember=True))
        return tuple(pull for page in pages for item in page if (pull := _read_pull(item)))

    def may_write(self, person_id: str, person_name: str) -> bool:
        """Whether the person is a developer or more, by id; see the port.

        Source: https://docs.gitlab.com/api/members/ (members of groups above count).
        """
        if not person_id.isascii() or not person_id.isdigit():
            return False
        with in_words("GitLab"):
            try:
                said = self._http.call("GET", f"{self._root}/members/all/{person_id}").data
            except Refused as refusal:
                if refusal.status != 404:
                    raise
                return False
        level = field_of(said, "access_level")
        active = field_of(said, "state") in ("active", None)
        return id_of(said, "id") == person_id and active and isinstance(level, int) and level >= DEVELOPER

    def check(self) -> tuple[Finding, ...]:
        """Look at token, project, hooks, quota and clock; see the port."""
        found = tried("token", "GitLab", self._look_at_token)
        found += tried("repository", "GitLab", self._look_at_project)
        path, words = f"{self._root}/hooks?per_page=100", _Hooks(_EVENTS)
        found += tried("webhook", "GitLab", lambda: look_at_hooks(self._http, path, self._repo, words))
        return (*found, *look_at_quota(self._http), *look_at_clock(self._http, self._clock()))

    def _look_at_token(self) -> Finding:
        who = one_line(str(field_of(self._http.call("GET", "/user").data, "username") or "somebody"), 100)
        try:
            held = field_of(self._http.call("GET", "/personal_access_tokens/self").data, "scopes")
        except Refused:
            return Finding("token", "good", f"the token is {who}'s")
        if isinstance(held, list) and "api" not in held:
            found = f"the token of {who} has no scope `api`, only {one_line(', '.join(map(str, held)), 200)}"
            return Finding("token", "bad", found, "make a project access token with the scope `api`")
        return Finding("token", "good", f"the token is {who}'s, with the scope api")

    def _look_at_project(self) -> Finding:
        return look_at_repo(
            self._http.call("GET", self._root).data, self._repo, "GitLab", "path_with_namespace"
        )

    def _desk(self, pull: int) -> CommentDesk:
        notes = f"{self._root}/merge_requests/{pull}/notes"
        return CommentDesk(
            listed=f"{notes}?per_page=100&order_by=created_at&sort=asc",
            one=notes + "/{id}",
            edit="PUT",
            limit=COMMENT_LIMIT,
            ours=self._is_ours,
        )

    def _is_ours(self, note: Mapping[str, Any]) -> bool:
        self._me = self._me or id_of(self._http.call("GET", "/user").data, "id")
        return self._me != "" and id_of(note, "author.id") == self._me


class _Hooks(HookWords):
    """GitLab's way: a flag for each kind of event."""

    def url(self, hook: Mapping[str, Any]) -> str:
        return str(hook.get("url") or "")

    def problem(self, hook: Mapping[str, Any]) -> str:
        # Source: https://docs.gitlab.com/user/project/integrations/webhooks/#auto-disabled-webhooks
        status = hook.get("alert_status")
        if status in ("disabled", "temporarily_disabled"):
            return "was switched off by GitLab after failures (enable it again by a test request)"
        missing = [name.removesuffix("_events") for name in self._wanted if hook.get(name) is False]
        return f"does not tell of {', '.join(missing)}" if missing else ""


def _read_pull(data: Mapping[str, Any]) -> Pull | None:
    number, commit, base = data.get("iid"), data.get("sha"), data.get("target_branch")
    if not isinstance(number, int) or not isinstance(base, str) or not is_hash(commit):
        return None
    head_id = id_of(data, "source_project_id")
    fork = not head_id or head_id != id_of(data, "target_project_id")
    return Pull(
        number=number,
        commit=str(commit),
        head_ref=one_line(str(data.get("source_branch") or ""), 255),
        base_ref=f"refs/heads/{base}",
        fork=fork,
        head_repo_id=head_id if fork else "",
        author_id=id_of(data, "author.id"),
    )
