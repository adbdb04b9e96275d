"""Exporter `sklearn`: a fitted estimator or pipeline becomes an ONNX graph by skl2onnx."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fiat.errors import SpecError
from fiat.ports.exporter import ExportRequest
from fiat_sklearn.converters import conversion_options, own_converters
from fiat_sklearn.inputs import as_table, declared

FILE = "model.joblib"
LABEL, SCORES, VALUE = "label", "probabilities", "variable"
_ML_OPSET = 3
"""Of the domain ai.onnx.ml: the newest that every converter of skl2onnx writes."""


class SklearnExporter:
    """Takes a fitted classifier or regressor, or a pipeline that ends in one.

    Outputs: `label` (int64 or texts) and, when the classifier has `predict_proba`, `probabilities` float32
    `(n_rows, n_classes)`; `variable` float32 `(n_rows, 1)` of a regressor.
    """

    name = "sklearn"
    version = "1"
    frameworks = ("sklearn",)
    packages = ("onnx", "scikit-learn", "skl2onnx")

    def save(self, model: Any, folder: Path) -> None:
        """Pickle the estimator to `model.joblib`.

        Raises:
            SpecError: it is not fitted, or holds what can't be pickled.
        """
        try:
            check_is_fitted(model)
        except (NotFittedError, TypeError) as error:
            raise SpecError(
                f"the {type(model).__name__} is not fitted: {error}", hint="return the fitted one"
            ) from None
        try:
            joblib.dump(model, folder / FILE)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise SpecError(
                f"the {type(model).__name__} can't be saved: {error}",
                hint="define every class and function that it keeps at the top level of a module: no lambda",
            ) from None

    def load(self, folder: Path) -> Any:
        """Read the estimator back. Runs code of whoever wrote it."""
        return joblib.load(folder / FILE)

    def export(self, model: Any, request: ExportRequest) -> None:
        """Convert the estimator.

        Raises:
            SpecError: it is neither classifier nor regressor, or a part of it has no converter.
        """
        outputs = _outputs(model)
        opset: Any = None if request.opset is None else {"": request.opset, "ai.onnx.ml": _ML_OPSET}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graph = convert_sklearn(
                    model,
                    name="model",
                    initial_types=declared(request.sample),
                    options=conversion_options(model) if outputs != (VALUE,) else None,
                    custom_conversion_functions=own_converters(),
                    target_opset=opset,
                )
        except (MissingConverter, MissingShapeCalculator) as error:
            raise SpecError(
                f"skl2onnx can't convert a part of the {type(model).__name__}: {_first_line(error)}",
                hint="use an estimator of its list of supported ones",
            ) from None
        except (RuntimeError, NotImplementedError, NameError, ValueError, TypeError) as error:
            raise SpecError(f"skl2onnx failed on the {type(model).__name__}: {_first_line(error)}") from error
        made = [item.name for item in graph.graph.output]
        if made[: len(outputs)] != list(outputs):
            raise SpecError(f"skl2onnx gave the outputs {', '.join(made)}, expected {', '.join(outputs)}")
        if len(made) > len(outputs):
            graph = select_model_inputs_outputs(graph, list(outputs))
        request.path.write_bytes(_tidy(graph).SerializeToString(deterministic=True))

    def predict(self, model: Any, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the estimator itself."""
        table = as_table(model, inputs)
        outputs = _outputs(model)
        predicted = np.asarray(model.predict(table))
        if outputs == (VALUE,):
            return {VALUE: predicted.astype(np.float32).reshape(len(predicted), -1)}
        found = {LABEL: predicted.astype(np.int64) if predicted.dtype.kind in "biu" else predicted}
        if SCORES in outputs:
            found[SCORES] = np.asarray(model.predict_proba(table)).astype(np.float32)
        return found


def _outputs(model: Any) -> tuple[str, ...]:
    if is_regressor(model):
        return (VALUE,)
    if not is_classifier(model):
        raise SpecError(
            f"a {type(model).__name__} is neither a classifier nor a regressor",
            hint="return the last step together with what prepares its input, as a Pipeline",
        )
    if isinstance(getattr(model, "classes_", None), list):
        raise SpecError(
            f"the {type(model).__name__} predicts several labels a row", hint="train a model for each"
        )
    return (LABEL, SCORES) if hasattr(model, "predict_proba") else (LABEL,)


def _tidy(graph: Any) -> Any:
    """The model with each operator set named once: skl2onnx repeats some."""
    versions: dict[str, int] = {}
    for item in graph.opset_import:
        versions[item.domain] = max(item.version, versions.get(item.domain, 0))
    del graph.opset_import[:]
    for domain, version in sorted(versions.items()):
        graph.opset_import.add(domain=domain, version=version)
    return graph


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
