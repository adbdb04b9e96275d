"""Rows of the evaluated split as requests, and what the evaluation recorded of them beside what a server answers."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fiat.builtin.probe_server import ProbeFault
from fiat.data.dataset import open_dataset
from fiat.errors import EnvironmentFault, SpecError
from fiat.evaluate.feeds import GraphInputs, read_feeds, stack_outputs
from fiat.evaluate.folder import read_evaluation
from fiat.evaluate.judged import judged_classes, labelled
from fiat.evaluate.predictions import ScoreKind, read_values
from fiat.evaluate.rows import ClassRows, Ints, ValueRows
from fiat.evaluate.slices import show_value
from fiat.serving.tensors import (
    BYTES,
    DATATYPES,
    LABEL,
    PROBABILITIES,
    ModelInfo,
    ServedTensor,
    read_model_info,
)

AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Questions:
    """Rows that a server is asked, and what the evaluation recorded of them.

    Attributes:
        info: what the model takes and gives.
        feed: input name to array `(n_rows, ...)`.
        recorded: of the same rows.
        classes: of the training rows, None for none.
        scores: what the graph's scores are.
    """

    info: ModelInfo
    feed: Mapping[str, AnyArray]
    recorded: ClassRows | ValueRows
    classes: tuple[object, ...] | None
    scores: str

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.recorded.n_rows

    def bodies(self, rows: int) -> Iterator[bytes]:
        """The rows in order, so many a request, as JSON of the Open Inference Protocol."""
        for start in range(0, self.n_rows, rows):
            part = slice(start, start + rows)
            inputs = [_as_json(tensor, self.feed[tensor.name][part]) for tensor in self.info.inputs]
            yield json.dumps({"inputs": inputs}, allow_nan=False).encode()


@dataclass(frozen=True)
class Agreement:
    """How far answers are from what was recorded.

    Attributes:
        n_rows: compared.
        max_abs: largest difference of a score or number; infinity where one side is no number and the other is.
        wrong: rows with another label, but for ties: scores that are as close as the limit.
    """

    n_rows: int
    max_abs: float
    wrong: int


def read_questions(package: Path, evaluation: Path, dataset: Path, *, most_rows: int) -> Questions:
    """The first rows that were judged, at most so many; rows with an infinity are left out, JSON has none.

    Raises:
        EnvironmentFault: the evaluation is of other rows, or a file is damaged.
        SpecError: the data don't fit the model.
    """
    info, found, data = read_model_info(package), read_evaluation(evaluation), open_dataset(dataset)
    table = data.split(found.split).table()
    if found.rows is None or data.label is None:
        raise EnvironmentFault("there are no recorded predictions to compare with", hint="evaluate again")
    kept = labelled(table.column(data.label).combine_chunks(), found.task)
    if len(kept) != found.rows.n_rows:
        raise EnvironmentFault(
            f"the evaluation has {found.rows.n_rows} rows, the data {len(kept)}", hint="evaluate again"
        )
    chosen = kept[:most_rows]
    signature = json.loads((package / "signature.json").read_bytes())
    inputs = GraphInputs(
        layout=info.layout,
        features=info.features,
        names=tuple(item["name"] for item in signature["inputs"]),
        dtypes=tuple(item["dtype"] for item in signature["inputs"]),
    )
    feed = stack_outputs(list(read_feeds(table.take(chosen), inputs)))
    sendable = np.flatnonzero(_has_no_infinity(feed, len(chosen)))
    return Questions(
        info=info,
        feed={name: array[sendable] for name, array in feed.items()},
        recorded=found.rows.take(sendable),
        classes=data.classes,
        scores=found.scores,
    )


def read_answers(bodies: Sequence[bytes]) -> dict[str, AnyArray]:
    """The outputs of all answers one behind another: name to array `(n_rows, ...)`.

    Raises:
        ProbeFault: an answer is none of the protocol.
    """
    parts: list[dict[str, AnyArray]] = []
    try:
        for body in bodies:
            outputs = json.loads(body)["outputs"]
            parts.append({str(item["name"]): _array(item) for item in outputs})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ProbeFault(f"an answer is none of the Open Inference Protocol: {error!r}") from None


def compare(questions: Questions, answers: Mapping[str, AnyArray], limit: float) -> Agreement:
    """Hold answers against what was recorded.

    Args:
        questions: rows that were asked, all of them.
        answers: every output of the server.
        limit: difference of scores that is no difference.

    Raises:
        ProbeFault: an output or a row is missing, or can't be read as what the model predicts.
    """
    missing = [tensor.name for tensor in questions.info.answered if tensor.name not in answers]
    if missing:
        raise ProbeFault(f"the answers lack the output {missing[0]}")
    n_rows = len(next(iter(answers.values())))
    if n_rows != questions.n_rows:
        raise ProbeFault(f"{questions.n_rows} rows were asked and {n_rows} answered")
    graph = {tensor.name: answers[tensor.name] for tensor in questions.info.outputs}
    recorded = questions.recorded
    try:
        if isinstance(recorded, ValueRows):
            return Agreement(n_rows, _distance(read_values(graph), recorded.predicted), 0)
        return _compare_classes(questions, recorded, answers, graph, limit)
    except SpecError as error:
        raise ProbeFault(f"the answers can't be read: {error.message}") from None


def _compare_classes(
    questions: Questions,
    recorded: ClassRows,
    answers: Mapping[str, AnyArray],
    graph: Mapping[str, AnyArray],
    limit: float,
) -> Agreement:
    kind = cast(ScoreKind, questions.scores)
    said = judged_classes(graph, questions.classes, questions.info.labels, kind=kind)
    wanted = _names(recorded.classes, recorded.predicted)
    wrong = _names(said.classes, said.predicted) != wanted
    added = {tensor.name for tensor in questions.info.added}
    if LABEL in added:
        plain = {show_value(value): {show_value(value), str(value)} for value in recorded.classes}
        texts = [str(value) for value in answers[LABEL].reshape(-1).tolist()]
        told = [text not in plain.get(name, {""}) for text, name in zip(texts, wanted.tolist(), strict=True)]
        # Where no class was recorded, the label says so in a way of its own.
        wrong |= np.array(told, bool) & (wanted != "")
    distance = 0.0
    if recorded.scores is not None:
        wrong &= ~_is_tie(recorded.scores, limit)
        if said.scores is None:
            raise ProbeFault("the answers have no scores, and the recorded predictions have")
        distance = _distance(said.scores, recorded.scores)
        if PROBABILITIES in added:
            distance = max(distance, _distance(answers[PROBABILITIES], recorded.scores))
    return Agreement(recorded.n_rows, distance, int(np.count_nonzero(wrong)))


def _names(classes: Sequence[object], codes: Ints) -> AnyArray:
    """The class of each row in words; empty for none, whose code is -1."""
    return np.array([*map(show_value, classes), ""], object)[codes]


def _is_tie(scores: AnyArray, limit: float) -> npt.NDArray[np.bool_]:
    """Rows whose two highest scores are so close that either may be the higher one."""
    if scores.shape[1] < 2:
        return np.zeros(len(scores), bool)
    top = np.sort(scores, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0] <= 2 * limit)


def _distance(mine: AnyArray, theirs: AnyArray) -> float:
    """Largest difference over the columns that both have: classes that only labels had have no score."""
    if mine.ndim == 2:
        width = min(mine.shape[1], theirs.shape[1])
        mine, theirs = mine[:, :width], theirs[:, :width]
    left, right = mine.astype(np.float64), theirs.astype(np.float64)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        away = np.where(same, 0.0, np.abs(left - right))
    return float(np.where(np.isnan(away), math.inf, away).max(initial=0.0))


def _has_no_infinity(feed: Mapping[str, AnyArray], n_rows: int) -> npt.NDArray[np.bool_]:
    good = np.ones(n_rows, bool)
    for array in feed.values():
        if array.dtype.kind == "f":
            good &= ~np.isinf(array).reshape(n_rows, -1).any(axis=1)
    return good


def _as_json(tensor: ServedTensor, array: AnyArray) -> dict[str, object]:
    values = array.reshape(-1).tolist()
    if array.dtype.kind == "f":
        values = [None if math.isnan(value) else value for value in values]
    return {"name": tensor.name, "shape": array.shape, "datatype": tensor.datatype, "data": values}


def _array(item: Mapping[str, Any]) -> AnyArray:
    dtype = DATATYPES[item["datatype"]]
    data = item["data"]
    if item["datatype"] == BYTES:
        return np.array(data, object).reshape(item["shape"])
    if dtype.kind == "f":
        data = [math.nan if value is None else value for value in data]
    return np.array(data, dtype).reshape(item["shape"])
