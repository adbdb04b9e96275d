"""Builds an ONNX graph node by node."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fiat.transform.names import inputs_of, needed_nodes, renamed

OPSET = 20
"""Of ONNX's own domain: the first with texts that can be split and joined."""
ML_OPSET = 3
IR_VERSION = 10
"""Newest that a user's graph is taken with: what every onnxruntime of ours reads."""
CONTRIB = "com.microsoft"
"""Operators that onnxruntime has beyond the standard."""


class Graph:
    """An ONNX graph that grows.

    Nodes get names of their own, so that graphs can be merged: every tensor's name starts with `prefix`.
    """

    def __init__(self, prefix: str = "fiat.") -> None:
        self._prefix = prefix
        self._count = 0
        self._nodes: list[onnx.NodeProto] = []
        self._stored: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._versions: dict[str, int] = {}

    def add(
        self, operator: str, *inputs: str, domain: str = "", n_outputs: int = 1, **attributes: Any
    ) -> Any:
        """Add a node.

        Args:
            operator: such as `Sub`.
            inputs: names of tensors; the empty text for an optional one that is left out.
            domain: empty for ONNX's own, `ai.onnx.ml`, or CONTRIB.
            n_outputs: how many outputs it has.
            attributes: of the node; None ones are left out.

        Returns:
            The output's name, or a tuple of names when there are several.
        """
        outputs = [self.name(operator) for _ in range(n_outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self._nodes.append(helper.make_node(operator, list(inputs), outputs, domain=domain, **given))
        return outputs[0] if n_outputs == 1 else tuple(outputs)

    def constant(self, value: np.ndarray | Sequence[Any] | float | int, dtype: str | None = None) -> str:
        """A constant tensor; the same one is stored once.

        Args:
            value: numbers or texts of any shape.
            dtype: NumPy name, or `string`; None keeps the value's own.
        """
        array = np.asarray(value, object if dtype == "string" else dtype)
        texts = array.dtype.kind in "OUS"
        content = repr([str(item) for item in array.reshape(-1)]).encode() if texts else array.tobytes()
        key = ("string" if texts else array.dtype.name, array.shape, content)
        if key not in self._stored:
            name = self.name("const")
            if texts:
                tensor = TensorProto(name=name, data_type=TensorProto.STRING, dims=array.shape)
                tensor.string_data.extend(str(item).encode() for item in array.reshape(-1))
            else:
                tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
            self._initializers.append(tensor)
            self._stored[key] = name
        return self._stored[key]

    def cast(self, tensor: str, dtype: str) -> str:
        """The tensor as another type: a NumPy name, or `string`."""
        kind = TensorProto.STRING if dtype == "string" else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return str(self.add("Cast", tensor, to=kind))

    def inner(self) -> "Graph":
        """A graph that becomes the body of a node of this one.

        None of its names is one of this graph's; its nodes may take what this graph has made.
        """
        return Graph(f"{self.name('body')}.")

    def body(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[str]) -> onnx.GraphProto:
        """This graph as the body of a `Loop`.

        Args:
            inputs: what the loop gives it; their names are those that its nodes take.
            outputs: what it gives back: tensors that its nodes made.
        """
        found = [onnx.ValueInfoProto(name=name) for name in outputs]
        return helper.make_graph(self._nodes, "body", list(inputs), found, initializer=self._initializers)

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[tuple[str, onnx.ValueInfoProto]]
    ) -> onnx.ModelProto:
        """The graph as a model.

        Args:
            inputs: as `onnx.helper.make_tensor_value_info` makes them.
            outputs: a tensor's name, and what it is called outside.
        """
        named = [helper.make_node("Identity", [tensor], [info.name]) for tensor, info in outputs]
        nodes = needed_nodes(self._nodes, [tensor for tensor, _ in outputs])
        used = {name for node in (*nodes, *named) for name in inputs_of(node)}
        graph = helper.make_graph(
            [*nodes, *named],
            "fiat_transform",
            list(inputs),
            [info for _, info in outputs],
            initializer=[item for item in self._initializers if item.name in used],
        )
        versions = {"": OPSET, "ai.onnx.ml": ML_OPSET, CONTRIB: 1, **self._versions}
        domains = {node.domain for node in nodes} | {""}
        imports = [helper.make_opsetid(domain, versions[domain]) for domain in sorted(domains)]
        # Readers of ONNX refuse newer formats than they know, so it is the oldest that has these operators.
        version = helper.find_min_ir_version_for(imports, ignore_unknown=True)
        return helper.make_model(
            graph, opset_imports=imports, producer_name="fiat", ir_version=max(9, version)
        )

    def include(
        self, graph: onnx.GraphProto, versions: Mapping[str, int], inputs: Mapping[str, str]
    ) -> dict[str, str]:
        """Add all nodes of another graph, under names of this one.

        Args:
            graph: its nodes, at this graph's opset or above.
            versions: operator domain to the opset that its nodes are written for.
            inputs: name of each of its inputs to a tensor of this graph.

        Returns:
            Name of each of its outputs to the tensor.
        """
        prefix = self.name("own") + "."
        own = renamed(graph, lambda name: inputs.get(name, prefix + name))
        self._nodes.extend(own.node)
        self._initializers.extend(own.initializer)
        for domain, version in versions.items():
            self._versions[domain] = max(version, self._versions.get(domain, 0))
        return {item.name: inputs.get(item.name, prefix + item.name) for item in graph.output}

    def name(self, operator: str) -> str:
        """A name that nothing in the graph has yet."""
        self._count += 1
        return f"{self._prefix}{self._count}.{operator}"
