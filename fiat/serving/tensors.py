"""What a served model takes and gives, in the words of the Open Inference Protocol.

Read from a package's `signature.json` and `manifest.json` with nothing but the standard library and NumPy: the server
must not load ONNX or Arrow to know its models.

Source: https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, "Tensor Data Types".
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np

from fiat.errors import EnvironmentFault

BYTES = "BYTES"
DATATYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "BOOL": np.dtype(np.bool_),
        "UINT8": np.dtype(np.uint8),
        "UINT16": np.dtype(np.uint16),
        "UINT32": np.dtype(np.uint32),
        "UINT64": np.dtype(np.uint64),
        "INT8": np.dtype(np.int8),
        "INT16": np.dtype(np.int16),
        "INT32": np.dtype(np.int32),
        "INT64": np.dtype(np.int64),
        "FP16": np.dtype(np.float16),
        "FP32": np.dtype(np.float32),
        "FP64": np.dtype(np.float64),
        BYTES: np.dtype(object),
    }
)
"""The protocol's names; texts are arrays of `str` objects."""
LABEL, PROBABILITIES = "label", "probabilities"
PLATFORM = "onnx_onnxv1"

ScoreKind = Literal["probabilities", "logits", "none", "unknown"]


@dataclass(frozen=True)
class ServedTensor:
    """An input or output.

    Attributes:
        name: in the graph.
        datatype: the protocol's name, a key of `DATATYPES`.
        shape: -1 where any size goes; the first axis is the rows.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the arrays; `object` for texts."""
        return DATATYPES[self.datatype]

    def __str__(self) -> str:
        return f"{self.datatype} {list(self.shape)}"


@dataclass(frozen=True)
class ModelInfo:
    """A model as clients see it.

    Attributes:
        name: that clients use.
        inputs: of the graph, in order.
        outputs: of the graph, in order.
        added: what the server answers beside the graph's outputs: `label`, `probabilities`.
        labels: classes in the order of the scores; None when it predicts numbers.
        layout: `matrix`, `tensor`, `columns` or `raw`: how data columns become inputs (`fiat.data.layout`).
        features: data columns in order.
        scores: what the graph's scores are; `unknown` in packages that don't say it.
        platform: the protocol's name of the framework.
    """

    name: str
    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]
    added: tuple[ServedTensor, ...] = ()
    labels: tuple[object, ...] | None = None
    layout: str = "tensor"
    features: tuple[str, ...] = ()
    scores: ScoreKind = "unknown"
    platform: str = PLATFORM

    @property
    def answered(self) -> tuple[ServedTensor, ...]:
        """All outputs that a client can ask for: the graph's, then those that the server adds."""
        return self.outputs + self.added


@dataclass(frozen=True)
class ClassOutputs:
    """Where a classifier's graph says what it found.

    Attributes:
        scores: output with a float for each class, or one for two classes; None when there is none.
        label: output with one class a row; None when there is none.
        classes: class of each score.
    """

    scores: ServedTensor | None
    label: ServedTensor | None
    classes: tuple[object, ...]


def read_model_info(folder: Path, name: str | None = None) -> ModelInfo:
    """Read what a package's model takes and gives.

    Args:
        folder: of the package.
        name: that clients use; None takes the package's own.

    Raises:
        EnvironmentFault: a file is missing or damaged, or a tensor is of a type that the protocol has no name for.
    """
    try:
        signature = json.loads((folder / "signature.json").read_bytes())
        manifest = json.loads((folder / "manifest.json").read_bytes())
        inputs = tuple(_tensor(item) for item in signature["inputs"])
        outputs = tuple(_tensor(item) for item in signature["outputs"])
        labels = tuple(signature["labels"]) if signature["labels"] else None
        scores = cast(ScoreKind, manifest.get("scores") or "unknown")
        return ModelInfo(
            name=str(name or manifest["name"]),
            inputs=inputs,
            outputs=outputs,
            added=added_outputs(outputs, labels, scores),
            labels=labels,
            layout=str(signature["layout"]),
            features=tuple(signature["features"]),
            scores=scores,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentFault(
            f"the package in {folder} can't be served: {error}", hint="package the model again"
        ) from error


def added_outputs(
    outputs: Sequence[ServedTensor], labels: tuple[object, ...] | None, scores: ScoreKind
) -> tuple[ServedTensor, ...]:
    """What the server adds to a graph's outputs; a name that the graph uses itself is left to it."""
    found = find_class_outputs(outputs, labels)
    if found is None:
        return ()
    added = [ServedTensor(LABEL, label_datatype(found.classes, found.label), (-1,))]
    if found.scores is not None and scores in ("logits", "unknown"):
        added.append(ServedTensor(PROBABILITIES, "FP32", (-1, len(found.classes))))
    taken = {tensor.name for tensor in outputs}
    return tuple(tensor for tensor in added if tensor.name not in taken)


def find_class_outputs(
    outputs: Sequence[ServedTensor], labels: tuple[object, ...] | None
) -> ClassOutputs | None:
    """Which outputs are scores and label, by the rules of `fiat.evaluate.predictions`; None when no output is either."""
    if not labels:
        return None
    floats = [tensor for tensor in outputs if tensor.dtype.kind == "f"]
    wide = [tensor for tensor in floats if len(_squeezed(tensor)) == 2]
    scores = next(iter(wide or floats), None)
    label = next((item for item in outputs if item.dtype.kind in "iubO" and len(_squeezed(item)) == 1), None)
    classes = labels
    if scores is not None:
        width = _squeezed(scores)[1] if len(_squeezed(scores)) == 2 else 1
        if 0 < len(labels) < width and all(_is_index(item, width) for item in labels):
            # Integer classes with gaps in the training rows: scores are numbered by the class itself.
            classes = tuple(range(width))
        fits = width in (-1, len(classes)) or (width, len(classes)) == (1, 2)
        scores = scores if fits and len(_squeezed(scores)) <= 2 else None
    return None if scores is None and label is None else ClassOutputs(scores, label, classes)


def label_datatype(classes: Sequence[object], given: ServedTensor | None = None) -> str:
    """How labels are answered: INT64 when all classes are integers and the graph itself gives no texts, else BYTES.

    Args:
        classes: of the model.
        given: the graph's own label output, None when it has none.
    """
    texts = given is not None and given.datatype == BYTES
    return "INT64" if not texts and all(type(item) is int for item in classes) else BYTES


def element_count(shape: Sequence[int]) -> int:
    """Elements of a tensor of this shape."""
    return math.prod(shape)


def _squeezed(tensor: ServedTensor) -> tuple[int, ...]:
    return (*tensor.shape[:1], *(size for size in tensor.shape[1:] if size != 1))


def _is_index(label: object, width: int) -> bool:
    return type(label) is int and 0 <= label < width


def _tensor(item: Mapping[str, Any]) -> ServedTensor:
    names = {str(dtype): name for name, dtype in DATATYPES.items()} | {"string": BYTES}
    if item["dtype"] not in names:
        raise ValueError(f"{item['name']} is {item['dtype']}, which the protocol has no name for")
    shape = tuple(-1 if size is None else int(size) for size in item["shape"])
    return ServedTensor(str(item["name"]), names[item["dtype"]], shape)
