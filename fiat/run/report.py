"""What is told to a forge about a commit or pull request. Frozen values; the outbox keeps them as JSON."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

CheckState = Literal["pending", "success", "failure", "error"]
DeployState = Literal["in_progress", "success", "failure", "error", "inactive"]


@dataclass(frozen=True)
class Annotation:
    """A remark at a line of a file.

    Attributes:
        path: relative to the top of the repository.
        line: 1 or more.
        level: how bad.
        message: one or more sentences, plain text.
        title: a few words.
    """

    path: str
    line: int
    level: Literal["notice", "warning", "failure"]
    message: str
    title: str = ""


@dataclass(frozen=True)
class Check:
    """How a commit stands in one context: a commit status, or a check run where the credential allows it.

    Attributes:
        commit: full hash.
        context: name such as `fiat/pr/fashion`, unique for its meaning.
        state: `pending`; final are `success`, `failure` (a gate refused) and `error` (nothing was judged).
        description: one line, plain text; the forge plugin cuts it to its limit.
        url: page of the run.
        ref: branch that the commit is on, without `refs/heads/` (GitLab wants it); may be empty.
        head_repo_id: numeric id of the repository that holds the commit when that is a fork, else empty.
        summary: Markdown for check runs; empty for none.
        annotations: for check runs.
        cancelled: an `error` that somebody or a newer commit asked for.
    """

    commit: str
    context: str
    state: CheckState
    description: str
    url: str = ""
    ref: str = ""
    head_repo_id: str = ""
    summary: str = ""
    annotations: tuple[Annotation, ...] = ()
    cancelled: bool = False


@dataclass(frozen=True)
class PullComment:
    """The one comment of a spec on a pull request, written again in place.

    Attributes:
        pull: number of the pull request.
        marker: an HTML comment that stands at the top of the body and finds it again.
        body: Markdown without the marker; the forge plugin cuts it at a line to its limit.
    """

    pull: int
    marker: str
    body: str


@dataclass(frozen=True)
class Deployed:
    """State of a deployment on a target, for forges that list deployments.

    Attributes:
        commit: full hash.
        environment: the target's name, with the spec's: `fashion/production`.
        state: where it stands.
        description: one line.
        url: page of the run.
        key: the same for all states of one deployment, such as the run's id and target.
    """

    commit: str
    environment: str
    state: DeployState
    description: str
    url: str
    key: str


Report = Check | PullComment | Deployed


@dataclass(frozen=True)
class OutboxItem:
    """A report on its way.

    Attributes:
        id: grows in the order of writing.
        repo: repository that it goes to, by its name in the runner's settings.
        channel: reports of one channel arrive in order and only the newest unsent is kept.
        report: what to send.
        attempt: tries that failed so far.
        memory: what the forge plugin asked to remember of this channel (a comment's id); empty at first.
    """

    id: int
    repo: str
    channel: str
    report: Report
    attempt: int
    memory: str


@dataclass(frozen=True)
class Letter:
    """A report that could not be delivered, or waits, for people to see.

    Attributes:
        id: of the outbox.
        repo: where it should go.
        channel: its channel.
        state: `waiting` or `dead`.
        attempt: tries so far.
        reason: what the forge said last.
        report: what it says.
    """

    id: int
    repo: str
    channel: str
    state: Literal["waiting", "dead"]
    attempt: int
    reason: str
    report: Report


class Addressed(NamedTuple):
    """A report with where it goes.

    Attributes:
        repo: repository, by its name in the runner's settings.
        channel: reports of one channel arrive in order and only the newest unsent is kept.
        report: what to tell.
    """

    repo: str
    channel: str
    report: Report


def addressed(repo: str, report: Report) -> Addressed:
    """The report on its channel: a context of a commit, a comment, or a deployment."""
    if isinstance(report, Check):
        return Addressed(repo, f"check {report.commit} {report.context}", report)
    if isinstance(report, PullComment):
        return Addressed(repo, f"comment {report.pull} {report.marker}", report)
    return Addressed(repo, f"deployment {report.key}", report)
