"""Judged rows: what was true and what the model said, as arrays. All metrics read these and nothing else."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

NO_CLASS = -1


class _Rest:
    """All other classes together, as a class."""


REST = _Rest()


@dataclass(frozen=True, eq=False)
class ClassRows:
    """Rows of a classification.

    Attributes:
        labels: true class of each row as an index of `classes`, `(n_rows,)`.
        predicted: predicted class, `(n_rows,)`; NO_CLASS where the model's scores are not finite, which is never right.
        scores: probability of each class, `(n_rows, n_classes)`, or None when the model gives labels only.
        classes: the classes; of two, the second is the positive one.
    """

    labels: Ints
    predicted: Ints
    scores: Scores | None
    classes: tuple[object, ...]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    @property
    def is_binary(self) -> bool:
        """Whether there are exactly two classes."""
        return len(self.classes) == 2

    @property
    def invalid_rows(self) -> int:
        """Rows for which the model gave no usable prediction."""
        return int(np.count_nonzero(self.predicted == NO_CLASS))

    def take(self, index: Ints) -> "ClassRows":
        """The rows at these positions, `(n_taken,)`."""
        scores = None if self.scores is None else self.scores[index]
        return ClassRows(self.labels[index], self.predicted[index], scores, self.classes)

    def against_rest(self, code: int) -> "ClassRows":
        """The same rows with two classes: class `code` (positive) and all others together."""
        scores = None
        if self.scores is not None:
            own = self.scores[:, code]
            scores = np.stack([1 - own, own], axis=1)
        predicted = np.where(self.predicted == NO_CLASS, NO_CLASS, self.predicted == code)
        return ClassRows(
            (self.labels == code).astype(np.int64),
            predicted.astype(np.int64),
            scores,
            (REST, self.classes[code]),
        )


@dataclass(frozen=True, eq=False)
class ValueRows:
    """Rows of a regression.

    Attributes:
        labels: true values, `(n_rows,)`, finite.
        predicted: predicted values, `(n_rows,)`; not finite where the model gave no number.
    """

    labels: Floats
    predicted: Floats

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.labels)

    @property
    def invalid_rows(self) -> int:
        """Rows for which the model gave no usable prediction."""
        return int(np.count_nonzero(~np.isfinite(self.predicted)))

    def take(self, index: Ints) -> "ValueRows":
        """The rows at these positions, `(n_taken,)`."""
        return ValueRows(self.labels[index], self.predicted[index])


Rows = ClassRows | ValueRows


def probabilities(rows: ClassRows) -> Floats:
    """Class probabilities of rows that have scores, `(n_rows, n_classes)`, each row summing to 1; NaN rows stay NaN.

    Raises:
        ValueError: the rows have no scores.
    """
    if rows.scores is None:
        raise ValueError("these rows have predicted labels only, no scores")
    wide = rows.scores.astype(np.float64)
    total = wide.sum(axis=1, keepdims=True)
    shares = np.full_like(wide, np.nan)
    np.divide(wide, total, out=shares, where=total > 0)
    return shares
