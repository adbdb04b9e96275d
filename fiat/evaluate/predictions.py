"""What a model's outputs mean: class scores, logits, predicted labels, or numbers.

The rules, in order, for a classification:

1. An integer or text output with one value a row is the predicted label; an integer that is no class but lies in
   0..n_classes-1 is a class's index.
2. A float output `(n_rows, n_classes)` is class scores: probabilities when every row lies in 0..1 and sums to 1 within
   SUM_TOLERANCE, else logits, which softmax turns into probabilities.
3. A float output with one number a row is the positive class's score when there are two classes: a probability in 0..1,
   else a logit, which the logistic function turns into one.
4. Without a label output, the class with the highest score is predicted, the first of equals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from fiat.errors import SpecError
from fiat.evaluate.rows import NO_CLASS, ClassRows, Floats, Ints, Scores

SUM_TOLERANCE = 1e-3
ROUNDING = 1e-5

AnyArray = npt.NDArray[np.generic]
ScoreKind = Literal["probabilities", "logits", "none"]


@dataclass(frozen=True, eq=False)
class ClassOutput:
    """What a model said about the class of each row.

    Attributes:
        predicted: index of `classes`, or NO_CLASS where the scores are not finite, `(n_rows,)`.
        scores: probabilities `(n_rows, n_classes)`, None when the model gives labels only.
        kind: what the scores were before.
        classes: the model's classes, and behind them those that only its label output named.
    """

    predicted: Ints
    scores: Scores | None
    kind: ScoreKind
    classes: tuple[object, ...]


def read_classes(
    outputs: Mapping[str, AnyArray],
    classes: Sequence[object] | None,
    *,
    coded: bool = False,
    kind: ScoreKind | None = None,
) -> ClassOutput:
    """Read the outputs of a classifier.

    Args:
        outputs: name to array, first axis rows, in the graph's order.
        classes: class of each score, in order; None when nobody knows, then they are 0, 1, 2, ...
        coded: the model was trained on the indexes of the classes, so its integer labels are indexes, too.
        kind: what the scores are, when that is known from other rows; None finds it out by these.

    Raises:
        SpecError: no output can be read as scores or labels, or their number is not that of the classes.
    """
    flat = {name: _squeeze(array) for name, array in outputs.items()}
    floats = [array for array in flat.values() if array.dtype.kind == "f"]
    labels = [array for array in flat.values() if array.dtype.kind in "iuUSOb" and array.ndim == 1]
    if not floats and not labels:
        raise SpecError(
            f"no output of the model can be read as classes: {_describe(outputs)}",
            hint="a classifier gives scores (n, n_classes) or labels (n,)",
        )
    scores, found, known = None, "none", tuple(classes or ())
    if floats:
        wide = [array for array in floats if array.ndim == 2]
        scores, found, known = _read_scores((wide or floats)[0], known, kind)
    if not labels:
        assert scores is not None  # noqa: S101 - one of the two exists, see above
        return ClassOutput(_highest(scores), scores, _kind(found), known)
    codes, known = _read_labels(labels[0], known, coded=coded)
    if scores is not None and len(known) > scores.shape[1]:
        scores = np.pad(scores, ((0, 0), (0, len(known) - scores.shape[1])))
    if scores is not None:
        codes = np.where(np.isfinite(scores).all(axis=1), codes, NO_CLASS)
    return ClassOutput(codes, scores, _kind(found), known)


def read_values(outputs: Mapping[str, AnyArray]) -> Floats:
    """Read the outputs of a regression: one number a row, `(n_rows,)`.

    Raises:
        SpecError: no output has one number a row.
    """
    for array in outputs.values():
        flat = _squeeze(array)
        if flat.ndim == 1 and flat.dtype.kind in "fiu":
            return flat.astype(np.float64)
    raise SpecError(
        f"no output of the model has one number a row: {_describe(outputs)}",
        hint="set evaluate.task to classification if it predicts classes",
    )


def single_numbers(outputs: Mapping[str, AnyArray]) -> bool:
    """Whether all that a model gives is one float a row: a regression's way to answer."""
    flat = [_squeeze(array) for array in outputs.values()]
    return all(array.dtype.kind == "f" and array.ndim == 1 for array in flat)


def class_rows(output: ClassOutput, labels: AnyArray) -> ClassRows:
    """Put predictions beside the truth; classes that only the truth has are added, with score 0.

    Args:
        output: what the model said, n_rows rows.
        labels: true class of each row, none missing, `(n_rows,)`.
    """
    codes, classes = encode(labels, output.classes)
    scores = output.scores
    if scores is not None and len(classes) > scores.shape[1]:
        scores = np.pad(scores, ((0, 0), (0, len(classes) - scores.shape[1])))
    return ClassRows(codes, output.predicted, scores, classes)


