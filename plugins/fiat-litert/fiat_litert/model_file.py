"""A .tflite file while it is made: tensors, their content, operators in order.

Source: LiteRT's schema.fbs (version 3), by the classes that ai-edge-litert generates from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"
SIGNATURE = "serving_default"
_VERSION = 3
_FREE = -1

AnyArray = npt.NDArray[np.generic]
Shape = tuple[int, ...]
"""`-1` stands for the free batch axis."""

TYPES: dict[str, int] = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
}


@dataclass(frozen=True)
class Tensor:
    """One tensor of the file.

    Attributes:
        index: in the file.
        shape: with -1 for the batch.
        dtype: NumPy name.
    """

    index: int
    shape: Shape
    dtype: str


@dataclass
class ModelFile:
    """What has been said so far."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    operators: list[Any] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)

    def add_tensor(self, name: str, shape: Shape, dtype: str) -> Tensor:
        """A tensor that is computed or fed."""
        made = schema.TensorT()
        made.name, made.type, made.buffer = name.encode(), TYPES[dtype], 0
        made.shape = [1 if size == _FREE else size for size in shape]
        if _FREE in shape:
            made.shapeSignature = list(shape)
        self.tensors.append(made)
        return Tensor(len(self.tensors) - 1, shape, dtype)

    def add_constant(
        self, name: str, array: AnyArray, scales: npt.NDArray[np.float32] | None = None, axis: int = 0
    ) -> Tensor:
        """A tensor with content.

        Args:
            name: for people.
            array: of one of TYPES.
            scales: of int8 weights, one for each index of an axis.
            axis: that axis.
        """
        found = self.add_tensor(name, array.shape, array.dtype.name)
        made = self.tensors[found.index]
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        self.buffers.append(buffer)
        made.buffer = len(self.buffers) - 1
        if scales is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = scales.astype(np.float32)
            quantization.zeroPoint = np.zeros(len(scales), np.int64)
            quantization.quantizedDimension = axis
            made.quantization = quantization
        return found

    def add_operator(
        self,
        code: int,
        inputs: Sequence[Tensor | None],
        output: Tensor,
        options: tuple[int, Any] | None = None,
    ) -> Tensor:
        """An operator; None stands for an input that is left out.

        Args:
            code: of the builtin operator.
            inputs: in its order.
            output: its only one.
            options: kind of its options, and they.
        """
        made = schema.OperatorT()
        made.opcodeIndex = self.codes.setdefault(code, len(self.codes))
        made.inputs = [-1 if item is None else item.index for item in inputs]
        made.outputs = [output.index]
        if options is not None:
            made.builtinOptionsType, made.builtinOptions = options
        self.operators.append(made)
        return output

    def content(self, inputs: Sequence[tuple[str, Tensor]], outputs: Sequence[tuple[str, Tensor]]) -> bytes:
        """The file.

        Args:
            inputs: names and tensors that are fed.
            outputs: names and tensors that come out.
        """
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = b"main", self.tensors, self.operators
        graph.inputs = [tensor.index for _, tensor in inputs]
        graph.outputs = [tensor.index for _, tensor in outputs]
        model = schema.ModelT()
        model.version, model.description = _VERSION, b"made by fiat-litert"
        model.operatorCodes = [_code(code) for code in self.codes]
        model.subgraphs, model.buffers = [graph], self.buffers
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
        signature.inputs, signature.outputs = _maps(inputs), _maps(outputs)
        model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())


def _code(builtin: int) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = builtin
    # Older readers know a byte only.
    made.deprecatedBuiltinCode = min(builtin, 127)
    made.version = 1
    return made


def _maps(named: Sequence[tuple[str, Tensor]]) -> list[Any]:
    found = []
    for name, tensor in named:
        made = schema.TensorMapT()
        made.name, made.tensorIndex = name.encode(), tensor.index
        found.append(made)
    return found
