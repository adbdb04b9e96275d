"""How much memory a node asks for by constants alone: a few bytes of a file can say forty gigabytes.

Sizes that are computed on the way (a shape behind an `Identity`) are not seen here; `fiat.model.probe` meets them in a
process with little memory.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

_ITEM_BYTES = 4
_LONGEST = 4096
_COUNTED = frozenset(
    {
        *(onnx.TensorProto.INT16, onnx.TensorProto.INT32, onnx.TensorProto.INT64),
        *(onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE),
    }
)
_SIZES_AT: Mapping[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "OneHot": (1,),
    "Resize": (2, 3),
    "Tile": (1,),
}
"""Operator to the inputs that say a size; its other inputs are data, whose values say nothing of memory."""
_GIVEN_SHAPE = frozenset({"RandomNormal", "RandomUniform"})


@dataclass(frozen=True)
class Numbers:
    """What short constants of one name say, all of them together: graphs inside a model may use a name twice.

    Attributes:
        product: largest product of the sizes of one of them, 1 or more.
        low: smallest number.
        high: largest number.
        least: smallest absolute value.
    """

    product: float
    low: float
    high: float
    least: float

    def __or__(self, other: "Numbers") -> "Numbers":
        return Numbers(
            max(self.product, other.product),
            min(self.low, other.low),
            max(self.high, other.high),
            min(self.least, other.least),
        )


def constant_numbers(graphs: Iterable[Any], nodes: Iterable[Any]) -> dict[str, Numbers]:
    """Name to the numbers that it may stand for, of initializers and of `Constant` nodes.

    Args:
        graphs: every graph of a model without external data.
        nodes: every node of it, those of functions too.
    """
    found: dict[str, Numbers] = {}
    said = [(tensor.name, _tensor_numbers(tensor)) for graph in graphs for tensor in graph.initializer]
    for node in nodes:
        if node.op_type == "Constant" and node.output:
            said += [(node.output[0], _attribute_numbers(attribute)) for attribute in node.attribute]
    for name, numbers in said:
        if numbers is not None:
            found[name] = found[name] | numbers if name in found else numbers
    return found


def asked_bytes(node: Any, known: Mapping[str, Numbers]) -> float:
    """Least number of bytes that a node's result takes, as far as constants say; 0 when they say nothing.

    Args:
        node: of the graph.
        known: from `constant_numbers`.
    """
    given = [known.get(name) for name in node.input]
    if node.op_type == "Range":
        return _ITEM_BYTES * _range_items(given)
    if node.op_type == "Pad":
        pads = given[1] if len(given) > 1 else None
        return _ITEM_BYTES * max(abs(pads.low), abs(pads.high)) if pads else 0.0
    if node.op_type in _GIVEN_SHAPE:
        shapes = (list(item.ints) for item in node.attribute if item.name == "shape")
        return _ITEM_BYTES * max((_product(np.array(shape, float)) for shape in shapes), default=0.0)
    sizes = [given[place] for place in _SIZES_AT.get(node.op_type, ()) if place < len(given)]
    return _ITEM_BYTES * max((numbers.product for numbers in sizes if numbers), default=0.0)


def _range_items(given: list[Numbers | None]) -> float:
    if len(given) != 3:
        return 0.0
    start, limit, delta = given
    if start is None or limit is None or delta is None:
        return 0.0
    span = max(limit.high - start.low, start.high - limit.low)
    return span / delta.least if delta.least else math.inf


def _tensor_numbers(tensor: Any) -> Numbers | None:
    if tensor.data_type not in _COUNTED or len(tensor.dims) > 1 or sum(tensor.dims) > _LONGEST:
        return None
    try:
        return _numbers(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError):
        return None


def _attribute_numbers(attribute: Any) -> Numbers | None:
    """Numbers of one of the six ways in which a `Constant` says its value."""
    if attribute.name == "value":
        return _tensor_numbers(attribute.t)
    single = {"value_int": attribute.i, "value_float": attribute.f}
    several = {"value_ints": attribute.ints, "value_floats": attribute.floats}
    if attribute.name in single:
        return _numbers(np.array([single[attribute.name]], float))
    return _numbers(np.array(several[attribute.name], float)) if attribute.name in several else None


def _numbers(array: np.ndarray) -> Numbers | None:
    values = array.reshape(-1).astype(float)
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    return Numbers(_product(values), float(values.min()), float(values.max()), float(np.abs(values).min()))


def _product(sizes: np.ndarray) -> float:
    """Sizes multiplied; 0 and -1 stand for sizes that come from elsewhere."""
    with np.errstate(over="ignore"):
        return float(np.maximum(1.0, np.abs(sizes)).prod())
