"""What a pretended forge remembers of one repository, and what tests ask of it."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TOKEN = "token-of-the-runner-0123456789"
FINAL = ("success", "failure", "error")
_PLAIN = {
    "running": "pending",
    "failed": "failure",
    "canceled": "error",
    "queued": "pending",
    "in_progress": "pending",
    "cancelled": "error",
}


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        method: `GET` and so on.
        path: below the API's base, still percent-encoded.
        query: by name.
        headers: by lower-case name.
        body: parsed JSON, None for none.
        at_s: monotonic seconds at its arrival.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    at_s: float


@dataclass(frozen=True)
class Answer:
    """What the forge says.

    Attributes:
        status: HTTP status.
        body: to be sent as JSON; None for no body.
        headers: beside the usual ones.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A state that a commit was given.

    Attributes:
        commit: full hash.
        context: name of the check.
        word: the forge's own word for the state.
        description: its text (a check run's title).
        url: what it points to.
    """

    commit: str
    context: str
    word: str
    description: str
    url: str

    @property
    def state(self) -> str:
        """`pending`, `success`, `failure` or `error`."""
        return _PLAIN.get(self.word, self.word)


@dataclass
class World:
    """One repository on one forge; change its attributes to set the scene.

    Attributes:
        url: base of the API.
        repo_name: `owner/name`.
        repo_id: numeric id.
        token: what is taken as a personal token.
        me: whose token it is.
        scopes: value of `X-OAuth-Scopes`, None for a fine-grained token.
        commits: those that exist; None for every one.
        fork_id: repository that forks' commits live in (GitLab).
        fork_open: whether we may write statuses there.
        people: name to (id, permission word or level).
        pulls: as the forge tells them.
        hooks: as the forge tells them.
        seen: every state that a commit was given, in order.
        check_runs: by id.
        comments: by number of the pull request, in order.
        deployments: in order, each with its `statuses`.
        page_size: most items of a page whatever is asked for.
        next_page: changes the address of the next page.
        app_key: public key (PEM) of the App, empty when there is none.
        installation_tokens: that are valid now.
        limit: of requests an hour.
        remaining: of them.
    """

    url: str = ""
    repo_name: str = "acme/models"
    repo_id: int = 4711
    token: str = TOKEN
    me: tuple[int, str] = (900, "fiat-bot")
    scopes: str | None = "repo"
    commits: set[str] | None = None
    fork_id: int = 4712
    fork_open: bool = True
    people: dict[str, tuple[int, Any]] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    check_runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    page_size: int = 100
    next_page: Callable[[str], str] = lambda url: url
    app_key: str = ""
    installation_tokens: set[str] = field(default_factory=set)
    limit: int = 5000
    remaining: int = 5000
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    def states(self, commit: str, context: str) -> list[str]:
        """Every state of a commit in a context, oldest first."""
        return [seen.state for seen in self.seen if (seen.commit, seen.context) == (commit, context)]

    def last(self, commit: str, context: str) -> str:
        """The last of them, empty when there is none."""
        return (self.states(commit, context) or [""])[-1]

    def contexts(self, commit: str) -> dict[str, str]:
        """The last state of a commit by context."""
        return {seen.context: seen.state for seen in self.seen if seen.commit == commit}

    def unfinished(self) -> list[tuple[str, str]]:
        """Each (commit, context) whose last state is not final."""
        last = {(seen.commit, seen.context): seen.state for seen in self.seen}
        return [key for key, state in last.items() if state not in FINAL]

    def taken_back(self) -> list[tuple[str, str]]:
        """Each (commit, context) that stood final once and pending later: an older report came after a newer one."""
        found, done = [], set()
        for seen in self.seen:
            key = (seen.commit, seen.context)
            if seen.state in FINAL:
                done.add(key)
            elif key in done:
                found.append(key)
        return found

    def texts(self, pull: int) -> list[str]:
        """Bodies of the comments of a pull request."""
        return [comment["body"] for comment in self.comments.get(pull, [])]

    def add_comment(self, pull: int, body: str, user: tuple[int, str] | None = None) -> dict[str, Any]:
        """Write a comment."""
        person = user or self.me
        comment = {"id": next(self.ids), "body": body, "user": {"id": person[0], "login": person[1]}}
        self.comments.setdefault(pull, []).append(comment)
        return comment

    def find_comment(self, comment_id: int) -> dict[str, Any] | None:
        """A comment by its id."""
        return next((c for found in self.comments.values() for c in found if c["id"] == comment_id), None)

    def delete_comments(self, pull: int) -> None:
        """Somebody deletes every comment of a pull request."""
        self.comments.pop(pull, None)

    def exists(self, commit: str) -> bool:
        """Whether the forge has the commit."""
        return self.commits is None or commit in self.commits
