"""Small real ONNX graphs for the tests."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def linear(path: Path, weights: np.ndarray, *, softmax: bool = False, squeeze: bool = False) -> None:
    """Write `scores = features @ weights`, with softmax behind it, or as one number a row."""
    n_features, n_out = weights.shape
    nodes = [helper.make_node("MatMul", ["features", "weights"], ["logits" if softmax or squeeze else "scores"])]
    start = [numpy_helper.from_array(weights.astype(np.float32), "weights")]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["scores"], axis=1))
    if squeeze:
        start.append(numpy_helper.from_array(np.array([1], np.int64), "axes"))
        nodes.append(helper.make_node("Squeeze", ["logits", "axes"], ["scores"]))
    shape = ["n"] if squeeze else ["n", n_out]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", n_features])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape)],
        start,
    )
    _save(path, graph)


def labelled(path: Path, weights: np.ndarray) -> None:
    """Write a graph that gives only the class with the highest score, as int64."""
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["logits"]),
        helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "labelled",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(weights)])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    _save(path, graph)


def image_sum(path: Path, side: int) -> None:
    """Write a graph that takes uint8 images `(n, side, side)` and gives the mean of each half as two scores."""
    half = side // 2
    weights = np.zeros((side * side, 2), np.float32)
    weights[: half * side, 0] = 1 / (half * side)
    weights[half * side :, 1] = 1 / (half * side)
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "image_sum",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", side, side])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(weights, "weights")],
    )
    _save(path, graph)


def columns(path: Path) -> None:
    """Write a graph with a float and a text input of one column each: 1 for the city `Ulm`, plus the number."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["city"],
            ["known"],
            domain="ai.onnx.ml",
            keys_strings=["Ulm"],
            values_floats=[1.0],
            default_float=0.0,
        ),
        helper.make_node("Add", ["known", "hours"], ["value"]),
    ]
    graph = helper.make_graph(
        nodes,
        "columns",
        [
            helper.make_tensor_value_info("hours", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("city", TensorProto.STRING, ["n", 1]),
        ],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["n", 1])],
    )
    _save(path, graph)


def fixed(path: Path, n_rows: int) -> None:
    """Write a graph that takes exactly n_rows rows of two features."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["features"], ["scores"])],
        "fixed",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [n_rows, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [n_rows, 2])],
    )
    _save(path, graph)


def _save(path: Path, graph: onnx.GraphProto) -> None:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
