"""Small ONNX models for tests, good and hostile ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18


def value(name: str, shape: Sequence[Any], dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, list(shape))


def model(nodes: Sequence[Any], **more: Any) -> Any:
    """A model of `x` (n, 3) float32 to `y` (n, 3) float32 unless said otherwise."""
    graph = helper.make_graph(
        list(nodes),
        more.get("name", "test"),
        more.get("inputs", [value("x", ["n", 3])]),
        more.get("outputs", [value("y", ["n", 3])]),
        more.get("initializers", []),
    )
    opsets = [helper.make_opsetid("", more.get("opset", OPSET))]
    opsets += [helper.make_opsetid(domain, 1) for domain in more.get("domains", ())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=more.get("functions", []))


def scaling(factor: float = 2.0, **more: Any) -> Any:
    """`y = factor * x`."""
    weight = numpy_helper.from_array(np.full(3, factor, np.float32), "w")
    return model([helper.make_node("Mul", ["x", "w"], ["y"])], initializers=[weight], **more)


def external(location: str) -> Any:
    """A model whose weight lies in another file."""
    made = scaling()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value="12")
    return made


def chain_of_functions(length: int) -> Any:
    """Functions of which each calls the one before, `length` deep."""
    return _functions(length, calls=1)


def tree_of_functions(depth: int, calls: int) -> Any:
    """Functions of which each calls the one before `calls` times: `calls ** depth` nodes when inlined."""
    return _functions(depth, calls)


def _functions(length: int, calls: int) -> Any:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("own", 1)]
    functions = []
    for index in range(length):
        called, domain = (f"f{index - 1}", "own") if index else ("Identity", "")
        names = ["a", *(f"t{call}" for call in range(calls - 1)), "b"]
        nodes = [
            helper.make_node(called, [names[call]], [names[call + 1]], domain=domain) for call in range(calls)
        ]
        functions.append(helper.make_function("own", f"f{index}", ["a"], ["b"], nodes, opsets))
    top = helper.make_node(f"f{length - 1}", ["x"], ["y"], domain="own")
    return model([top], functions=functions, domains=("own",))


def huge_constant() -> Any:
    """A few bytes that ask for 40 GB."""
    shape = numpy_helper.from_array(np.array([100_000, 100_000], np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["s"], keepdims=0),
        helper.make_node("Add", ["x", "s"], ["y"]),
    ]
    return model(nodes, initializers=[shape])


def write(made: Any, path: Path) -> Path:
    path.write_bytes(made.SerializeToString())
    return path


def bytes_of(made: Any) -> bytes:
    return bytes(made.SerializeToString())


def load(path: Path) -> Any:
    return onnx.load(str(path), load_external_data=False)
