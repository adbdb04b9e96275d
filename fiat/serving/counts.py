"""What a server counts, for everybody who judges it: added up over workers, subtracted over time. Frozen, JSON inside."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

VersionState = Literal["loading", "ready", "failed", "draining"]
BUCKETS_A_DOUBLING = 8
FIRST_BUCKET_S = 1e-6
N_BUCKETS = 8 * 28
"""Latencies of 1 us to 268 s, each bucket 9 % wider than the one before."""


def bucket_of(seconds: float) -> int:
    """Bucket of a latency."""
    if seconds <= FIRST_BUCKET_S:
        return 0
    return min(N_BUCKETS - 1, int(math.log2(seconds / FIRST_BUCKET_S) * BUCKETS_A_DOUBLING))


def bucket_end_s(bucket: int) -> float:
    """Upper end of a bucket in seconds."""
    return FIRST_BUCKET_S * math.pow(2.0, (bucket + 1) / BUCKETS_A_DOUBLING)


@dataclass(frozen=True)
class Counts:
    """What one version did since some moment. Everything only grows, so windows are differences.

    Attributes:
        requests: answered, well or not; those that the client got wrong are in `refused` only.
        failed: of them, those that failed by our fault (5xx, time-outs).
        refused: requests of clients that were wrong (4xx).
        rows: predicted.
        batches: runs of the model.
        latency: bucket (`bucket_of`, as text) to requests, from first byte to answer.
        predictions: answer to rows: the class's name, or for numbers `<exponent>` buckets as the server makes them.
        shadowed: requests that were copied to this version and compared with the stable one's answer.
        disagreed: of them, those with another class in any row (for numbers: another by more than 1 % of the value).
        distance: sum over them of the mean absolute difference of scores or numbers.
        distance_squares: sum over them of its square: for how sure the mean distance is.
        shadow_failed: copied requests that this version could not answer.
        shadow_dropped: copied requests that were thrown away because it was busy.
    """

    requests: int = 0
    failed: int = 0
    refused: int = 0
    rows: int = 0
    batches: int = 0
    latency: Mapping[str, int] = field(default_factory=dict)
    predictions: Mapping[str, int] = field(default_factory=dict)
    shadowed: int = 0
    disagreed: int = 0
    distance: float = 0.0
    distance_squares: float = 0.0
    shadow_failed: int = 0
    shadow_dropped: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return self._merged(other, 1)

    def minus(self, earlier: "Counts") -> "Counts":
        """What came after an earlier look at the same counts."""
        return self._merged(earlier, -1)

    def quantile_s(self, share: float) -> float:
        """Latency in seconds that this share (0..1) of the requests stayed below; NaN without requests."""
        total = sum(self.latency.values())
        if not total:
            return math.nan
        left = share * total
        for bucket in sorted(self.latency, key=int):
            left -= self.latency[bucket]
            if left <= 0:
                return bucket_end_s(int(bucket))
        return bucket_end_s(N_BUCKETS - 1)

    def _merged(self, other: "Counts", sign: int) -> "Counts":
        merged: dict[str, Any] = {}
        for item in fields(self):
            ours, theirs = getattr(self, item.name), getattr(other, item.name)
            if isinstance(ours, Mapping):
                summed = {
                    key: ours.get(key, 0) + sign * theirs.get(key, 0) for key in (ours.keys() | theirs.keys())
                }
                merged[item.name] = {key: value for key, value in sorted(summed.items()) if value}
            else:
                merged[item.name] = ours + sign * theirs
        return Counts(**merged)


@dataclass(frozen=True)
class VersionCounts:
    """A version at one worker.

    Attributes:
        name: of the version.
        digest: of its package.
        state: whether it can answer.
        reason: why not, for `failed`.
        load_s: how long it took to load and warm up.
        counts: since the worker loaded it.
    """

    name: str
    digest: str
    state: VersionState
    reason: str = ""
    load_s: float = 0.0
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True)
class WorkerCounts:
    """Everything that one worker tells.

    Attributes:
        worker: number of the worker, 0 and up.
        pid: its process.
        started_at: seconds since 1970: with `pid`, one life of a worker. Counts begin anew in the next one.
        written_at: seconds since 1970.
        serial: of the manifest that it follows; models that could not be brought to it say so by `failed`.
        memory_bytes: resident.
        in_flight: requests that are worked on.
        queued: requests that wait.
        log_dropped: predictions that were not written down because the buffer was full.
        versions: model name to its versions.
    """

    worker: int
    pid: int
    started_at: float
    written_at: float
    serial: int
    memory_bytes: int
    in_flight: int
    queued: int
    log_dropped: int
    versions: Mapping[str, tuple[VersionCounts, ...]]

    def write(self, folder: Path) -> None:
        """Replace the worker's file."""
        draft = folder / f"unfinished.{self.worker}"
        draft.write_text(json.dumps(asdict(self)) + "\n", "utf-8")
        draft.replace(folder / f"{self.worker}.json")


def read_workers(folder: Path) -> tuple[WorkerCounts, ...]:
    """What all workers told last, by number; files that are none are passed over."""
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append(_worker(json.loads(path.read_bytes())))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return tuple(sorted(found, key=lambda worker: worker.worker))


def total(workers: Iterable[WorkerCounts], model: str, digest: str) -> Counts:
    """Counts of a version over all workers."""
    result = Counts()
    for worker in workers:
        for version in worker.versions.get(model, ()):
            if version.digest == digest:
                result = result.plus(version.counts)
    return result


def _worker(found: dict[str, Any]) -> WorkerCounts:
    versions = {
        model: tuple(VersionCounts(**{**item, "counts": Counts(**item["counts"])}) for item in items)
        for model, items in found.pop("versions").items()
    }
    return WorkerCounts(versions=versions, **found)
