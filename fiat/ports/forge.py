"""Port `forge`: the API of the place that a repository lives in: `github`, `gitlab`, `gitea`, `forgejo`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from fiat.run.report import Report


@dataclass(frozen=True)
class Credential:
    """What we show to a forge.

    Attributes:
        token: personal, project or bot token; empty when there is none or an App is used.
        app_id: id of a GitHub App, empty for none.
        app_key: its private key (PEM).
    """

    token: str = field(default="", repr=False)
    app_id: str = ""
    app_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class ForgeRepo:
    """A repository on a forge, from the operator's settings.

    Attributes:
        name: `owner/name` (GitLab: the full path).
        id: numeric id as text; empty when the operator did not pin it.
        api: base URL of the API, such as `https://api.github.com` or `https://git.example/api/v1`.
        credential: what we show.
        allow_private_hosts: the operator says that the API may be at a private address.
        ca_file: PEM file of an own certificate authority; empty for the system's.
        proxies: as `HttpPolicy.proxies`.
        hook_url: where our own webhooks arrive, so that `check` can look for it; empty when that is not known.
    """

    name: str
    id: str
    api: str
    credential: Credential
    allow_private_hosts: bool = False
    ca_file: str = ""
    proxies: Mapping[str, str] = field(default_factory=dict)
    hook_url: str = ""


@dataclass(frozen=True)
class Pull:
    """An open pull request.

    Attributes:
        number: within the repository.
        commit: head, full hash.
        head_ref: branch of the head, display text.
        base_ref: full name of the branch that it wants to go to.
        fork: its head lies in another repository.
        head_repo_id: numeric id of that repository; empty when it is gone.
        author_id: numeric id.
    """

    number: int
    commit: str
    head_ref: str
    base_ref: str
    fork: bool
    head_repo_id: str
    author_id: str


@dataclass(frozen=True)
class Finding:
    """What `fiat doctor` is told of the link to a forge.

    Attributes:
        name: what was looked at, such as `token` or `webhook`.
        state: `good`, `note` or `bad`.
        found: one sentence.
        mend: the next step, empty for none.
    """

    name: str
    state: Literal["good", "note", "bad"]
    found: str
    mend: str = ""


class Forge(Protocol):
    """One repository on one forge; made with a ForgeRepo. All calls from one thread at a time.

    Attributes:
        name: the entry point's name, `forge:` in the runner's settings.
        remaining: requests that are left in the forge's window, as it said last; None while it has not said.
        limit: requests that a window has.
        git_token: what git may show as a password now; empty for none. Asking may raise as the methods do.
        repo_id: numeric id, as text, of the repository that has our repository's name now: one cheap request each time.
            Another one may have taken the name since the operator pinned it. Asking may raise as the methods do.

    Every method raises `Waiting` (rate limit, 5xx, timeout, lost reply, 404 on a fresh commit; with `retry_after_s` when
    the forge said so) or `Stalled` (credential refused, no permission, repository gone, the forge will never take it).
    """

    name: str

    @property
    def remaining(self) -> int | None:
        """Requests left."""
        ...

    @property
    def limit(self) -> int | None:
        """Requests of a window."""
        ...

    @property
    def git_token(self) -> str:
        """What git may show."""
        ...

    @property
    def repo_id(self) -> str:
        """Which repository has the name now."""
        ...

    def send(self, report: Report, memory: str) -> str:
        """Tell the forge; doing it twice is the same as once.

        Args:
            report: what to tell; its texts are cut to the forge's limits at a line.
            memory: what the last call of the same channel returned, empty at first.

        Returns:
            What to remember for the next call of this channel, such as a comment's id.
        """
        ...

    def pulls(self) -> tuple[Pull, ...]:
        """The open pull requests."""
        ...

    def may_write(self, person_id: str, person_name: str) -> bool:
        """Whether that person may write to the repository; the id must be the one the forge has for the name."""
        ...

    def check(self) -> tuple[Finding, ...]:
        """Look at token scopes, the repository's id, hooks and quota, for `fiat doctor`."""
        ...
