"""Parity: how far the exported graph's outputs are from the framework model's own on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fiat.errors import SpecError

AnyArray = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Parity:
    """How two models' raw outputs differ.

    Attributes:
        max_abs: largest difference of any float number; infinity where one side is not finite and the other differs;
            0 when there are no float outputs.
        mean_abs: mean difference of all float numbers; 0 when there are none.
        label_mismatches: rows whose label differs: an integer or text output, or the highest of two or more scores.
        n_rows: rows compared.
        has_floats: whether there was a float output to compare.
    """

    max_abs: float
    mean_abs: float
    label_mismatches: int
    n_rows: int
    has_floats: bool = True


def compare_outputs(framework: Mapping[str, AnyArray], graph: Mapping[str, AnyArray]) -> Parity:
    """Compare outputs by name, or in their order when the names differ.

    Args:
        framework: output name to array, first axis rows.
        graph: the exported graph's, same rows.

    Raises:
        SpecError: the outputs don't have the same number, rows or sizes.
    """
    worst, total, count = 0.0, 0.0, 0
    n_rows = len(next(iter(framework.values()), ()))
    differs = np.zeros(n_rows, dtype=np.bool_)
    for name, ours, theirs in _pairs(framework, graph):
        if len(ours) != n_rows or ours.size != theirs.size:
            raise SpecError(
                f"output {name}: the framework model gives {ours.shape}, the exported graph {theirs.shape}",
                hint="the exported graph must have a dynamic first axis and the model's own outputs",
            )
        if n_rows == 0:
            continue
        left, right = ours.reshape(n_rows, -1), theirs.reshape(n_rows, -1)
        if left.dtype.kind == "f" and right.dtype.kind == "f":
            gaps = _gaps(left.astype(np.float64), right.astype(np.float64))
            worst, total, count = (
                max(worst, float(gaps.max(initial=0.0))),
                total + float(gaps.sum()),
                count + gaps.size,
            )
            if left.shape[1] > 1:
                differs |= left.argmax(axis=1) != right.argmax(axis=1)
        else:
            differs |= (left.astype(str) != right.astype(str)).any(axis=1)
    mean = total / count if count else 0.0
    return Parity(worst, mean, int(differs.sum()), n_rows, count > 0)


def _pairs(
    framework: Mapping[str, AnyArray], graph: Mapping[str, AnyArray]
) -> list[tuple[str, AnyArray, AnyArray]]:
    if set(framework) <= set(graph):
        return [(name, array, graph[name]) for name, array in framework.items()]
    if len(framework) != len(graph):
        raise SpecError(
            f"the framework model has the outputs {', '.join(framework)}, the exported graph {', '.join(graph)}",
            hint="export the model with the outputs that it predicts",
        )
    return [
        (name, array, other) for (name, array), other in zip(framework.items(), graph.values(), strict=True)
    ]


def _gaps(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Absolute differences; the same infinity or NaN on both sides is none."""
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(left - right)
    return np.where(same, 0.0, np.where(np.isfinite(gaps), gaps, np.inf))
