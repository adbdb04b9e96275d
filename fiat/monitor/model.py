"""What watching finds: windows of requests, how far their columns moved, how good the model was. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Metric = Literal["js", "linf", "psi"]
QualityMetric = Literal["accuracy", "mae", "rmse"]


@dataclass(frozen=True)
class DriftPlan:
    """How far live inputs and predictions may move.

    Attributes:
        metric: distance between distributions.
        max: largest distance of any column.
        columns: largest distance of single columns.
        window: requests in a window.
        false_alarms: share (0..1) of windows without drift that may alarm, all columns together.
    """

    max: float
    metric: Metric = "js"
    columns: Mapping[str, float] = field(default_factory=dict)
    window: int = 1000
    false_alarms: float = 0.01


@dataclass(frozen=True)
class QualityPlan:
    """How good the model must be once labels arrive.

    Attributes:
        metric: what is measured.
        min: smallest value, None for any.
        max: largest value, None for any.
        min_labels: fewest labels to judge by.
        false_alarms: share (0..1) of judgements of a model that is just at its limit that may alarm.
    """

    metric: QualityMetric
    min: float | None = None
    max: float | None = None
    min_labels: int = 100
    false_alarms: float = 0.01


@dataclass(frozen=True)
class Moved:
    """A value or an interval, and its shares (0..1) in the reference and in the window."""

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column of a window is from the reference.

    Attributes:
        name: of the column; `prediction` and `score` are the model's answers.
        value: the distance.
        bias: what the distance of a window without drift is on average.
        noise: what it stays below by chance, at the level that is corrected over the columns.
        p_value: how often chance alone makes such a difference, not corrected.
        limit: largest distance allowed.
        alarms: the distance less its bias is above the limit, and the difference is beyond chance.
        moved: what moved most, largest movement first.
        missing: share (0..1) of the window's rows without a value.
    """

    name: str
    value: float
    bias: float
    noise: float
    p_value: float
    limit: float
    alarms: bool = False
    moved: tuple[Moved, ...] = ()
    missing: float = 0.0

    @property
    def effect(self) -> float:
        """The distance without what samples of these sizes have on average."""
        return max(0.0, self.value - self.bias)


@dataclass(frozen=True)
class Quality:
    """How good one version was on rows whose labels came.

    Attributes:
        metric: what is measured.
        value: of it.
        low: end of its interval.
        high: the other end.
        n_labels: rows that were judged.
        alarms: the value is beyond its limit, and so is all of the interval.
    """

    metric: QualityMetric
    value: float
    low: float
    high: float
    n_labels: int
    alarms: bool = False


Kind = Literal["drift", "quality"]


@dataclass(frozen=True)
class Episode:
    """An alarm that holds.

    Attributes:
        since: serial of the window that began it.
        clear: windows without an alarm since the last one with one.
    """

    since: int
    clear: int = 0


@dataclass(frozen=True)
class Window:
    """Requests that one version answered one after the other, held against what it learned from.

    Attributes:
        serial: number of the window, 1 and up, over all versions.
        kind: `drift` has columns, `quality` has quality.
        digest: of the version's package, as long as file names have it.
        version: its name.
        commit: that it was made from.
        begin_s: time of its first request, seconds since 1970.
        end_s: of its last.
        n_requests: requests.
        n_rows: rows.
        columns: how far each column moved, largest effect over limit first.
        notes: what could not be compared.
        quality: how good it was.
        latency_us: 50 %, 95 % and 99 % quantiles.
        n_skipped: requests after the window before that were not looked at because there were too many.
        n_unmatched: labels of which no logged prediction is known.
        episode: the alarm that holds after this window, None for none.
        position: file of the log to the rows of it that are behind this window.
    """

    serial: int
    kind: Kind
    digest: str
    version: str
    commit: str
    begin_s: float
    end_s: float
    n_requests: int
    n_rows: int
    columns: tuple[ColumnDrift, ...] = ()
    notes: tuple[str, ...] = ()
    quality: Quality | None = None
    latency_us: tuple[float, ...] = ()
    n_skipped: int = 0
    n_unmatched: int = 0
    episode: Episode | None = None
    position: Mapping[str, int] = field(default_factory=dict)

    @property
    def alarms(self) -> bool:
        """Whether anything in it is beyond its limit."""
        return any(column.alarms for column in self.columns) or bool(self.quality and self.quality.alarms)
