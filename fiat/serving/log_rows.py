"""Packed requests and labels as Arrow rows: the columns of the log.

Predictions: `time` (UTC, microseconds), `request_id`, `row` (in its request), `version`, `digest`, a column a feature as
the client sent it, `prediction` (text for classes, double for numbers, a list for several numbers), `score` (the largest
share of a class, where the model tells them), `latency_us`. A feature that is called like one of these columns is
`input.<name>`; the field metadata `fiat_feature` has its true name.

Labels: `time`, `request_id`, `row`, `label` (as text), `number` (null unless it is one).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

FEATURE = b"fiat_feature"
_OWN = ("time", "request_id", "row", "version", "digest", "prediction", "score", "latency_us")
_MOST_SPLIT = 4096
_TIME = pa.timestamp("us", "UTC")
LABEL_SCHEMA = pa.schema(
    [
        ("time", _TIME),
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("label", pa.string()),
        ("number", pa.float64()),
    ]
)


@dataclass(frozen=True)
class LogModel:
    """What the writer knows of a version.

    Attributes:
        digest: of its package.
        names: input to the columns of the data that it holds: one, or one for each number of a row of a matrix.
        layout: `matrix`, `tensor` or `columns`.
    """

    digest: str
    names: Mapping[str, Sequence[str]]
    layout: str


def prediction_rows(model: LogModel, entries: Sequence[Any]) -> Iterator[tuple[pa.Table, int]]:
    """Rows of packed requests and how many requests they are, in their order; requests of one shape in one table.

    Args:
        model: that answered.
        entries: unpacked entries of `fiat.serving.log_run`.
    """
    start = 0
    kinds = [_kind(entry) for entry in entries]
    for place in range(1, len(entries) + 1):
        if place == len(entries) or kinds[place] != kinds[start]:
            yield _table(model, entries[start:place]), sum(len(entry[2]) for entry in entries[start:place])
            start = place


def label_rows(labels: Sequence[tuple[int, str, int, object]]) -> pa.Table:
    """Labels as rows: (time in microseconds, request id, row, label) each."""
    return pa.table(
        {
            "time": pa.array([item[0] for item in labels], pa.int64()).cast(_TIME),
            "request_id": [item[1] for item in labels],
            "row": pa.array([item[2] for item in labels], pa.int32()),
            "label": [label_text(item[3]) for item in labels],
            "number": pa.array([_number(item[3]) for item in labels], pa.float64()),
        },
        schema=LABEL_SCHEMA,
    )


def label_text(label: object) -> str:
    """A label as classes are written: whole numbers without a point, bools as `true` and `false`."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer() and abs(label) < 2**53:
        return str(int(label))
    return str(label)


def _number(label: object) -> float | None:
    if isinstance(label, int | float):
        return float(label)
    try:
        value = float(str(label))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _kind(entry: Any) -> tuple[object, ...]:
    """What requests of one table have in common: names, types and shapes but for the number of rows."""
    return tuple((name, kind, tuple(tail)) for part in entry[6:8] for name, kind, tail, _ in part)


