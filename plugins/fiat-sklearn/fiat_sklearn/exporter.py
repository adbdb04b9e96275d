"""Fitted scikit-learn estimators to ONNX by skl2onnx."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import BooleanTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.base import BaseEstimator, is_classifier

from fiat.errors import SpecError
from fiat.ports.exporter import ExportRequest

_FILE = "model.joblib"


class SklearnExporter:
    """Takes any fitted estimator or pipeline that skl2onnx knows.

    Classifiers give `label` and `probabilities`, regressors give `variable`. Trees compare 32-bit numbers in the graph
    and 64-bit ones in scikit-learn: a value that lies exactly on a threshold can fall on the other side; parity shows it.
    """

    name = "sklearn"
    version = "1"
    frameworks = ("sklearn",)
    packages = ("scikit-learn", "skl2onnx", "onnx", "numpy")

    def save(self, model: BaseEstimator, folder: Path) -> None:
        """Write the estimator by joblib.

        Raises:
            SpecError: something in it can't be pickled.
        """
        try:
            joblib.dump(model, folder / _FILE)
        except (TypeError, AttributeError) as error:
            raise SpecError(f"the estimator can't be saved: {error}", hint="no lambdas or local functions in it") from error

    def load(self, folder: Path) -> BaseEstimator:
        """Read what `save` wrote; unpickling runs the user's code, so only in the user's own process."""
        return joblib.load(folder / _FILE)

    def export(self, model: BaseEstimator, request: ExportRequest) -> None:
        """Convert with a free first axis.

        Raises:
            SpecError: skl2onnx has no converter for a part of it.
        """
        types = [(name, _type_of(array)) for name, array in request.sample.items()]
        options = {id(model): {"zipmap": False}} if is_classifier(model) else None
        try:
            graph = convert_sklearn(model, initial_types=types, target_opset=request.opset, options=options)
        except Exception as error:
            first = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise SpecError(f"skl2onnx can't convert the estimator: {first}") from error
        request.path.write_bytes(graph.SerializeToString(deterministic=True))

    def predict(self, model: Any, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the estimator itself: one array, or a table by column name."""
        table = next(iter(inputs.values())) if len(inputs) == 1 else _table(model, inputs)
        if not is_classifier(model):
            return {"variable": np.asarray(model.predict(table), np.float32).reshape(len(table), -1)}
        labels = np.asarray(model.predict(table))
        if hasattr(model, "predict_proba"):
            scores = model.predict_proba(table)
        else:
            scores = model.decision_function(table).reshape(len(table), -1)
        return {"label": labels, "probabilities": np.asarray(scores, np.float32)}


def _type_of(array: np.ndarray) -> Any:
    shape = [None, *array.shape[1:]]
    if array.dtype.kind in "OUS":
        return StringTensorType(shape)
    if array.dtype.kind == "b":
        return BooleanTensorType(shape)
    return Int64TensorType(shape) if array.dtype.kind in "iu" else FloatTensorType(shape)


def _table(model: Any, inputs: Mapping[str, np.ndarray]) -> Any:
    """Columns side by side: an object array `(n_rows, n_columns)`, as an estimator fitted on arrays takes them."""
    columns = [array.reshape(len(array), -1).astype(object) for array in inputs.values()]
    return np.concatenate(columns, axis=1)
