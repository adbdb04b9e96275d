"""What `fiat monitor` shows of a service, gathered: for the terminal, the page, and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass

from fiat.monitor.model import ColumnDrift, Window


@dataclass(frozen=True)
class Traffic:
    """What the servers counted since they loaded a version.

    Attributes:
        version: its name.
        digest: of its package.
        state: `ready` or what else it is.
        requests: answered.
        failed: of them, by our fault.
        refused: that clients got wrong.
        rows: predicted.
        latency_ms: 50 %, 95 % and 99 % quantiles.
    """

    version: str
    digest: str
    state: str
    requests: int
    failed: int
    refused: int
    rows: int
    latency_ms: tuple[float, ...]


@dataclass(frozen=True)
class Told:
    """An action that an alarm set off, and what became of it.

    Attributes:
        at_s: seconds since 1970.
        kind: `webhook`, `status` or `retrain`.
        event: `alarm` or `cleared`.
        sentence: what it said.
        result: why it failed; empty when it went well or is not known.
    """

    at_s: float
    kind: str
    event: str
    sentence: str
    result: str = ""


@dataclass(frozen=True)
class WatchedService:
    """All of it.

    Attributes:
        title: how people call the service.
        traffic: each version that is loaded.
        n_dropped: predictions and labels that were not written down.
        logged_bytes: of the log.
        windows: that are remembered, in order; those that were passed over are in `n_skipped` of the next.
        alarms: sentences of alarms that hold.
        told: what was done about alarms, newest last.
        notes: what can't be watched.
        has_plan: something is to be watched.
    """

    title: str
    traffic: tuple[Traffic, ...] = ()
    n_dropped: int = 0
    logged_bytes: int = 0
    windows: tuple[Window, ...] = ()
    alarms: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()
    notes: tuple[str, ...] = ()
    has_plan: bool = True

    @property
    def drift(self) -> tuple[Window, ...]:
        """Windows of requests that were judged."""
        return tuple(item for item in self.windows if item.kind == "drift" and not item.n_skipped)

    @property
    def quality(self) -> tuple[Window, ...]:
        """Windows of labels."""
        return tuple(item for item in self.windows if item.kind == "quality")

    @property
    def n_skipped(self) -> int:
        """Requests that were passed over because there were too many."""
        return sum(item.n_skipped for item in self.windows)


@dataclass(frozen=True)
class Track:
    """One column of the windows of one version, over time.

    Attributes:
        name: of the column.
        version: name of the version.
        points: windows with what the column was in them, oldest first.
    """

    name: str
    version: str
    points: tuple[tuple[Window, ColumnDrift], ...]

    @property
    def last(self) -> ColumnDrift:
        """In the newest window."""
        return self.points[-1][1]

    @property
    def worst(self) -> float:
        """Largest effect over its limit, in any window."""
        return max(item.effect / item.limit if item.limit else item.effect for _, item in self.points)


def tracks(windows: Sequence[Window]) -> list[Track]:
    """Columns over time: of the version of the newest window first, alarming columns first, then the largest effects."""
    found: dict[tuple[str, str], list[tuple[Window, ColumnDrift]]] = {}
    for window in windows:
        for column in window.columns:
            found.setdefault((window.digest, column.name), []).append((window, column))
    newest = windows[-1].digest if windows else ""
    made = [Track(name, points[-1][0].version, tuple(points)) for (_, name), points in found.items()]
    made.sort(key=lambda item: (item.points[-1][0].digest != newest, not item.last.alarms, -item.worst))
    return made
