"""What `mlflow.pyfunc` loads: a packaged model that takes raw columns and answers outputs, `label` and `probabilities`.

This file lies in the model's folder and is loaded without Fiat: it needs NumPy, pandas and onnxruntime. What a model's
outputs mean was worked out when the folder was made and is read from `plan.json`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd  # type: ignore[import-untyped]  # pandas brings no types

_MOST_ROWS = 1024
_SUM_TOLERANCE, _ROUNDING = 1e-3, 1e-5


class Scorer:
    """A loaded model.

    Args:
        package: folder of Fiat's package; `plan.json` lies beside it.
    """

    def __init__(self, package: Path) -> None:
        self._plan: dict[str, Any] = json.loads((package.parent / "plan.json").read_bytes())
        options = ort.SessionOptions()
        options.log_severity_level = 4
        self._session = ort.InferenceSession(
            str(package / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._names = [item.name for item in self._session.get_outputs()]

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Answers for rows.

        Args:
            model_input: a data frame with the model's columns; for models that take tensors also an array
                `(n_rows, ...)`, or input name to array.
            params: none are known.

        Returns:
            A row for each: the outputs of the graph, and for classifiers `label` and `probabilities`. What has more than
            a value a row is a list in a cell.
        """
        feed = self._feed(model_input)
        n_rows = len(next(iter(feed.values())))
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self._names}
        for start in range(0, max(n_rows, 1), _MOST_ROWS):
            part = {name: array[start : start + _MOST_ROWS] for name, array in feed.items()}
            for name, array in zip(self._names, self._session.run(self._names, part), strict=True):
                parts[name].append(array)
        outputs = {name: np.concatenate(arrays) for name, arrays in parts.items()}
        outputs |= self._meaning(outputs)
        index = model_input.index if isinstance(model_input, pd.DataFrame) else None
        return pd.DataFrame({name: _cells(array) for name, array in outputs.items()}, index=index)

    def _feed(self, given: Any) -> dict[str, np.ndarray]:
        inputs = self._plan["inputs"]
        if isinstance(given, np.ndarray):
            given = {inputs[0]["name"]: given}
        if self._plan["layout"] == "matrix" and isinstance(given, pd.DataFrame):
            return {inputs[0]["name"]: given[self._plan["features"]].to_numpy(np.float32)}
        return {item["name"]: _input(given[item["column"]], item) for item in inputs}

    def _meaning(self, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        plan, found = self._plan, {}
        shares = None
        if plan["scores"] is not None:
            scores = outputs[plan["scores"]]
            codes, shares = _judge(
                scores.reshape(len(scores), int(np.prod(scores.shape[1:]))).astype(np.float64), plan
            )
            if "label" in plan["added"] and plan["label"] is None:
                names = [*plan["names"], plan["no_class"]]
                found["label"] = np.array(names, object if plan["as_text"] else np.int64)[codes]
        if "label" in plan["added"] and plan["label"] is not None:
            found["label"] = _named(outputs[plan["label"]], plan)
        if "probabilities" in plan["added"] and shares is not None:
            found["probabilities"] = shares
        return found


def _input(values: Any, item: dict[str, Any]) -> np.ndarray:
    """One input of the graph from a column, or an array of its own shape."""
    if not isinstance(values, pd.Series):
        return np.asarray(values, object if item["dtype"] == "string" else item["dtype"])
    if item["dtype"] == "string":
        if pd.api.types.is_datetime64_any_dtype(values):
            zone = getattr(values.dtype, "tz", None)
            values = (values.dt.tz_convert("UTC") if zone else values).dt.strftime(
                "%Y-%m-%dT%H:%M:%S" + ("Z" if zone else "")
            )
        texts = ["" if pd.isna(value) else str(value) for value in values.tolist()]
        return np.array(texts, object).reshape(-1, 1)
    if len(item["shape"]) > 2:
        return np.array(values.tolist(), item["dtype"])
    return np.asarray(values.to_numpy(item["dtype"], na_value=np.nan)).reshape(-1, 1)


def _judge(scores: np.ndarray, plan: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Index of the class, -1 where scores are not finite, and probabilities `(n_rows, n_classes)`."""
    kind = plan["kind"]
    finite = np.isfinite(scores).all(axis=1)
    tame = np.where(finite[:, None], scores, 0.0)
    if scores.shape[1] == 1 and len(plan["names"]) == 2:
        tame, given = _both(tame, kind), np.ones(len(scores), bool)
    elif kind == "unknown":
        near = np.abs(tame.sum(axis=1) - 1) <= _SUM_TOLERANCE
        given = ((tame >= -_ROUNDING) & (tame <= 1 + _ROUNDING)).all(axis=1) & near
    else:
        given = np.full(len(scores), kind != "logits")
    codes = np.where(finite, tame.argmax(axis=1), -1)
    powers = np.exp(tame - tame.max(axis=1, keepdims=True))
    shares = np.where(given[:, None], np.clip(tame, 0, 1), powers / powers.sum(axis=1, keepdims=True))
    shares[~finite] = np.nan
    return codes, shares.astype(np.float32)


def _both(scores: np.ndarray, kind: str) -> np.ndarray:
    """Probabilities of both classes from one score `(n_rows, 1)`."""
    away = np.exp(-np.abs(scores))
    second = np.where(scores >= 0, 1, away) / (1 + away)
    if kind == "probabilities":
        second = np.clip(scores, 0, 1)
    elif kind == "unknown":
        shares = (scores >= -_ROUNDING) & (scores <= 1 + _ROUNDING)
        second = np.where(shares, np.clip(scores, 0, 1), second)
    return np.concatenate([1 - second, second], axis=1)


def _named(found: np.ndarray, plan: dict[str, Any]) -> np.ndarray:
    """Labels that the graph gives, by name: an integer that is no class is the index of one."""
    classes, names = plan["classes"], []
    for value in found.reshape(-1).tolist():
        known = any(value == item and type(value) is type(item) for item in classes)
        if not known and type(value) is int and 0 <= value < len(classes):
            value = classes[value]
        names.append(_text(value) if plan["as_text"] else value)
    return np.array(names, object if plan["as_text"] else np.int64)


def _text(label: object) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def _cells(array: np.ndarray) -> Any:
    if array.ndim > 1 and array.shape[1:] == (1,):
        array = array.reshape(-1)
    return array if array.ndim == 1 else array.tolist()


def _load_pyfunc(path: str) -> Scorer:
    """What MLflow calls, with the path of the package."""
    return Scorer(Path(path))
