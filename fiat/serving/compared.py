"""What a model said of each row, and how far two versions are apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fiat.serving.tensors import LABEL, PROBABILITIES

AnyArray = npt.NDArray[Any]
CLOSE_RATIO = 0.01
"""Numbers that differ by more than this share of the value are told as disagreement."""


@dataclass(frozen=True)
class Difference:
    """Two answers to one request.

    Attributes:
        disagrees: another class, or a number that is not close, in any row.
        distance: mean absolute difference of scores or numbers.
    """

    disagrees: bool
    distance: float


def predictions_of(outputs: Mapping[str, AnyArray], n_rows: int) -> AnyArray | None:
    """The class or number of each row `(n_rows,)`; None when the outputs are neither, such as embeddings.

    Args:
        outputs: of the graph, with what was added to them.
        n_rows: of the request.
    """
    label = outputs.get(LABEL)
    if label is not None and label.size == n_rows:
        return label.reshape(-1)
    for array in outputs.values():
        if array.dtype.kind in "fiu" and array.size == n_rows and n_rows:
            return array.reshape(-1)
    return None


def compare(stable: Mapping[str, AnyArray], other: Mapping[str, AnyArray], n_rows: int) -> Difference:
    """Compare the answers of two versions to the same rows."""
    ours, theirs = predictions_of(stable, n_rows), predictions_of(other, n_rows)
    disagrees = False
    if ours is not None and theirs is not None:
        disagrees = _disagree(ours, theirs)
    elif (ours is None) != (theirs is None):
        disagrees = True
    return Difference(disagrees, _distance(_scores(stable), _scores(other)))


def _disagree(ours: AnyArray, theirs: AnyArray) -> bool:
    if "O" in (ours.dtype.kind, theirs.dtype.kind) or ours.dtype.kind in "iu":
        return bool(np.any(ours != theirs))
    apart = ~np.isclose(ours, theirs, rtol=CLOSE_RATIO, atol=1e-12, equal_nan=True)
    return bool(np.any(apart))


def _scores(outputs: Mapping[str, AnyArray]) -> AnyArray | None:
    shares = outputs.get(PROBABILITIES)
    if shares is not None:
        return shares
    return next((array for array in outputs.values() if array.dtype.kind == "f"), None)


def _distance(ours: AnyArray | None, theirs: AnyArray | None) -> float:
    """Mean absolute difference; 0 when there is nothing to compare, 1 when shapes differ."""
    if ours is None or theirs is None or not ours.size:
        return 0.0
    if ours.shape != theirs.shape:
        return 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        apart = float(np.mean(np.abs(ours.astype(np.float64) - theirs.astype(np.float64))))
    return apart if np.isfinite(apart) else 1.0
