"""How a converted model differs from the packaged one on the same rows, each in the runtime that it is made for."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fiat.builtin.edge_rows import Rows
from fiat.errors import SpecError
from fiat.evaluate.feeds import stack_outputs
from fiat.evaluate.judged import judge_rows
from fiat.evaluate.measure import check_metrics
from fiat.evaluate.metrics import metric_value
from fiat.ports.edge import Predict

FAR = 0.1
"""A predicted number counts as another one when it is further away than this part of the numbers' standard deviation."""
_SPEED_ROWS = 100
_ROUNDS = 5
_WARM_UP = 20

AnyArray = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class About:
    """What is known of the packaged model.

    Attributes:
        task: `classification` or `regression`.
        scores: `probabilities`, `logits` or `none`.
        labels: class of each score, None without.
    """

    task: str
    scores: str
    labels: tuple[object, ...] | None


def compare(packaged: Predict, converted: Predict, rows: Rows, about: About) -> dict[str, Any]:
    """Predict the same rows with both.

    Returns:
        JSON values: `rows` (which), `n_rows`, `max_abs`, `mean_abs`, `max_rel` (differences of scores; relative to the
        packaged model's where that is above 1), `disagreement` (share of rows predicted otherwise), and `metrics`: name
        to the two values.

    Raises:
        SpecError: a runtime refuses the rows, or the outputs don't match.
    """
    before, after = _predict(packaged, rows), _predict(converted, rows)
    if set(before) != set(after) or any(before[name].shape != after[name].shape for name in before):
        raise SpecError(
            f"the converted model gives {_shapes(after)}, the packaged one {_shapes(before)}",
            hint="the format can't say this graph",
        )
    gaps = [_gaps(before[name], after[name]) for name in before if before[name].dtype.kind == "f"]
    absolute = np.concatenate([gap[0] for gap in gaps]) if gaps else np.zeros(1)
    relative = np.concatenate([gap[1] for gap in gaps]) if gaps else np.zeros(1)
    return {
        "rows": rows.source,
        "n_rows": rows.n_rows,
        "max_abs": _number(absolute.max(initial=0.0)),
        "mean_abs": _number(absolute.mean()),
        "max_rel": _number(relative.max(initial=0.0)),
        "disagreement": int(np.count_nonzero(_differs(before, after, about))) / rows.n_rows,
        "metrics": _metrics(before, after, rows, about),
    }


def median_us(predicts: Sequence[Predict], rows: Rows, clock: Callable[[], float]) -> list[float]:
    """Median time of one row in microseconds, for each model, taken in turns.

    Args:
        predicts: the models.
        rows: to predict.
        clock: seconds, monotonic.
    """
    first = rows.feeds[0]
    n_rows = min(_SPEED_ROWS, len(next(iter(first.values()))))
    singles = [{name: array[at : at + 1] for name, array in first.items()} for at in range(n_rows)]
    for predict in predicts:
        for feed in singles[:_WARM_UP]:
            predict(feed)
    taken: list[list[float]] = [[] for _ in predicts]
    for _ in range(_ROUNDS):
        for predict, times in zip(predicts, taken, strict=True):
            for feed in singles:
                start = clock()
                predict(feed)
                times.append(clock() - start)
    return [round(float(np.median(times)) * 1e6, 2) for times in taken]


def monotonic() -> float:
    """Seconds that only grow; the clock outside tests."""
    return time.perf_counter()


def _predict(predict: Predict, rows: Rows) -> dict[str, AnyArray]:
    return stack_outputs([predict(feed) for feed in rows.feeds])


def _gaps(left: AnyArray, right: AnyArray) -> tuple[Floats, Floats]:
    one, other = left.astype(np.float64).ravel(), right.astype(np.float64).ravel()
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(same, 0.0, np.abs(one - other))
    gap = np.where(np.isfinite(gap), gap, np.inf)
    return gap, gap / np.maximum(1.0, np.nan_to_num(np.abs(one), nan=1.0, posinf=1.0))


def _differs(before: Mapping[str, AnyArray], after: Mapping[str, AnyArray], about: About) -> AnyArray:
    """Rows that are predicted otherwise, `(n_rows,)`."""
    n_rows = len(next(iter(before.values())))
    found = np.zeros(n_rows, np.bool_)
    for name, left in before.items():
        right = after[name]
        if left.dtype.kind != "f":
            found |= (left.reshape(n_rows, -1) != right.reshape(n_rows, -1)).any(axis=1)
        elif left.size > n_rows:
            one = left.astype(np.float64).reshape(n_rows, -1)
            other = right.astype(np.float64).reshape(n_rows, -1)
            found |= (one.argmax(axis=1) != other.argmax(axis=1)) | ~np.isfinite(other).all(axis=1)
        elif about.task == "classification":
            border = 0.0 if about.scores == "logits" else 0.5
            one, other = left.astype(np.float64), right.astype(np.float64)
            found |= ((one > border) != (other > border)).reshape(n_rows)
        else:
            spread = float(np.nanstd(left.astype(np.float64))) or 1.0
            gap, _ = _gaps(left, right)
            found |= gap > FAR * spread
    return found


def _metrics(
    before: Mapping[str, AnyArray], after: Mapping[str, AnyArray], rows: Rows, about: About
) -> dict[str, list[float | None]]:
    """Name to the packaged model's value and the converted one's; nothing when there are no labels to judge by."""
    if rows.labels is None:
        return {}
    judged = []
    for outputs in (before, after):
        try:
            judged.append(
                judge_rows(
                    outputs, rows.labels, task=about.task, classes=rows.classes, model_labels=about.labels  # type: ignore[arg-type]
                ).rows
            )  # fmt: skip
        except SpecError:
            return {}
    names = check_metrics((), judged[0])
    return {name: [_number(metric_value(name, part)) for part in judged] for name in names}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _shapes(outputs: Mapping[str, AnyArray]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in outputs.items())
