"""What an exported model takes and gives: names, shapes, dtypes, labels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from fiat.errors import SpecError

Dimension = int | None
_STRING = "string"


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: in the graph.
        dtype: NumPy name such as `float32`, or `string`.
        shape: None where any size goes; the first is the batch.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]


@dataclass(frozen=True)
class Signature:
    """How a model is called.

    Attributes:
        inputs: in order.
        outputs: in order.
        layout: `matrix`, `tensor` or `columns`: how data columns become inputs (see `fiat.data.layout`).
        features: data columns in order.
        labels: class labels in the order of the scores; None for regression.
        opset: of ONNX's own domain.
        producer: what exported the graph.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    layout: str
    features: tuple[str, ...]
    labels: tuple[object, ...] | None
    opset: int
    producer: str

    def write(self, path: Path) -> None:
        """Write as JSON, the same bytes for the same signature."""
        path.write_text(json.dumps(asdict(self), indent=2, sort_keys=True) + "\n", "utf-8")


def read_signature(
    path: Path,
    *,
    layout: str,
    features: Sequence[str],
    labels: Sequence[object],
    sample: Mapping[str, np.ndarray],
) -> Signature:
    """Read the signature of a graph and compare it with what the data gives.

    Args:
        path: an ONNX file that passed `precheck_model`.
        layout: how the data's columns become inputs.
        features: data columns in order.
        labels: class labels; empty for regression. Left out of the signature when no output can be a class or the
            scores of that many classes.
        sample: input name to array: what the graph will be fed with.

    Raises:
        SpecError: an input is missing or of another type, or the first axis is not free.
    """
    graph = onnx.load(str(path), load_external_data=False)
    stored = {item.name for item in graph.graph.initializer}
    inputs = tuple(_tensor(item) for item in graph.graph.input if item.name not in stored)
    outputs = tuple(_tensor(item) for item in graph.graph.output)
    for tensor in (*inputs, *outputs):
        if tensor.shape and tensor.shape[0] is not None:
            raise SpecError(
                f"{tensor.name} of the exported model takes only batches of {tensor.shape[0]}",
                hint="the first axis must be free; don't fix the batch size in the model's code",
            )
    _compare(inputs, sample)
    opset = next((item.version for item in graph.opset_import if item.domain in ("", "ai.onnx")), 0)
    known = tuple(labels) if _tells_classes(outputs, len(labels)) else None
    return Signature(inputs, outputs, layout, tuple(features), known, opset, graph.producer_name or "unknown")


def _tells_classes(outputs: tuple[Tensor, ...], n_classes: int) -> bool:
    """Whether an output can be a class each row: a label, a score for each class, or one score for two classes."""
    if n_classes == 0:
        return False
    for tensor in outputs:
        width = tensor.shape[1] if len(tensor.shape) > 1 else 1
        if not tensor.dtype.startswith("float") or width in (None, n_classes) or (width, n_classes) == (1, 2):
            return True
    return False


def _compare(inputs: tuple[Tensor, ...], sample: Mapping[str, np.ndarray]) -> None:
    if len(inputs) != len(sample):
        raise SpecError(
            f"the exported model takes {len(inputs)} inputs, but the data gives {len(sample)}",
            hint=f"model: {', '.join(item.name for item in inputs)}; data: {', '.join(sample)}",
        )
    arrays = dict(sample)
    for index, tensor in enumerate(inputs):
        array = arrays.get(tensor.name, list(arrays.values())[index])
        dtype = _STRING if array.dtype.kind in "OUS" else array.dtype.name
        if dtype != tensor.dtype:
            raise SpecError(
                f"input {tensor.name} of the exported model is {tensor.dtype}, but the data gives {dtype}",
                hint="convert inside the model, so that the served graph takes the raw data",
            )


def _tensor(item: Any) -> Tensor:
    kind = item.type.tensor_type
    if not item.type.HasField("tensor_type"):
        raise SpecError(
            f"{item.name} of the exported model is no tensor", hint="switch off sequence and map outputs"
        )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    name = _STRING if kind.elem_type == onnx.TensorProto.STRING else dtype.name
    shape = tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim)
    return Tensor(item.name, name, shape)