def _table(model: LogModel, entries: Sequence[Any]) -> pa.Table:
    n_rows = np.array(_all(entries, 8), np.int64)
    total = int(n_rows.sum())
    ends = np.cumsum(n_rows)
    fields: list[pa.Field] = []
    columns: list[pa.Array] = []

    def put(name: str, values: pa.Array, feature: str | None = None) -> None:
        meta = None if feature is None else {FEATURE: feature.encode("utf-8", "replace")}
        fields.append(pa.field(name, values.type, metadata=meta))
        columns.append(values)

    put("time", pa.array(np.repeat(_all(entries, 1), n_rows)).cast(_TIME))
    put("request_id", _repeated(_all(entries, 2), n_rows))
    put("row", pa.array((np.arange(total) - np.repeat(ends - n_rows, n_rows)).astype(np.int32)))
    put("version", _repeated([entry[3] for entry in entries for _ in entry[2]], n_rows))
    put("digest", _repeated([entry[4] for entry in entries for _ in entry[2]], n_rows))
    for place in range(len(entries[0][6])):
        for name, values in _features(model, [entry[6][place] for entry in entries], total):
            put(f"input.{name}" if name in _OWN else name, values, name)
    answers = {entry[0]: [item[7][place] for item in entries] for place, entry in enumerate(entries[0][7])}
    prediction, score = _answers(answers, total)
    put("prediction", prediction)
    put("score", score)
    latency = np.clip(_all(entries, 5), 0, 2**31 - 1)
    put("latency_us", pa.array(np.repeat(latency, n_rows).astype(np.int32)))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _all(entries: Sequence[Any], place: int) -> list[Any]:
    """An item of every request."""
    return [item for entry in entries for item in entry[place]]


def _repeated(texts: Sequence[str], n_rows: np.ndarray) -> pa.Array:
    whole = pa.array(texts, pa.string())
    return whole if (n_rows == 1).all() else whole.take(pa.array(np.repeat(np.arange(len(texts)), n_rows)))


def _features(model: LogModel, packed: Sequence[Any], total: int) -> Iterator[tuple[str, pa.Array]]:
    name = packed[0][0]
    values = _joined(packed, total)
    names = list(model.names.get(name, (name,)))
    if isinstance(values, list):
        width = len(values) // total if total else 1
        yield names[0], pa.array(values if width == 1 else _parts(values, width))
    elif values.ndim == 2 and values.shape[1] == len(names) and len(names) <= _MOST_SPLIT:
        for place, feature in enumerate(names):
            yield feature, pa.array(np.ascontiguousarray(values[:, place]))
    else:
        yield names[0], _as_arrow(values)


def _answers(answers: Mapping[str, Sequence[Any]], total: int) -> tuple[pa.Array, pa.Array]:
    score = pa.nulls(total, pa.float64())
    if "probabilities" in answers:
        shares = _joined(answers["probabilities"], total)
        if not isinstance(shares, list) and shares.ndim == 2 and shares.shape[1]:
            highest = shares.max(axis=1).astype(np.float64)
            # One share is that of the second of two classes.
            score = pa.array(highest if shares.shape[1] > 1 else np.maximum(highest, 1 - highest))
    if "label" in answers:
        return _classes(_joined(answers["label"], total)), score
    numbers = [packed for name, packed in answers.items() if name != "probabilities"]
    if not numbers:
        return pa.nulls(total, pa.string()), score
    values = _joined(numbers[0], total)
    if isinstance(values, list):
        return _classes(values[:total]), score
    flat = values.reshape(total, -1).astype(np.float64)
    return (pa.array(flat[:, 0]) if flat.shape[1] == 1 else _as_arrow(flat)), score


def _classes(values: np.ndarray | list[Any]) -> pa.Array:
    plain = values if isinstance(values, list) else values.ravel().tolist()
    return pa.array([None if item is None else label_text(item) for item in plain], pa.string())


def _joined(packed: Sequence[Any], total: int) -> np.ndarray | list[Any]:
    """One input or output of several requests: an array `(total, ...)`, or a flat list of texts."""
    _, kind, tail, _ = packed[0]
    if kind == "O":
        return [_text(value) for part in packed for value in part[3]]
    flat = np.frombuffer(b"".join(part[3] for part in packed), np.dtype(kind))
    values = flat.reshape((total, *tail))
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _as_arrow(values: np.ndarray) -> pa.Array:
    """An array `(n_rows, ...)`: plain values, or a list of fixed size a row."""
    if values.ndim == 1:
        return pa.array(values)
    size = int(np.prod(values.shape[1:]))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), size)


def _parts(values: Sequence[Any], width: int) -> list[Any]:
    return [values[start : start + width] for start in range(0, len(values), width)]
