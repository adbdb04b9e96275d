"""What a runner has to do: commits that want attention, and the runs that come of them. Frozen values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from fiat.run.model import Verdict

Purpose = Literal["push", "pull_request", "schedule", "data", "manual", "rollback"]
ChangeState = Literal["new", "split", "done"]
QueueState = Literal["held", "waiting", "running", "done"]
Phase = Literal["train", "deploy"]
CLOSED = "the pull request was closed"
"""Why what runs for a pull request ends with it; it runs again when that is opened again."""


@dataclass(frozen=True)
class Change:
    """A commit that wants attention for one purpose. Unique by (repo, commit, purpose, ref, pull, serial).

    Attributes:
        id: unique, sorts by time.
        repo: the repository's name in the runner's settings.
        commit: full hash.
        purpose: why.
        ref: full name of the branch or tag that it is the head of (`refs/heads/main`); for a pull request the
            branch that it wants to go to.
        pull: number of the pull request, 0 for none.
        fork: the head lies in another repository: strangers' code.
        head_repo_id: numeric id of that repository, empty when none.
        serial: 0, and one more for each time somebody asks to run it again.
        specs: names or paths of the specs that are asked for; empty for all that it touches.
        overrides: as typed on `fiat trigger`, for manual runs.
        cause: one sentence for people: who or what started it.
        state: `new`, `split` into runs, or `done`.
        verdict: of all its runs together once it is done.
        reason: one sentence.
        made_at: aware UTC.
    """

    id: str
    repo: str
    commit: str
    purpose: Purpose
    ref: str
    pull: int = 0
    fork: bool = False
    head_repo_id: str = ""
    serial: int = 0
    specs: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    cause: str = ""
    state: ChangeState = "new"
    verdict: Verdict | None = None
    reason: str = ""
    made_at: datetime | None = None


@dataclass(frozen=True)
class QueuedRun:
    """One spec at one commit, waiting, running or over. Its id is the id of the run that it becomes.

    Attributes:
        id: of the run.
        change: id of the change that it comes of.
        repo: as in Change; so are commit, purpose, ref, pull, fork, head_repo_id, overrides and cause.
        commit: full hash.
        purpose: why.
        ref: branch.
        pull: number, 0 for none.
        fork: strangers' code.
        head_repo_id: of the fork.
        spec: the spec's name.
        spec_path: its file, relative to the top of the repository.
        state: `held` (needs approval), `waiting`, `running`, `done`.
        phase: `deploy` once it has begun to change targets: from then on nothing supersedes it.
        group: runs of one group don't run side by side.
        supersede: a newer run of the group ends this one while it is in its `train` phase.
        priority: higher runs first, -1000 to 1000.
        overrides: Hydra overrides.
        cause: one sentence.
        attempt: claims without progress so far; a claim that commits a step starts again from 1.
        fence: grows with each claim; every write of a worker names the one that it was given.
        worker: who has it: `host:pid:start`, empty when nobody has.
        cancel: why it shall end; empty when nobody wants that.
        gpu_seconds: GPU time used so far.
        queued_at: aware UTC.
        started_at: first claim.
        ended_at: when it was done.
        verdict: once it is done.
        reason: one sentence.
    """

    id: str
    change: str
    repo: str
    commit: str
    purpose: Purpose
    ref: str
    spec: str
    spec_path: str
    pull: int = 0
    fork: bool = False
    head_repo_id: str = ""
    state: QueueState = "waiting"
    phase: Phase = "train"
    group: str = ""
    supersede: bool = True
    priority: int = 0
    overrides: tuple[str, ...] = ()
    cause: str = ""
    attempt: int = 0
    fence: int = 0
    worker: str = ""
    cancel: str = ""
    gpu_seconds: float = 0.0
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    verdict: Verdict | None = None
    reason: str = ""


def check_word(subject: Change | QueuedRun) -> str:
    """In which check of its commit something speaks: `push`, `pr`, `schedule`, `data`, or `manual`.

    A schedule and new data judge a commit anew, and a run with overrides judges something that the commit does not say:
    none of them may overwrite what is said of the commit itself.
    """
    if subject.overrides:
        return "manual"
    if subject.pull or subject.purpose == "pull_request":
        return "pr"
    return subject.purpose if subject.purpose in ("schedule", "data") else "push"


@dataclass(frozen=True)
class Lease:
    """What an observer sees of a running run, to tell by its own monotonic clock whether its worker still beats.

    Attributes:
        run: id.
        fence: of the claim.
        beat: grows while the worker lives.
        worker: `host:pid:start`.
    """

    run: str
    fence: int
    beat: int
    worker: str


@dataclass(frozen=True)
class Depth:
    """How much there is to do in one repository, for metrics and pages.

    Attributes:
        repo: name.
        counts: queue state to number of runs; `done` is left out.
    """

    repo: str
    counts: dict[str, int] = field(default_factory=dict)
