"""Made-up raw rows for a transform graph: what it knows, what it does not, and what is missing."""

import numpy as np
import onnx
from onnx import TensorProto, helper

_NUMBERS = (0.0, 1.0, -1.0, 2.5, 1e6, float("nan"))
_TEXTS = ("", "a", "2020-02-29T12:30:00", "Ünknown value")
_MOST = 20


def sample_rows(transform: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Input name to array for some rows.

    Args:
        transform: a graph from raw columns.
    """
    texts, numbers = list(_TEXTS), list(_NUMBERS)
    for node in transform.graph.node:
        for attribute in node.attribute:
            if attribute.name == "keys_strings":
                texts += [item.decode() for item in attribute.strings[:_MOST]]
            elif attribute.name == "keys_int64s":
                numbers += [float(item) for item in attribute.ints[:_MOST]]
    n_rows = max(len(texts), len(numbers))
    found = {}
    for place, item in enumerate(transform.graph.input):
        kind = item.type.tensor_type
        shape = tuple(axis.dim_value for axis in kind.shape.dim[1:])
        pick = np.arange(n_rows) + place
        if kind.elem_type == TensorProto.STRING:
            found[item.name] = np.array(texts, object)[pick % len(texts)].reshape(-1, 1)
        elif shape == (1,) and kind.elem_type == TensorProto.DOUBLE:
            found[item.name] = np.array(numbers)[pick % len(numbers)].reshape(-1, 1)
        else:
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
            size = int(np.prod((n_rows, *shape)))
            found[item.name] = (np.arange(size) % 101).reshape(n_rows, *shape).astype(dtype)
    return found
