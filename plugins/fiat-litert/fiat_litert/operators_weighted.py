"""Operators with weights, and those that look at a window of a picture: in LiteRT's words.

With quantization their weights are int8, with a scale for each output: LiteRT then computes in int8 too, with a range for
what comes in that it finds each time ("dynamic range").

Source: LiteRT documentation, "Post-training dynamic range quantization".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from fiat.errors import SpecError
from fiat_litert.graph import Say, Walk, narrowed
from fiat_litert.model_file import AnyArray, Tensor
from fiat_litert.operators_plain import attribute, mean

_OP, _KIND = schema.BuiltinOperator, schema.BuiltinOptions
_FEWEST_WEIGHTS = 256
"""Below it int8 saves nothing worth a loss."""
_LARGEST = 127


def dense(walk: Walk, node: Any) -> None:
    """Gemm and MatMul with constant weights."""
    weights = walk.constant(node.input[1], node).astype(np.float32)
    if weights.ndim != 2:
        raise SpecError(f"{node.op_type} with weights of {weights.ndim} axes is not said here, only with two")
    bias = None
    if node.op_type == "Gemm":
        if attribute(node, "transA", 0):
            raise SpecError("Gemm with its input turned around is not said here")
        weights = weights if attribute(node, "transB", 0) else weights.T
        weights = weights * np.float32(attribute(node, "alpha", 1.0))
        if len(node.input) > 2 and node.input[2]:
            said = walk.constant(node.input[2], node).astype(np.float32) * np.float32(
                attribute(node, "beta", 1.0)
            )
            bias = np.broadcast_to(said.reshape(-1), (len(weights),)).astype(np.float32)
    else:
        weights = weights.T
    source, target = walk.tensor(node.input[0]), node.output[0]
    options = schema.FullyConnectedOptionsT()
    options.keepNumDims = len(source.shape) > 2
    quantized = walk.quantize and weights.size >= _FEWEST_WEIGHTS
    options.asymmetricQuantizeInputs = quantized
    inputs = (
        source,
        _weight(walk, f"{target} weights", np.ascontiguousarray(weights), 0),
        None if bias is None else walk.file.add_constant(f"{target} bias", bias),
    )
    walk.put(
        target,
        walk.file.add_operator(
            _OP.FULLY_CONNECTED, inputs, walk.new(target), (_KIND.FullyConnectedOptions, options)
        ),
    )


def convolution(walk: Walk, node: Any) -> None:
    """Conv of pictures, of all channels or one by one."""
    weights = walk.constant(node.input[1], node).astype(np.float32)
    if weights.ndim != 4:
        raise SpecError(f"Conv with {weights.ndim - 2} axes is not said here, only of pictures")
    n_out, n_inside = weights.shape[:2]
    groups = attribute(node, "group", 1)
    one_by_one = groups > 1 and n_inside == 1
    if groups > 1 and not one_by_one:
        raise SpecError(f"Conv in {groups} groups of several channels is not said here")
    bias = walk.constant(node.input[2], node) if len(node.input) > 2 else np.zeros(n_out, np.float32)
    window = _Window(walk, node, weights.shape[2:])
    # LiteRT: (out, height, width, in); channel by channel (1, height, width, out).
    turned = weights.transpose(1, 2, 3, 0) if one_by_one else weights.transpose(0, 2, 3, 1)
    options: Any = schema.DepthwiseConv2DOptionsT() if one_by_one else schema.Conv2DOptionsT()
    options.padding, (options.strideH, options.strideW) = window.padding, window.strides
    options.dilationHFactor, options.dilationWFactor = window.dilations
    kind = _KIND.DepthwiseConv2DOptions if one_by_one else _KIND.Conv2DOptions
    if one_by_one:
        options.depthMultiplier = n_out // groups
    inputs = (
        window.source,
        _weight(walk, f"{node.output[0]} weights", np.ascontiguousarray(turned), 3 if one_by_one else 0),
        walk.file.add_constant(f"{node.output[0]} bias", narrowed(bias)),
    )
    code = _OP.DEPTHWISE_CONV_2D if one_by_one else _OP.CONV_2D
    window.put(walk.file.add_operator(code, inputs, window.target(), (kind, options)))


def pool(walk: Walk, node: Any) -> None:
    """MaxPool and AveragePool."""
    if attribute(node, "ceil_mode", 0):
        raise SpecError(f"{node.op_type} that rounds up is not said here")
    highest = node.op_type == "MaxPool"
    shape = attribute(node, "kernel_shape")
    filler = float(np.finfo(np.float32).min) if highest else None
    if not highest and attribute(node, "count_include_pad", 0):
        filler = 0.0
    window = _Window(walk, node, shape, filler, counts_padding=not highest and filler is not None)
    if window.dilations != (1, 1):
        raise SpecError(f"{node.op_type} with gaps is not said here")
    options = schema.Pool2DOptionsT()
    options.padding, (options.strideH, options.strideW) = window.padding, window.strides
    options.filterHeight, options.filterWidth = shape
    code = _OP.MAX_POOL_2D if highest else _OP.AVERAGE_POOL_2D
    window.put(
        walk.file.add_operator(code, (window.source,), window.target(), (_KIND.Pool2DOptions, options))
    )


def pool_all(walk: Walk, node: Any) -> None:
    """Mean of a whole picture, a channel at a time."""
    mean(walk, walk.tensor(node.input[0]), (2, 3), node.output[0], keep=True)


def batch_norm(walk: Walk, node: Any) -> None:
    """What onnxruntime did not merge into a convolution: a product and a sum."""
    scale, bias, means, spread = (walk.constant(name, node).astype(np.float64) for name in node.input[1:5])
    factor = scale / np.sqrt(spread + attribute(node, "epsilon", 1e-5))
    source, target = walk.tensor(node.input[0]), node.output[0]
    shape = (1, -1, *(1 for _ in source.shape[2:]))
    for code, kind, options, numbers in (
        (_OP.MUL, _KIND.MulOptions, schema.MulOptionsT(), factor),
        (_OP.ADD, _KIND.AddOptions, schema.AddOptionsT(), bias - means * factor),
    ):
        other = walk.file.add_constant(f"{target} norm", numbers.reshape(shape).astype(np.float32))
        source = walk.file.add_operator(code, (source, other), walk.new(target), (kind, options))
    walk.put(target, source)


class _Window:
    """A window that moves over a picture: strides, gaps, and the padding in LiteRT's two words, or written out before.

    LiteRT's `SAME` puts the odd one of the padding behind, ONNX says both sides in numbers.
    """

    def __init__(
        self, walk: Walk, node: Any, kernel: Any, filler: float | None = 0.0, *, counts_padding: bool = False
    ) -> None:
        if (said := attribute(node, "auto_pad", b"NOTSET")) not in (b"NOTSET", b"VALID"):
            raise SpecError(
                f"auto_pad {said.decode()} is not said here", hint="export with numbers for the padding"
            )
        self._walk, self._name = walk, node.output[0]
        self.source = walk.channels_last(node.input[0])
        self.strides: tuple[int, int] = tuple(attribute(node, "strides") or (1, 1))
        self.dilations: tuple[int, int] = tuple(attribute(node, "dilations") or (1, 1))
        pads = attribute(node, "pads") or [0, 0, 0, 0]
        self.padding = schema.Padding.VALID
        if not any(pads):
            return
        if pads == _same(self.source.shape[1:3], kernel, self.strides, self.dilations) and not counts_padding:
            self.padding = schema.Padding.SAME
            return
        if filler is None:
            raise SpecError(f"{node.op_type} with the padding {pads} can't be said in LiteRT's words")
        self.source = self._padded(pads, filler)

    def target(self) -> Tensor:
        """The tensor for what comes out, channels last."""
        n, channels, height, width = self._walk.shapes[self._name]
        return self._walk.new(self._name, (n, height, width, channels))

    def put(self, tensor: Tensor) -> None:
        """This came out."""
        self._walk.put_last(self._name, tensor)

    def _padded(self, pads: list[int], filler: float) -> Tensor:
        top, left, bottom, right = pads
        n, height, width, channels = self.source.shape
        file, name = self._walk.file, f"{self._name} padded"
        made = file.add_tensor(name, (n, height + top + bottom, width + left + right, channels), "float32")
        amounts = self._walk.ints([[0, 0], [top, bottom], [left, right], [0, 0]], f"{name} amounts")
        fill = file.add_constant(f"{name} filler", np.asarray([filler], np.float32))
        options = (_KIND.PadV2Options, schema.PadV2OptionsT())
        return file.add_operator(_OP.PADV2, (self.source, amounts, fill), made, options)


def _same(sizes: Any, kernel: Any, strides: tuple[int, int], dilations: tuple[int, int]) -> list[int]:
    """The padding that LiteRT's `SAME` means: as ONNX says it, beginnings then ends."""
    begins, ends = [], []
    for size, width, stride, gap in zip(sizes, kernel, strides, dilations, strict=True):
        covered = (-(-size // stride) - 1) * stride + (width - 1) * gap + 1
        total = max(covered - size, 0)
        begins.append(total // 2)
        ends.append(total - total // 2)
    return begins + ends


def _weight(walk: Walk, name: str, weights: npt.NDArray[np.float32], axis: int) -> Tensor:
    if not walk.quantize or weights.size < _FEWEST_WEIGHTS:
        return walk.file.add_constant(name, weights)
    small, scales = in_int8(weights, axis)
    return walk.file.add_constant(name, small, scales, axis)


def in_int8(weights: npt.NDArray[np.float32], axis: int) -> tuple[AnyArray, npt.NDArray[np.float32]]:
    """Weights in int8, symmetric, with a scale for each index of an axis.

    Returns:
        The weights, and the scales `(size of the axis,)`.
    """
    others = tuple(index for index in range(weights.ndim) if index != axis)
    scales = np.abs(weights).max(axis=others, keepdims=True) / _LARGEST
    scales = np.where(scales == 0, 1, scales).astype(np.float32)
    return np.clip(np.rint(weights / scales), -_LARGEST, _LARGEST).astype(np.int8), scales.reshape(-1)


WEIGHTED: Mapping[str, Say] = {
    "Gemm": dense,
    "MatMul": dense,
    "Conv": convolution,
    "MaxPool": pool,
    "AveragePool": pool,
    "GlobalAveragePool": pool_all,
    "BatchNormalization": batch_norm,
}
