"""Operations on numbers: standardize, min_max, log1p, clip, bucketize, scale; `impute` is in a file of its own.

Missing numbers are NaN and stay so, but for `bucketize`. Everything is computed in float64.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fiat.errors import SpecError
from fiat.transform.graph import Graph
from fiat.transform.model import Kind, Seen, State, Value

_NUMBERS: tuple[Kind, ...] = ("number", "whole")
_LEAST_OF_LOG = -1 + 2.0**-52
FAR = 1e300
"""From here on twice a number may be infinite."""


class Standardize:
    """Mean 0 and standard deviation 1 (of all rows, not of a sample); a constant becomes 0."""

    word = "standardize"
    takes = _NUMBERS
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Mean and standard deviation of the finite values."""
        found = [mean_and_sd(known) for known in known_parts(seen[0], column)]
        return {"mean": [mean for mean, _ in found], "sd": [sd for _, sd in found]}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """`(x - mean) / sd`."""
        sd = np.array(state["sd"])
        return _affine(graph, values[0], np.array(state["mean"]), np.where(sd > 0, sd, 1.0))


class MinMax:
    """The smallest value of train is 0, the largest 1; a constant becomes 0."""

    word = "min_max"
    takes = _NUMBERS
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Smallest and largest finite value."""
        known = known_parts(seen[0], column)
        return {"min": [float(part.min()) for part in known], "max": [float(part.max()) for part in known]}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """`(x - min) / (max - min)`."""
        low, high = np.array(state["min"]), np.array(state["max"])
        span = high / 2 - low / 2
        return _affine(graph, values[0], low, np.where(span > 0, span, 0.5), halved=True)


class Log1p:
    """Logarithm of 1 plus the number."""

    word = "log1p"
    takes = _NUMBERS
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Nothing is learned.

        Raises:
            SpecError: the train split has numbers of -1 or less.
        """
        rows = seen[0].rows
        with np.errstate(invalid="ignore"):
            n_low = int((rows <= -1).sum())
        if n_low:
            raise SpecError(
                f"{n_low} rows of column {column!r} are -1 or less, the least is {np.nanmin(rows):g}: "
                "1 plus these has no logarithm",
                hint="put `clip: {min: 0}` before `log1p`",
            )
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """`log(1 + x)`; what is -1 or less counts as the next number above it."""
        raised = graph.add("Max", as_number(graph, values[0]), graph.constant(_LEAST_OF_LOG, "float64"))
        return _number(values[0], graph.add("Log", graph.add("Add", raised, graph.constant(1.0, "float64"))))


