"""What skl2onnx needs to be told about single estimators."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from skl2onnx.operator_converters.random_forest import (
    convert_sklearn_random_forest_classifier,
    convert_sklearn_random_forest_regressor_converter,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

Convert = Callable[[Any, Any, Any], None]


def own_converters() -> dict[type, Convert]:
    """Converters that replace those of skl2onnx.

    Histogram gradient boosting: skl2onnx 1.20 puts NumPy bools among the integers of the tree node, which protobuf 6 and
    later refuse.
    """
    return {
        HistGradientBoostingClassifier: _with_plain_integers(convert_sklearn_random_forest_classifier),
        HistGradientBoostingRegressor: _with_plain_integers(
            convert_sklearn_random_forest_regressor_converter
        ),
    }


def conversion_options(model: Any) -> dict[Any, Any]:
    """Options that make a classifier give its scores as an array and not as a list of mappings.

    `LinearSVC` alone doesn't know the option, and a pipeline would set it by itself unless its step has options.
    """
    last = model
    while isinstance(last, Pipeline) or hasattr(last, "best_estimator_"):
        last = last.best_estimator_ if hasattr(last, "best_estimator_") else last.steps[-1][1]
    return {id(last): {}} if isinstance(last, LinearSVC) else {"zipmap": False}


class _PlainIntegers:
    """skl2onnx's container of nodes, which takes bools in attributes for the integers that they are."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *arguments: Any, **attributes: Any) -> None:
        """Add a node, see skl2onnx."""
        self._container.add_node(*arguments, **_plain(attributes))


def _with_plain_integers(convert: Convert) -> Convert:
    def converted(scope: Any, operator: Any, container: Any) -> None:
        convert(scope, operator, _PlainIntegers(container))

    return converted


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [int(item) if isinstance(item, (bool, np.bool_, np.integer)) else item for item in value]
        if isinstance(value, list)
        else value
        for name, value in attributes.items()
    }
