import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from fiat.model.tensors import all_tensors

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs


def tensor(name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(3, np.float32), name)


def test_a_tensor_is_found_in_every_place_that_the_format_has_for_one() -> None:
    made = graphs.scaling()
    made.graph.initializer[0].name = "initializer"
    made.graph.sparse_initializer.add().values.CopyFrom(tensor("sparse initializer"))
    made.graph.sparse_initializer[0].indices.CopyFrom(tensor("its indices"))
    made.graph.node[0].attribute.add().t.CopyFrom(tensor("attribute"))
    made.graph.node[0].attribute.add().tensors.append(tensor("list of an attribute"))
    made.graph.node[0].attribute.add().sparse_tensor.values.CopyFrom(tensor("sparse attribute"))
    made.graph.node[0].attribute.add().sparse_tensors.add().values.CopyFrom(tensor("sparse list"))
    made.graph.node[0].attribute.add().g.initializer.append(tensor("graph inside"))
    made.graph.node[0].attribute.add().graphs.add().initializer.append(tensor("one of the graphs inside"))
    made.functions.add().attribute_proto.add().t.CopyFrom(tensor("function's default"))
    made.functions[0].node.add().attribute.add().t.CopyFrom(tensor("function's node"))
    made.training_info.add().algorithm.initializer.append(tensor("training"))
    made.training_info[0].initialization.initializer.append(tensor("training's start"))
    assert {item.name for item in all_tensors(made)} == {
        *("initializer", "sparse initializer", "its indices", "attribute", "list of an attribute"),
        *("sparse attribute", "sparse list", "graph inside", "one of the graphs inside"),
        *("function's default", "function's node", "training", "training's start"),
    }


def test_tensors_of_one_name_are_all_found() -> None:
    made = graphs.scaling()
    made.graph.initializer.append(tensor("w"))
    assert [item.name for item in all_tensors(made)] == ["w", "w"]


def test_every_place_of_this_version_of_the_format_is_reached() -> None:
    """Makes one message of each kind inside each other and counts the tensors: a new field can't be forgotten."""
    made = onnx.ModelProto()
    expected = _fill(made, depth=6)
    assert expected > 50  # else it shows nothing
    assert sum(1 for _ in all_tensors(made)) == expected


def _fill(message: onnx.ModelProto, depth: int) -> int:
    """Fill every field that holds a message, `depth` deep; gives how many tensors there are."""
    if isinstance(message, onnx.TensorProto):
        message.name = "t"
        return 1
    found = 0
    for field in message.DESCRIPTOR.fields if depth else ():
        if field.type == field.TYPE_MESSAGE and field.containing_oneof is None:
            inside = getattr(message, field.name)
            if hasattr(inside, "add"):
                inside = inside.add()
            inside.SetInParent()
            found += _fill(inside, depth - 1)
    return found


def test_deep_nesting_is_walked_without_recursion() -> None:
    inner = made = onnx.GraphProto()
    for _ in range(3000):
        inner = inner.node.add().attribute.add().g
    inner.initializer.append(tensor("deepest"))
    assert [item.name for item in all_tensors(made)] == ["deepest"]
