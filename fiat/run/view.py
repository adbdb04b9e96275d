"""What a runner shows of itself to the doors: pages of runs, logs, health, numbers, and who may see what. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from fiat.run.deployment import Deployment, Hold, Seen
from fiat.run.model import Run
from fiat.run.queue import Change, Depth, QueuedRun

Scope = Literal["read", "trigger", "approve", "cancel", "admin"]
TakenState = Literal["new", "again", "replay", "ignored"]
CancelState = Literal["cancelled", "cancelling", "over"]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some of a long list, newest first.

    Attributes:
        items: at most as many as were asked for.
        next: what to pass as `before` for those behind them; empty at the end of the list.
    """

    items: tuple[Item, ...]
    next: str = ""


@dataclass(frozen=True)
class RunView:
    """A run as the queue and the record know it.

    Attributes:
        queued: its row in the queue.
        run: what was recorded; None until a worker has begun.
        sandbox: what its steps run in, such as `bubblewrap` or `none`; empty until it is known.
        commit_url: where the forge shows the commit; empty when there is no such page.
        pull_url: where the forge shows the pull request.
        has_report: there is a full report page.
    """

    queued: QueuedRun
    run: Run | None = None
    sandbox: str = ""
    commit_url: str = ""
    pull_url: str = ""
    has_report: bool = False


@dataclass(frozen=True)
class ChangeView:
    """A change and the runs that it was split into, in the order of their specs' names."""

    change: Change
    runs: tuple[QueuedRun, ...] = ()


@dataclass(frozen=True)
class Placement:
    """A model that was put on a place.

    Attributes:
        deployment: the record of it.
        version: its number among the model's versions; 0 when it was never released.
        commit_url: where the forge shows the commit; empty when there is no such page.
    """

    deployment: Deployment
    version: int = 0
    commit_url: str = ""


@dataclass(frozen=True)
class PlaceView:
    """A place as the store knows it; nobody asks the target for this.

    Attributes:
        repo: repository whose specs put models there.
        target: name under `deploy:` in the spec.
        model: name of the model there.
        standing: what is wanted there; None when somebody ended that, or nothing ever got there.
        holds: what is kept away from it, the oldest first.
        seen: what was seen there last; None until somebody has looked.
        history: what was put there, the newest first; empty in a list of places.
    """

    repo: str
    target: str
    model: str
    standing: Placement | None
    holds: tuple[Hold, ...] = ()
    seen: Seen | None = None
    history: tuple[Placement, ...] = ()

    @property
    def now_seen(self) -> Seen | None:
        """What was seen of the very deployment that is wanted; None while nobody has looked at it yet."""
        wanted = self.standing.deployment.sequence if self.standing else 0
        return self.seen if self.seen is not None and self.seen.sequence == wanted else None


@dataclass(frozen=True)
class CourseLine:
    """A metric's newest value, and its course in one line of characters."""

    name: str
    value: str
    drawn: str


@dataclass(frozen=True)
class StepCourse:
    """How a step that trains or searches goes.

    Attributes:
        words: where it is, how fast, how far a search is; one short text each.
        resumed: from what it went on; empty when it began anew, or said so too long ago.
        lines: its metrics.
        is_whole: from its beginning; else it is the newest part.
    """

    words: tuple[str, ...]
    resumed: str
    lines: tuple[CourseLine, ...]
    is_whole: bool = True


@dataclass(frozen=True)
class LogChunk:
    """A piece of what a step printed.

    Attributes:
        data: bytes as printed (secrets masked); may end inside a line or a character.
        offset: of the first of them, from the start of the step's log.
        ended: nothing comes behind these bytes any more.
    """

    data: bytes
    offset: int
    ended: bool

    @property
    def next_offset(self) -> int:
        """Where the bytes behind these begin."""
        return self.offset + len(self.data)


@dataclass(frozen=True)
class Health:
    """How the runner is.

    Attributes:
        ok: whether it does its work.
        parts: part (`store`, `reconciler`, `sender`, `workers`, ...) to one sentence, `ok` when there is nothing to say.
    """

    ok: bool
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RateLimit:
    """What a forge's API still allows.

    Attributes:
        repo: repository whose credential it is.
        limit: calls a window.
        remaining: calls left in this window.
    """

    repo: str
    limit: int
    remaining: int


@dataclass(frozen=True)
class Numbers:
    """Gauges and counts for `/metrics`; every key is from a bounded set.

    Attributes:
        deliveries: (forge, event, state) to deliveries in the store.
        depths: what there is to do, a repository each.
        outbox: (repository, state) to reports that wait or are dead.
        verdicts: (repository, verdict) to runs that are done.
        leases: runs that a worker holds.
        workers: worker processes that live.
        rate_limits: a repository each, of those whose forge tells.
    """

    deliveries: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    depths: tuple[Depth, ...] = ()
    outbox: Mapping[tuple[str, str], int] = field(default_factory=dict)
    verdicts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    leases: int = 0
    workers: int = 0
    rate_limits: tuple[RateLimit, ...] = ()


@dataclass(frozen=True)
class Access:
    """What the holder of a token may do.

    Attributes:
        name: of the token, for records.
        scopes: what it may do; `admin` may do everything.
        repos: repositories that it may see; empty means all.
    """

    name: str
    scopes: frozenset[str]
    repos: frozenset[str] = frozenset()

    def may(self, scope: Scope) -> bool:
        """Whether it may do that at all."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, repo: str) -> bool:
        """Whether it may see that repository."""
        return not self.repos or repo in self.repos
