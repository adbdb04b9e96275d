"""A model's inputs as scikit-learn wants them, and as skl2onnx declares them."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from fiat.errors import SpecError


def as_table(model: Any, inputs: Mapping[str, np.ndarray]) -> Any:
    """Inputs as one table for `predict`.

    A model that was fitted on a data frame is given one again, since it looks columns up by name. Any other is given an
    array `(n_rows, n_columns)`: float32, or objects when some columns hold texts.

    Raises:
        SpecError: the model wants a data frame and pandas is not installed.
    """
    arrays = [array.reshape(len(array), -1) for array in inputs.values()]
    if getattr(model, "feature_names_in_", None) is None or len(arrays) == 1:
        return arrays[0] if len(arrays) == 1 else np.hstack(arrays)
    try:
        frame = importlib.import_module("pandas").DataFrame
    except ModuleNotFoundError:
        raise SpecError(
            "the model was fitted on a data frame, but pandas is not installed",
            hint="pip install pandas, or fit on an array: np.hstack(list(data.train.inputs.values()))",
        ) from None
    return frame({name: array.reshape(-1) for name, array in inputs.items()})


def declared(inputs: Mapping[str, np.ndarray]) -> list[tuple[str, Any]]:
    """Name and skl2onnx type of each input, first axis free.

    Raises:
        SpecError: an input is no table of numbers or texts.
    """
    types = []
    for name, array in inputs.items():
        if array.ndim != 2:
            raise SpecError(
                f"{name} has the shape (n, {', '.join(map(str, array.shape[1:]))}), scikit-learn takes tables only",
                hint="flatten it in a step before, or use a framework for tensors",
            )
        if array.dtype.kind not in "OUS" and array.dtype != np.float32:
            raise SpecError(
                f"{name} is {array.dtype}, scikit-learn models are exported for float32 and texts"
            )
        kind = StringTensorType if array.dtype.kind in "OUS" else FloatTensorType
        types.append((name, kind([None, array.shape[1]])))
    return types
