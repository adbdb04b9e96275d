"""Models without a graph, and bodies for them, for tests of what is read and written."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fiat.serving.decode import InferDecoder
from fiat.serving.refusal import BadRequest
from fiat.serving.requests import InferRequest
from fiat.serving.tensors import ModelInfo, ServedTensor, added_outputs

NUMBERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")


def model(
    *inputs: tuple[str, str, tuple[int, ...]],
    outputs: Sequence[tuple[str, str, tuple[int, ...]]] = (),
    **more: Any,
) -> ModelInfo:
    """A model with these tensors: name, datatype, shape."""
    gives = tuple(ServedTensor(*item) for item in outputs or [("y", "FP32", (-1, 3))])
    added = added_outputs(gives, more.get("labels"), more.get("scores", "unknown"))
    return ModelInfo("m", tuple(ServedTensor(*item) for item in inputs), gives, added, **more)


TRIPLES = model(("x", "FP32", (-1, 3)))
TABLE = model(
    ("age", "FP64", (-1, 1)),
    ("town", "BYTES", (-1, 1)),
    layout="raw",
    features=("age", "town"),
    labels=("no", "yes"),
    outputs=[("y", "FP32", (-1, 2))],
    scores="logits",
)


def tensor(name: str, datatype: str, shape: Sequence[int], data: Any = None, **more: Any) -> dict[str, Any]:
    """An input as clients write it."""
    item = {"name": name, "datatype": datatype, "shape": list(shape), **more}
    return item if data is None else item | {"data": data}


def message(*inputs: dict[str, Any], **more: Any) -> bytes:
    """A JSON body."""
    return json.dumps({"inputs": list(inputs), **more}).encode()


def triple(data: Any = (1, 2, 3), shape: Sequence[int] = (1, 3), **more: Any) -> bytes:
    """A JSON body for TRIPLES."""
    return message(tensor("x", "FP32", shape, data), **more)


def read(body: bytes, info: ModelInfo = TRIPLES, header: str | None = None) -> InferRequest:
    """What is understood."""
    return InferDecoder(info).read(body, header)


def values(body: bytes, info: ModelInfo = TRIPLES, header: str | None = None) -> Any:
    """The only input, as lists."""
    (array,) = read(body, info, header).inputs.values()
    return np.asarray(array).tolist()


def refusal(body: bytes, info: ModelInfo = TRIPLES, header: str | None = None) -> str:
    """Why a body is refused."""
    with pytest.raises(BadRequest) as caught:
        read(body, info, header)
    assert caught.value.status == 400
    return caught.value.message


def behind(head: dict[str, Any], tail: bytes) -> tuple[bytes, str]:
    """A body of JSON and bytes, and its header."""
    text = json.dumps(head).encode()
    return text + tail, str(len(text))
