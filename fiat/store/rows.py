"""How the values of `run/` become text in a row and back. Rows never leave this room."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fiat.run.model import Artifact, Metric
from fiat.store.database import Value


def pack(value: object) -> str:
    """JSON in ASCII, keys in order, so that equal values are equal text. NaN and infinities are kept."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_plain)


def unpack(text: str) -> Any:
    """What `pack` was given, with lists for tuples."""
    return json.loads(text)


def digest_text(text: str) -> str:
    """SHA-256 of a text, 64 hex digits: the key of a document."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_time(moment: datetime | None) -> str | None:
    """ISO-8601 in UTC with microseconds always, so that text order is time order."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")


def read_time(text: object) -> datetime | None:
    """The aware UTC time that `write_time` wrote."""
    return None if text is None else datetime.fromisoformat(str(text))


def pack_outputs(outputs: Mapping[str, Artifact]) -> dict[str, list[object]]:
    """Name to `[digest, size_bytes, n_files]`."""
    return {name: [one.digest, one.size_bytes, one.n_files] for name, one in outputs.items()}


def unpack_outputs(packed: Mapping[str, Sequence[Any]]) -> dict[str, Artifact]:
    """What `pack_outputs` was given."""
    return {name: Artifact(*fields) for name, fields in packed.items()}


def pack_metrics(metrics: Iterable[Metric]) -> list[list[object]]:
    """One list a metric, without the fields at its end that have their default."""
    packed: list[list[object]] = []
    for one in metrics:
        fields: list[object] = [one.name, one.value, one.step, one.slice, one.low, one.high, one.n_rows]
        while len(fields) > 2 and fields[-1] == _METRIC_DEFAULTS[len(fields) - 1]:
            fields.pop()
        packed.append(fields)
    return packed


def unpack_metrics(packed: Iterable[Sequence[Any]]) -> tuple[Metric, ...]:
    """What `pack_metrics` was given."""
    return tuple(Metric(*fields) for fields in packed)


def metric_row(run: str, step: str, position: int, metric: Metric) -> tuple[Value, ...]:
    """A row of the table `metrics`."""
    return (
        run,
        step,
        position,
        metric.name,
        _number(metric.value),
        metric.step,
        metric.slice,
        _number(metric.low),
        _number(metric.high),
        metric.n_rows,
    )


def read_metric(
    name: Value, value: Value, x: Value, slice_: Value, low: Value, high: Value, n_rows: Value
) -> Metric:
    """The metric of a row; a NaN in its interval has become None."""
    return Metric(
        name=str(name),
        value=math.nan if value is None else float(value),
        step=None if x is None else int(x),
        slice=str(slice_),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        n_rows=int(n_rows or 0),
    )


_METRIC_DEFAULTS = (None, None, None, "", None, None, 0)


def _number(value: float | None) -> float | None:
    """SQLite has no NaN; it and PostgreSQL both hold NULL instead."""
    return None if value is None or math.isnan(value) else float(value)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