class Clip:
    """Limits for numbers."""

    word = "clip"
    takes = _NUMBERS
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Nothing is learned."""
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """The number, or the limit that it passes."""
        number = as_number(graph, values[0])
        # Not the operator Clip: a limit that it isn't given is the largest number, so it takes infinity away.
        for operator, side in (("Max", "min"), ("Min", "max")):
            if setting.get(side) is not None:
                number = graph.add(operator, number, graph.constant(float(setting[side]), "float64"))
        return _number(values[0], number)


class Bucketize:
    """Numbers become the number of their bucket: how many edges are not above them; the last bucket is for missing."""

    word = "bucketize"
    takes = _NUMBERS
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Edges that part the finite train rows into buckets of as many rows each, as far as equal numbers let them."""
        if setting.get("edges"):
            return {"edges": [float(edge) for edge in setting["edges"]]}
        rows = seen[0].rows
        if rows.shape[1] != 1:
            raise SpecError(f"`bucketize` takes one number a row, {column!r} has {rows.shape[1]} by now")
        known = np.sort(rows[np.isfinite(rows)])
        _require_some(known, column)
        n_buckets = int(setting["buckets"])
        edges = np.unique(known[[len(known) * place // n_buckets for place in range(1, n_buckets)]])
        return {"edges": [float(edge) for edge in edges if edge > known[0]]}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Counts edges."""
        value, edges = values[0], np.array(state["edges"], np.float64)
        number = as_number(graph, value)
        missing = graph.add("IsNaN", number)
        if edges.size:
            one = graph.constant([-1], "int64")
            reached = graph.add("GreaterOrEqual", graph.add("Unsqueeze", number, one), graph.constant(edges))
            # Counted from the front: with no rows, onnxruntime 1.31 leaves an axis of -1 where it is.
            last = graph.constant([2], "int64")
            found = graph.cast(
                graph.add("ReduceSum", graph.cast(reached, "float32"), last, keepdims=0), "int64"
            )
        else:
            found = graph.cast(missing, "int64")
        bucket = graph.add("Where", missing, graph.constant(edges.size + 1, "int64"), found)
        return replace(value, tensor=bucket, kind="whole", n_categories=edges.size + 2, narrow="", beside=())


class Scale:
    """Numbers, or a tensor, times a number."""

    word = "scale"
    takes: tuple[Kind, ...] = ("number", "whole", "tensor")
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Nothing is learned."""
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """A tensor becomes float32."""
        value = values[0]
        if value.kind != "tensor":
            factor = graph.constant(float(setting), "float64")
            return _number(value, graph.add("Mul", as_number(graph, value), factor))
        tensor = value.tensor if value.dtype == "float32" else graph.cast(value.tensor, "float32")
        scaled = graph.add("Mul", tensor, graph.constant(float(setting), "float32"))
        return replace(value, tensor=scaled, dtype="float32", beside=())


def as_number(graph: Graph, value: Value) -> str:
    """The tensor of a number or whole as float64."""
    return value.tensor if value.kind == "number" else graph.cast(value.tensor, "float64")


def _number(value: Value, tensor: str) -> Value:
    return Value(tensor, "number", value.names)


_NEAR, _MATTERS = 1e-30, 1e-8
"""onnxruntime takes a number for 0 that is 0 in float32, and leaves its subtraction out: such ones are made larger."""


def _affine(
    graph: Graph, value: Value, shift: np.ndarray, scale: np.ndarray, *, halved: bool = False
) -> Value:
    """`(x - shift) / scale`; numbers near the largest there are halved first, so that the difference is finite.

    Args:
        graph: to add to.
        value: x.
        shift: a number a column.
        scale: a number a column, not 0.
        halved: `scale` is half of what it stands for.
    """
    number = as_number(graph, value)
    if np.abs(shift).max() > FAR or scale.max() > FAR:
        number, shift = graph.add("Mul", number, graph.constant(0.5, "float64")), shift / 2
        scale = scale if halved else scale / 2
    elif halved:
        scale = scale * 2
    near = (np.abs(shift) < _NEAR) & (np.abs(shift) > _MATTERS * scale)
    if np.any(near):
        power = np.where(near, -np.floor(np.log2(np.where(near, np.abs(shift), 1.0))), 0.0)
        away = 2.0 ** np.minimum(power, 1023)
        number = graph.add("Mul", number, graph.constant(away))
        shift, scale = shift * away, scale * away
    less = graph.add("Sub", number, graph.constant(shift.astype(np.float64)))
    return _number(value, graph.add("Div", less, graph.constant(scale.astype(np.float64))))


def known_parts(seen: Seen, column: str) -> list[np.ndarray]:
    """Finite values of each of the columns of a value.

    Raises:
        SpecError: there are none.
    """
    rows = np.asarray(seen.rows, np.float64)
    parts = [part[np.isfinite(part)] for part in rows.T]
    for part in parts:
        _require_some(part, column)
    return parts


def _require_some(known: np.ndarray, column: str) -> None:
    if not len(known):
        raise SpecError(
            f"no row of train has a value of column {column!r} to learn from",
            hint="drop the column, or use `impute: {value: 0}`",
        )


def mean_and_sd(known: np.ndarray) -> tuple[float, float]:
    """Of finite numbers `(n,)`, n 1 or more; 0 when all are equal, whatever rounding says."""
    if known.min() == known.max():
        return float(known[0]), 0.0
    size = float(np.abs(known).max())
    # Squares of larger ones are infinite, of smaller ones 0.
    factor = size if size > 1e150 or size < 1e-150 else 1.0
    scaled = known / factor
    return float(scaled.mean()) * factor, float(scaled.std()) * factor


def count_texts(seen: Seen) -> dict[str, int]:
    """Text to the number of rows, of texts `(n, 1)`: an operation before may have made equal what was distinct."""
    found: dict[str, int] = {}
    texts = seen.values.reshape(-1)
    rows = np.ones(len(texts), np.int64) if seen.counts is None else seen.counts
    for text, count in zip(texts, rows, strict=True):
        found[text] = found.get(text, 0) + int(count)
    return found


NUMBERS: Mapping[str, Any] = {
    operation.word: operation
    for operation in (Standardize(), MinMax(), Log1p(), Clip(), Bucketize(), Scale())
}
