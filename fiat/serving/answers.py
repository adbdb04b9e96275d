"""The class that a model found and how sure it is, in words a client can use, beside what its graph gives.

The rules are those of `fiat.evaluate.predictions`, so that a served model answers what was evaluated; only here one row
comes at a time, so nothing may depend on the other rows of a batch. One row is worked out in plain Python: for a few
classes that takes a third of the time of NumPy's calls.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from fiat.errors import EnvironmentFault
from fiat.serving.requests import AnyArray
from fiat.serving.tensors import BYTES, LABEL, PROBABILITIES, ModelInfo, find_class_outputs, label_datatype

SUM_TOLERANCE, ROUNDING = 1e-3, 1e-5
"""As in `fiat.evaluate.predictions`, which the server must not load: it brings Arrow."""
NO_CLASS, NO_TEXT = -1, ""
"""The label of a row whose scores are not finite."""
_FEW = 64


class Answerer:
    """Adds `label` and `probabilities` to the outputs of one model; made once a version."""

    def __init__(self, info: ModelInfo) -> None:
        added = {tensor.name for tensor in info.added}
        found = find_class_outputs(info.outputs, info.labels) if added else None
        self._label = found.label.name if found and found.label else None
        self._scores = found.scores.name if found and found.scores else None
        self._classes = found.classes if found else ()
        self._kind = info.scores
        self._adds_label, self._adds_shares = LABEL in added, PROBABILITIES in added
        self._as_text = label_datatype(self._classes, found.label if found else None) == BYTES
        names = [*map(_text, self._classes), NO_TEXT] if self._as_text else [*self._classes, NO_CLASS]
        self._names = np.array(names, object if self._as_text else np.int64)
        self._places = {name: index for index, name in enumerate(self._classes)}

    def add(self, outputs: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """The graph's outputs and what is added to them.

        Args:
            outputs: name to array, first axis rows.

        Raises:
            EnvironmentFault: the model gives another number of scores than it has classes.
        """
        answer = dict(outputs)
        if not (self._adds_label or self._adds_shares):
            return answer
        codes = shares = None
        if self._scores is not None:
            codes, shares = self._judge(outputs[self._scores])
        if self._adds_label:
            if self._label is not None:
                answer[LABEL] = self._named(outputs[self._label])
            elif codes is not None:
                answer[LABEL] = self._names[codes]
        if self._adds_shares and shares is not None:
            answer[PROBABILITIES] = shares
        return answer

    def _judge(self, scores: AnyArray) -> tuple[Any, AnyArray | None]:
        """Index of the class `(n_rows,)`, -1 where scores are not finite, and probabilities `(n_rows, n_classes)`."""
        n_rows, n_classes = len(scores), len(self._classes)
        width = scores.size // n_rows if n_rows else n_classes
        if width != n_classes and (width, n_classes) != (1, 2):
            raise EnvironmentFault(
                f"the model gives {width} scores a row, but has {n_classes} classes", hint="train it again"
            )
        if n_rows == 1 and n_classes <= _FEW:
            row = scores.ravel().tolist()
            if math.isfinite(sum(row)):
                return self._judge_one(row)
        return self._judge_many(scores.reshape(n_rows, width).astype(np.float64))

    def _judge_one(self, row: list[float]) -> tuple[Any, AnyArray | None]:
        if len(row) == 1 and len(self._classes) == 2:
            only = row[0]
            if self._kind == "logits" or (self._kind == "unknown" and not _is_share(only)):
                only = 1 / (1 + math.exp(-only)) if only >= 0 else math.exp(only) / (1 + math.exp(only))
            only = min(1.0, max(0.0, only))
            row, given = [1 - only, only], True
        else:
            given = self._kind != "logits" and (self._kind != "unknown" or _are_shares(row))
        top = max(row)
        code = [row.index(top)]
        if not self._adds_shares:
            return code, None
        if not given:
            powers = [math.exp(value - top) for value in row]
            total = sum(powers)
            row = [power / total for power in powers]
        elif self._kind == "unknown":
            row = [min(1.0, max(0.0, value)) for value in row]
        return code, np.array([row], np.float32)

    def _judge_many(self, scores: AnyArray) -> tuple[Any, AnyArray | None]:
        finite = np.asarray(np.isfinite(scores).all(axis=1))
        tame = np.where(finite[:, None], scores, 0.0)
        given: AnyArray
        if scores.shape[1] == 1 and len(self._classes) == 2:
            tame, given = _both(tame, self._kind), np.ones(len(scores), bool)
        elif self._kind == "unknown":
            near = np.abs(tame.sum(axis=1) - 1) <= SUM_TOLERANCE
            given = np.asarray(((tame >= -ROUNDING) & (tame <= 1 + ROUNDING)).all(axis=1) & near)
        else:
            given = np.full(len(scores), self._kind != "logits")
        codes = np.where(finite, tame.argmax(axis=1), NO_CLASS)
        if not self._adds_shares:
            return codes, None
        powers = np.exp(tame - tame.max(axis=1, keepdims=True))
        shares = np.where(given[:, None], np.clip(tame, 0, 1), powers / powers.sum(axis=1, keepdims=True))
        shares[~finite] = np.nan
        return codes, shares.astype(np.float32)

    def _named(self, found: AnyArray) -> AnyArray:
        """Labels that the graph gives, by name: an integer that is no class is the index of one."""
        names = []
        for value in found.reshape(-1).tolist():
            known = value in self._places and type(value) in map(type, self._classes)
            if not known and type(value) is int and 0 <= value < len(self._classes):
                value = self._classes[value]
            names.append(_text(value) if self._as_text else value)
        return np.array(names, self._names.dtype)


def _text(label: object) -> str:
    if isinstance(label, bool):
        return "true" if label else "false"
    return label if isinstance(label, str) else str(label)


def _is_share(value: float) -> bool:
    return -ROUNDING <= value <= 1 + ROUNDING


def _are_shares(row: list[float]) -> bool:
    return abs(sum(row) - 1) <= SUM_TOLERANCE and all(map(_is_share, row))


def _both(scores: AnyArray, kind: str) -> AnyArray:
    """Probabilities of both classes `(n_rows, 2)` from one score `(n_rows, 1)`."""
    away = np.exp(-np.abs(scores))
    second = np.where(scores >= 0, 1, away) / (1 + away)
    if kind == "probabilities":
        second = np.clip(scores, 0, 1)
    elif kind == "unknown":
        shares = (scores >= -ROUNDING) & (scores <= 1 + ROUNDING)
        second = np.where(shares, np.clip(scores, 0, 1), second)
    return cast(AnyArray, np.concatenate([1 - second, second], axis=1))
