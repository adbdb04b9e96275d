"""From a model's outputs and a label column to judged rows: which task it is, which rows count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fiat.errors import SpecError
from fiat.evaluate.catalog import Task
from fiat.evaluate.predictions import (
    ClassOutput,
    ScoreKind,
    class_rows,
    read_classes,
    read_values,
    single_numbers,
)
from fiat.evaluate.rows import Ints, Rows, ValueRows

AnyArray = npt.NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Judged:
    """Rows ready to be measured.

    Attributes:
        task: kind of prediction.
        rows: those with a label.
        kept: their positions in the split, `(n_kept,)`.
        scores: what class scores were: `probabilities`, `logits` or `none`.
        warnings: a sentence for rows without a label and for labels that the model doesn't know.
    """

    task: Task
    rows: Rows
    kept: Ints
    scores: str
    warnings: tuple[str, ...]


def judge_rows(
    outputs: Mapping[str, AnyArray],
    labels: Any,
    *,
    task: Task | None,
    classes: Sequence[object] | None,
    model_labels: Sequence[object] | None,
) -> Judged:
    """Put a model's outputs beside the labels.

    Args:
        outputs: name to array `(n_rows, ...)`.
        labels: Arrow array of n_rows labels, nulls where there is none.
        task: as the user says, or None: then it is a classification when the labels are classes and the model doesn't
            give a single number a row for more than two of them.
        classes: distinct labels of the training rows; None when they are no classes or too many.
        model_labels: class of each of the model's scores, as its signature says; None leaves it to `classes`.

    Raises:
        SpecError: no row has a label, or the outputs don't fit the task.
    """
    found = task or infer_task(outputs, labels.type, classes, model_labels)
    kept = labelled(labels, found)
    said = []
    if len(kept) == 0:
        raise SpecError("no row of the split has a label", hint="look at the label column of the data")
    if len(kept) < len(labels):
        said.append(f"{len(labels) - len(kept)} of {len(labels)} rows have no label and were left out")
    truth = labels.take(pa.array(kept))
    if found == "regression":
        values = read_values(outputs)
        return Judged(found, ValueRows(_numbers(truth), values[kept]), kept, "none", tuple(said))
    output = judged_classes({name: array[kept] for name, array in outputs.items()}, classes, model_labels)
    rows = class_rows(output, _class_labels(truth))
    unknown = int(np.count_nonzero(rows.labels >= len(output.classes)))
    if unknown == rows.n_rows:
        raise SpecError(
            f"the model knows none of the labels: it has {_few(output.classes)}, the data has "
            f"{_few(rows.classes[len(output.classes) :])}",
            hint="the labels or their type changed since the model was made",
        )
    if unknown:
        said.append(f"{unknown} rows have a label that the model doesn't know; they count as wrong")
    return Judged(found, rows, kept, output.kind, tuple(said))


def labelled(labels: Any, task: Task) -> Ints:
    """Positions of the rows that are judged, those with a label, `(n_kept,)`; `labels` is an Arrow array."""
    return np.flatnonzero(_has_label(labels, task))


def judged_classes(
    outputs: Mapping[str, AnyArray],
    classes: Sequence[object] | None,
    model_labels: Sequence[object] | None,
    *,
    kind: ScoreKind | None = None,
) -> ClassOutput:
    """What a model said of the class of each row; arguments as in `judge_rows` and `read_classes`."""
    coded = _are_codes(model_labels, classes)
    known = classes if coded else model_labels or classes
    return read_classes(outputs, known, coded=coded, kind=kind)


def _are_codes(model_labels: Sequence[object] | None, classes: Sequence[object] | None) -> bool:
    """Whether a model that says its labels are 0, 1, 2, ... was trained on indexes of the classes, not on the labels."""
    if not model_labels or not classes or set(model_labels) <= set(classes):
        return False
    return list(model_labels) == list(range(len(classes)))


def _few(classes: Sequence[object]) -> str:
    return ", ".join(repr(name) for name in classes[:5]) + (", ..." if len(classes) > 5 else "")


def infer_task(
    outputs: Mapping[str, AnyArray],
    label_type: Any,
    classes: Sequence[object] | None,
    model_labels: Sequence[object] | None,
) -> Task:
    """The task that nobody named, see `judge_rows`."""
    known = model_labels or classes
    if pa.types.is_floating(label_type) or pa.types.is_decimal(label_type):
        return "classification" if model_labels else "regression"
    if pa.types.is_integer(label_type) and (not known or (len(known) > 2 and single_numbers(outputs))):
        return "regression"
    return "classification"


def _has_label(labels: Any, task: Task) -> npt.NDArray[np.bool_]:
    known = labels.is_valid().to_numpy(zero_copy_only=False)
    if task == "regression" and pa.types.is_floating(labels.type):
        known = known & np.isfinite(labels.to_numpy(zero_copy_only=False))
    return np.asarray(known, dtype=np.bool_)


def _numbers(labels: Any) -> npt.NDArray[np.float64]:
    kind = labels.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise SpecError(
            f"the labels hold {kind}, but the task is regression", hint="set evaluate.task to classification"
        )
    return np.asarray(labels.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _class_labels(labels: Any) -> AnyArray:
    if pa.types.is_nested(labels.type) or isinstance(labels.type, pa.BaseExtensionType):
        raise SpecError(f"the labels hold {labels.type}, expected one value a row")
    if pa.types.is_dictionary(labels.type):
        labels = labels.dictionary_decode()
    return np.asarray(labels.to_numpy(zero_copy_only=False))