def encode(labels: AnyArray, classes: tuple[object, ...]) -> tuple[Ints, tuple[object, ...]]:
    """Index of each label among the classes, and the classes with unknown labels behind them."""
    found, inverse = np.unique(labels, return_inverse=True)
    place = {name: index for index, name in enumerate(classes)}
    for value in found.tolist():
        place.setdefault(_plain(value), len(place))
    codes = np.array([place[_plain(value)] for value in found.tolist()], dtype=np.int64)
    return codes[inverse.reshape(-1)] if len(found) else np.zeros(0, dtype=np.int64), tuple(place)


def _plain(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


def _kind(kind: str) -> ScoreKind:
    return "logits" if kind == "logits" else "probabilities" if kind == "probabilities" else "none"


def _squeeze(array: AnyArray) -> AnyArray:
    """Drop axes of length 1 behind the first."""
    extra = tuple(axis for axis in range(1, array.ndim) if array.shape[axis] == 1)
    return np.squeeze(array, axis=extra) if extra else array


def _describe(outputs: Mapping[str, AnyArray]) -> str:
    return ", ".join(
        f"{name} {array.dtype}{('n', *array.shape[1:])}".replace("'", "") for name, array in outputs.items()
    )


def _read_scores(
    array: AnyArray, classes: tuple[object, ...], kind: ScoreKind | None
) -> tuple[Scores, str, tuple[object, ...]]:
    raw = array.astype(np.float64)
    if raw.ndim == 1:
        return _read_single(raw, classes, kind)
    if raw.ndim != 2:
        raise SpecError(
            f"scores have the shape (n, {', '.join(map(str, raw.shape[1:]))}), expected (n, n_classes)"
        )
    width = raw.shape[1]
    if not classes:
        classes = tuple(range(width))
    elif len(classes) < width and all(_is_index(name, width) for name in classes):
        # Integer classes with gaps in the training rows: the model's scores are numbered by the class itself.
        classes = tuple(range(width))
    if len(classes) != width:
        raise SpecError(
            f"the model gives {width} scores a row, but there are {len(classes)} classes",
            hint="make the model's last layer as wide as the number of classes in the training rows",
        )
    finite = np.asarray(np.isfinite(raw).all(axis=1))
    known = raw[finite]
    sums = known.sum(axis=1)
    shares = _are_shares(known) and (np.abs(sums - 1) <= SUM_TOLERANCE).all()
    if shares if kind is None else kind == "probabilities":
        return np.clip(raw, 0, 1).astype(np.float32), "probabilities", classes
    tame = np.where(finite[:, None], raw, 0.0)
    powers = np.exp(tame - tame.max(axis=1, keepdims=True))
    scores = np.where(finite[:, None], powers / powers.sum(axis=1, keepdims=True), np.nan)
    return scores.astype(np.float32), "logits", classes


def _read_single(
    raw: Floats, classes: tuple[object, ...], kind: ScoreKind | None
) -> tuple[Scores, str, tuple[object, ...]]:
    if not classes:
        classes = (0, 1)
    if len(classes) != 2:
        raise SpecError(
            f"the model gives one score a row, but there are {len(classes)} classes",
            hint="set evaluate.task to regression if it predicts numbers",
        )
    known = raw[np.isfinite(raw)]
    if _are_shares(known) if kind is None else kind == "probabilities":
        found, own = "probabilities", np.clip(raw, 0, 1)
    else:
        found, own = "logits", np.where(raw >= 0, 1, np.exp(-np.abs(raw))) / (1 + np.exp(-np.abs(raw)))
    return np.stack([1 - own, own], axis=1).astype(np.float32), found, classes


def _are_shares(known: Floats) -> bool:
    """Whether all lie between 0 and 1, but for the rounding of 32-bit sums (a forest adds up to 1.0000001)."""
    return bool(((known >= -ROUNDING) & (known <= 1 + ROUNDING)).all())


def _is_index(name: object, width: int) -> bool:
    return isinstance(name, int) and 0 <= name < width


def _highest(scores: Scores) -> Ints:
    finite = np.isfinite(scores).all(axis=1)
    best = np.argmax(np.where(np.isfinite(scores), scores, -np.inf), axis=1)
    return np.where(finite, best, NO_CLASS).astype(np.int64)


def _read_labels(
    array: AnyArray, classes: tuple[object, ...], *, coded: bool
) -> tuple[Ints, tuple[object, ...]]:
    found = {_plain(value) for value in np.unique(array).tolist()}
    known = set(classes)
    if (
        (coded or found - known)
        and array.dtype.kind in "iu"
        and all(_is_index(value, len(classes)) for value in found)
    ):
        return array.astype(np.int64), classes
    return encode(array, classes)
