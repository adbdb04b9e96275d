"""Every tensor that a model's file holds, wherever the format has a place for one."""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message
from onnx import TensorProto


def all_tensors(model: Any) -> Iterator[Any]:
    """Tensors of initializers, attributes, sparse tensors, functions' defaults, training graphs, and what else there is.

    It follows every field that holds a message instead of the places that we know of: a place that is forgotten is one
    to hide a tensor in. Not recursive, so no nesting can crash it.

    Args:
        model: a message of ONNX, such as a model or a graph.
    """
    waiting: list[Any] = [model]
    while waiting:
        message = waiting.pop()
        if isinstance(message, TensorProto):
            yield message
            continue
        for field, value in message.ListFields():
            if field.type != field.TYPE_MESSAGE:
                continue
            if isinstance(value, Message):
                waiting.append(value)
            else:
                waiting.extend(value)
