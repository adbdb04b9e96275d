"""Walk an ONNX graph and say every operator in LiteRT's words.

onnxruntime first folds what is constant and merges what can be merged (its basic level, which stays with ONNX's own
operators). Tensors of pictures are kept in both orders of axes as needed: ONNX has channels second, LiteRT last.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from ai_edge_litert import schema_py_generated as schema
from onnx import numpy_helper

from fiat.errors import SpecError
from fiat_litert.model_file import AnyArray, ModelFile, Shape, Tensor

_TO_LAST, _TO_SECOND = (0, 2, 3, 1), (0, 3, 1, 2)
_DTYPES = {"float32": "float32", "float64": "float32", "int32": "int32", "int64": "int64", "bool": "bool"}
"""Numbers of 64 bits become those of 32: LiteRT computes with no others, and what it costs is measured afterwards."""


@dataclass
class Walk:
    """The graph, and the file that is made of it.

    Attributes:
        file: so far.
        quantize: weights become int8.
        constants: name to content.
        shapes: of computed tensors, by name; -1 for the batch.
        dtypes: of them.
        plain: name to tensor, axes as in ONNX.
        last: name to tensor with channels last.
        users: how many operators read a name.
    """

    file: ModelFile
    quantize: bool
    constants: dict[str, AnyArray]
    shapes: dict[str, Shape]
    dtypes: dict[str, str]
    plain: dict[str, Tensor] = field(default_factory=dict)
    last: dict[str, Tensor] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)

    def tensor(self, name: str) -> Tensor:
        """A tensor with its axes as in ONNX; constants are written where they are needed."""
        if name not in self.plain and name in self.constants:
            self.plain[name] = self.file.add_constant(name, narrowed(self.constants[name]))
        if name not in self.plain:
            self.plain[name] = self._turned(self.last[name], _TO_SECOND, name)
        return self.plain[name]

    def channels_last(self, name: str) -> Tensor:
        """A tensor `(n, channels, height, width)` of the graph as `(n, height, width, channels)`."""
        if name not in self.last:
            self.last[name] = self._turned(self.tensor(name), _TO_LAST, f"{name} turned")
        return self.last[name]

    def new(self, name: str, shape: Shape | None = None) -> Tensor:
        """A tensor for what an operator gives, shaped as the graph says or otherwise."""
        return self.file.add_tensor(name, self.shapes[name] if shape is None else shape, self.dtypes[name])

    def put(self, name: str, tensor: Tensor) -> None:
        """This tensor is what the graph calls so."""
        self.plain[name] = tensor

    def put_last(self, name: str, tensor: Tensor) -> None:
        """This tensor is what the graph calls so, with channels last."""
        self.last[name] = tensor

    def constant(self, name: str, node: Any) -> AnyArray:
        """The content of a constant.

        Raises:
            SpecError: it is computed.
        """
        if name not in self.constants:
            raise SpecError(
                f"LiteRT needs {name} of operator {node.op_type} to be a constant, but it is computed"
            )
        return self.constants[name]

    def ints(self, values: Any, name: str) -> Tensor:
        """A constant of int32."""
        return self.file.add_constant(name, np.asarray(values, np.int32))

    def _turned(self, tensor: Tensor, order: tuple[int, ...], name: str) -> Tensor:
        shape = tuple(tensor.shape[axis] for axis in order)
        made = self.file.add_tensor(name, shape, tensor.dtype)
        inputs = (tensor, self.ints(order, f"{name} order"))
        options = (schema.BuiltinOptions.TransposeOptions, schema.TransposeOptionsT())
        return self.file.add_operator(schema.BuiltinOperator.TRANSPOSE, inputs, made, options)


Say = Callable[[Walk, Any], None]
"""Says one node of the graph."""


def convert_graph(path: Path, words: Mapping[str, Say], *, quantize: bool) -> bytes:
    """A .tflite file of an ONNX file.

    Args:
        path: the ONNX file.
        words: operator to what says it.
        quantize: weights become int8.

    Raises:
        SpecError: the graph has something that LiteRT can't say, or that is not said here.
    """
    model = _simplified(path)
    graph = model.graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    shapes, dtypes = _types(model, stored)
    walk = Walk(ModelFile(), quantize, stored, shapes, dtypes)
    for name in (name for node in graph.node for name in node.input):
        walk.users[name] = walk.users.get(name, 0) + 1
    for item in graph.output:
        walk.users[item.name] = walk.users.get(item.name, 0) + 1
    inputs = []
    for item in graph.input:
        if item.name not in stored:
            walk.put(item.name, walk.new(item.name))
            inputs.append((item.name, walk.plain[item.name]))
    for node in graph.node:
        if node.op_type not in words or node.domain not in ("", "ai.onnx"):
            raise SpecError(
                f"LiteRT's format can't say the operator {node.op_type}, or fiat-litert does not know how",
                hint="it knows perceptrons and convolutions of numbers; `format: ort` takes every graph",
            )
        words[node.op_type](walk, node)
    return walk.file.content(inputs, [(item.name, walk.tensor(item.name)) for item in graph.output])


def narrowed(array: AnyArray) -> AnyArray:
    """Content in a type that LiteRT computes with."""
    dtype = _DTYPES.get(array.dtype.name)
    if dtype is None:
        raise SpecError(f"LiteRT's format takes no {array.dtype.name} here")
    return np.ascontiguousarray(array.astype(dtype))


def _simplified(path: Path) -> onnx.ModelProto:
    source = onnx.load(str(path))
    texts = [
        item.name for item in source.graph.input if item.type.tensor_type.elem_type == onnx.TensorProto.STRING
    ]
    if texts:
        raise SpecError(
            f"LiteRT takes no texts, and the model takes {', '.join(texts[:5])}",
            hint="`format: ort` takes them; or give the model numbers instead of texts",
        )
    scratch = Path(tempfile.mkdtemp(prefix="fiat-litert."))
    target = scratch / "simplified.onnx"
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath, options.log_severity_level = str(target), 4
    try:
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        found = onnx.load(str(target))
    finally:
        shutil.rmtree(scratch)
    del found.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(found, data_prop=True)


def _types(model: onnx.ModelProto, stored: Mapping[str, AnyArray]) -> tuple[dict[str, Shape], dict[str, str]]:
    shapes: dict[str, Shape] = {}
    dtypes: dict[str, str] = {}
    for item in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        kind = item.type.tensor_type
        name = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
        if name not in _DTYPES:
            raise SpecError(
                f"LiteRT's format takes no {name}, which {item.name} is",
                hint="`format: ort` takes every graph",
            )
        sizes = tuple(axis.dim_value if axis.HasField("dim_value") else -1 for axis in kind.shape.dim)
        if any(size == -1 for size in sizes[1:]):
            raise SpecError(
                f"{item.name} of the graph has a free axis besides the batch, which is not said here"
            )
        if item.name not in stored:
            shapes[item.name], dtypes[item.name] = sizes, _DTYPES[name]
    for node in model.graph.node:
        for name in node.output:
            if name and name not in shapes:
                raise SpecError(f"the shape of {name} (operator {node.op_type}) can't be told from the graph")
    return shapes, dtypes
