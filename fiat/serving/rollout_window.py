"""Counts of a stretch of time from counters that only grow, over workers that come and go.

A worker's counters begin anew with each of its lives, and those of a version each time that it is loaded: what is less
than it was before began anew, so all of it is new. What a worker counted between the last look and its death is lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from fiat.serving.counts import Counts, WorkerCounts, total


@dataclass(frozen=True)
class Gathered:
    """What versions did since a moment.

    Attributes:
        seen: `<worker>:<pid>:<start>:<digest>` to that life's counters at the last look.
        sums: digest to what came since.
        before: counts of the stable version in the newest time before that in which it had requests.
    """

    seen: Mapping[str, Counts] = field(default_factory=dict)
    sums: Mapping[str, Counts] = field(default_factory=dict)
    before: Counts = field(default_factory=Counts)

    def of(self, digest: str) -> Counts:
        """What a version did since."""
        return self.sums.get(digest, Counts())

    def document(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def read_gathered(document: Mapping[str, Any]) -> Gathered:
    """What a document of `Gathered.document` says.

    Raises:
        TypeError, KeyError, AttributeError: it says nothing of the kind.
    """
    return Gathered(
        seen={life: Counts(**counts) for life, counts in document["seen"].items()},
        sums={digest: Counts(**counts) for digest, counts in document["sums"].items()},
        before=Counts(**document["before"]),
    )


def begin_window(
    earlier: Gathered | None, workers: Iterable[WorkerCounts], model: str, stable: str
) -> Gathered:
    """An empty window from now on.

    Args:
        earlier: the window before it; None for the first of a rollout.
        workers: what they tell now.
        model: name of the model.
        stable: digest of the stable version.
    """
    known = list(workers)
    before = total(known, model, stable) if earlier is None else earlier.before
    if earlier is not None and earlier.of(stable).requests:
        before = earlier.of(stable)
    return Gathered(seen=dict(_lives(known, model)), before=before)


def gather(gathered: Gathered, workers: Iterable[WorkerCounts], model: str) -> Gathered:
    """The window with what came since the last look; the same object when nothing did."""
    seen, sums = dict(gathered.seen), dict(gathered.sums)
    changed = False
    for life, counts in _lives(workers, model):
        last = seen.get(life)
        if last == counts:
            continue
        fresh = counts if last is None or _began_anew(counts, last) else counts.minus(last)
        digest = life.rpartition(":")[2]
        seen[life] = counts
        sums[digest] = sums.get(digest, Counts()).plus(fresh)
        changed = True
    return replace(gathered, seen=seen, sums=sums) if changed else gathered


def _lives(workers: Iterable[WorkerCounts], model: str) -> Iterable[tuple[str, Counts]]:
    for worker in workers:
        for version in worker.versions.get(model, ()):
            yield f"{worker.worker}:{worker.pid}:{worker.started_at}:{version.digest}", version.counts


def _began_anew(now: Counts, last: Counts) -> bool:
    return any(
        getattr(now, item.name) < getattr(last, item.name)
        for item in fields(Counts)
        if not isinstance(getattr(now, item.name), Mapping)
    )
