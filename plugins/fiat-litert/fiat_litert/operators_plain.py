"""Operators that work on numbers one by one, change shapes, or join: in LiteRT's words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from fiat.errors import SpecError
from fiat_litert.graph import Say, Walk
from fiat_litert.model_file import Tensor

_OP, _KIND = schema.BuiltinOperator, schema.BuiltinOptions
_ACTIVATION = schema.ActivationFunctionType


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """The value of a node's attribute."""
    for item in node.attribute:
        if item.name == name:
            kinds = {1: item.f, 2: item.i, 3: item.s, 6: list(item.floats), 7: list(item.ints)}
            return kinds[item.type]
    return default


def unary(code: int, options: tuple[int, Any] | None = None) -> Say:
    """An operator with one input, whatever the order of axes."""

    def say(walk: Walk, node: Any) -> None:
        name, target = node.input[0], node.output[0]
        if name in walk.last:
            source = walk.last[name]
            walk.put_last(
                target, walk.file.add_operator(code, (source,), walk.new(target, source.shape), options)
            )
        else:
            walk.put(target, walk.file.add_operator(code, (walk.tensor(name),), walk.new(target), options))

    return say


def binary(code: int, kind: int = 0, make: Any = None) -> Say:
    """An operator with two inputs, broadcast as NumPy does."""

    def say(walk: Walk, node: Any) -> None:
        options = (kind, make()) if make else None
        inputs = [walk.tensor(name) for name in node.input]
        found = inputs[0]
        for other in inputs[1:]:
            found = walk.file.add_operator(code, (found, other), walk.new(node.output[0]), options)
        walk.put(node.output[0], found)

    return say


def nothing(walk: Walk, node: Any) -> None:
    """The output is the input."""
    if node.input[0] in walk.last:
        walk.put_last(node.output[0], walk.last[node.input[0]])
    else:
        walk.put(node.output[0], walk.tensor(node.input[0]))


def reshape(walk: Walk, node: Any) -> None:
    """Also Flatten, Squeeze and Unsqueeze: the shape is known from the graph."""
    target = node.output[0]
    shape = walk.shapes[target]
    inputs = (walk.tensor(node.input[0]), walk.ints(shape, f"{target} shape"))
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    walk.put(
        target, walk.file.add_operator(_OP.RESHAPE, inputs, walk.new(target), (_KIND.ReshapeOptions, options))
    )


def transpose(walk: Walk, node: Any) -> None:
    """Axes in another order."""
    rank = len(walk.shapes[node.output[0]])
    order = attribute(node, "perm") or list(range(rank))[::-1]
    inputs = (walk.tensor(node.input[0]), walk.ints(order, f"{node.output[0]} order"))
    walk.put(
        node.output[0],
        walk.file.add_operator(
            _OP.TRANSPOSE,
            inputs,
            walk.new(node.output[0]),
            (_KIND.TransposeOptions, schema.TransposeOptionsT()),
        ),
    )


def concat(walk: Walk, node: Any) -> None:
    """Tensors behind each other."""
    options = schema.ConcatenationOptionsT()
    options.axis = attribute(node, "axis") % len(walk.shapes[node.output[0]])
    inputs = [walk.tensor(name) for name in node.input]
    made = walk.new(node.output[0])
    walk.put(
        node.output[0],
        walk.file.add_operator(_OP.CONCATENATION, inputs, made, (_KIND.ConcatenationOptions, options)),
    )


def softmax(walk: Walk, node: Any) -> None:
    """Over the last axis, the only one that LiteRT knows."""
    _last_axis(walk, node, -1)
    if node.op_type == "LogSoftmax":
        return unary(_OP.LOG_SOFTMAX, (_KIND.LogSoftmaxOptions, schema.LogSoftmaxOptionsT()))(walk, node)
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return unary(_OP.SOFTMAX, (_KIND.SoftmaxOptions, options))(walk, node)


def leaky_relu(walk: Walk, node: Any) -> None:
    """With its slope below 0."""
    options = schema.LeakyReluOptionsT()
    options.alpha = attribute(node, "alpha", 0.01)
    unary(_OP.LEAKY_RELU, (_KIND.LeakyReluOptions, options))(walk, node)


def clip(walk: Walk, node: Any) -> None:
    """Between two constants, either of which may be missing."""
    ends = [walk.constant(name, node).reshape(()) if name else None for name in node.input[1:]]
    low, high = (*ends, None, None)[:2]
    source, target = walk.tensor(node.input[0]), node.output[0]
    for code, end in ((_OP.MAXIMUM, low), (_OP.MINIMUM, high)):
        if end is not None:
            edge = walk.file.add_constant(f"{target} edge", np.asarray(end, source.dtype))
            options = (_KIND.MaximumMinimumOptions, schema.MaximumMinimumOptionsT())
            source = walk.file.add_operator(code, (source, edge), walk.new(target), options)
    walk.put(target, source)


def hard_sigmoid(walk: Walk, node: Any) -> None:
    """A line that is kept within 0 and 1."""
    source, target = walk.tensor(node.input[0]), node.output[0]
    maximum_minimum = (_KIND.MaximumMinimumOptions, schema.MaximumMinimumOptionsT())
    for code, number, options in (
        (_OP.MUL, attribute(node, "alpha", 0.2), (_KIND.MulOptions, schema.MulOptionsT())),
        (_OP.ADD, attribute(node, "beta", 0.5), (_KIND.AddOptions, schema.AddOptionsT())),
        (_OP.MAXIMUM, 0.0, maximum_minimum),
        (_OP.MINIMUM, 1.0, maximum_minimum),
    ):
        other = walk.file.add_constant(f"{target} {number}", np.asarray(number, np.float32))
        source = walk.file.add_operator(code, (source, other), walk.new(target), options)
    walk.put(target, source)


def cast(walk: Walk, node: Any) -> None:
    """To another type; between float64 and float32 nothing happens, since both are float32 here."""
    source, target = walk.tensor(node.input[0]), node.output[0]
    if source.dtype == walk.dtypes[target]:
        walk.put(target, source)
        return
    walk.put(
        target,
        walk.file.add_operator(
            _OP.CAST, (source,), walk.new(target), (_KIND.CastOptions, schema.CastOptionsT())
        ),
    )


def reduce_mean(walk: Walk, node: Any) -> None:
    """Means over axes."""
    axes = walk.constant(node.input[1], node).tolist() if len(node.input) > 1 else attribute(node, "axes")
    mean(walk, walk.tensor(node.input[0]), axes, node.output[0], keep=bool(attribute(node, "keepdims", 1)))


def mean(walk: Walk, source: Tensor, axes: Any, target: str, *, keep: bool) -> None:
    """Write the operator MEAN."""
    options = schema.ReducerOptionsT()
    options.keepDims = keep
    rank = len(source.shape)
    inputs = (source, walk.ints([axis % rank for axis in axes], f"{target} axes"))
    walk.put(
        target, walk.file.add_operator(_OP.MEAN, inputs, walk.new(target), (_KIND.ReducerOptions, options))
    )


def is_nan(walk: Walk, node: Any) -> None:
    """A number that is not equal to itself."""
    source, target = walk.tensor(node.input[0]), node.output[0]
    options = (_KIND.NotEqualOptions, schema.NotEqualOptionsT())
    walk.put(target, walk.file.add_operator(_OP.NOT_EQUAL, (source, source), walk.new(target), options))


def where(walk: Walk, node: Any) -> None:
    """One or the other."""
    inputs = [walk.tensor(name) for name in node.input]
    options = (_KIND.SelectV2Options, schema.SelectV2OptionsT())
    walk.put(node.output[0], walk.file.add_operator(_OP.SELECT_V2, inputs, walk.new(node.output[0]), options))


def arg_max(walk: Walk, node: Any) -> None:
    """Index of the highest, along the last axis."""
    if attribute(node, "keepdims", 1):
        raise SpecError("LiteRT's ARG_MAX drops its axis, the graph's keeps it")
    axis = _last_axis(walk, node, 0)
    options = schema.ArgMaxOptionsT()
    options.outputType = schema.TensorType.INT64
    inputs = (walk.tensor(node.input[0]), walk.ints(axis, f"{node.output[0]} axis"))
    walk.put(
        node.output[0],
        walk.file.add_operator(_OP.ARG_MAX, inputs, walk.new(node.output[0]), (_KIND.ArgMaxOptions, options)),
    )


def _last_axis(walk: Walk, node: Any, default: int) -> int:
    rank = len(walk.shapes.get(node.input[0], ()))
    axis = int(attribute(node, "axis", default)) % rank
    if axis != rank - 1:
        raise SpecError(
            f"{node.op_type} along axis {axis} of {rank} is not said here, only along the last one"
        )
    return axis


PLAIN: Mapping[str, Say] = {
    "Add": binary(_OP.ADD, _KIND.AddOptions, schema.AddOptionsT),
    "Sub": binary(_OP.SUB, _KIND.SubOptions, schema.SubOptionsT),
    "Mul": binary(_OP.MUL, _KIND.MulOptions, schema.MulOptionsT),
    "Div": binary(_OP.DIV, _KIND.DivOptions, schema.DivOptionsT),
    "Pow": binary(_OP.POW, _KIND.PowOptions, schema.PowOptionsT),
    "Max": binary(_OP.MAXIMUM, _KIND.MaximumMinimumOptions, schema.MaximumMinimumOptionsT),
    "Min": binary(_OP.MINIMUM, _KIND.MaximumMinimumOptions, schema.MaximumMinimumOptionsT),
    "Equal": binary(_OP.EQUAL, _KIND.EqualOptions, schema.EqualOptionsT),
    "Less": binary(_OP.LESS, _KIND.LessOptions, schema.LessOptionsT),
    "LessOrEqual": binary(_OP.LESS_EQUAL, _KIND.LessEqualOptions, schema.LessEqualOptionsT),
    "Greater": binary(_OP.GREATER, _KIND.GreaterOptions, schema.GreaterOptionsT),
    "GreaterOrEqual": binary(_OP.GREATER_EQUAL, _KIND.GreaterEqualOptions, schema.GreaterEqualOptionsT),
    "And": binary(_OP.LOGICAL_AND, _KIND.LogicalAndOptions, schema.LogicalAndOptionsT),
    "Or": binary(_OP.LOGICAL_OR, _KIND.LogicalOrOptions, schema.LogicalOrOptionsT),
    "Not": unary(_OP.LOGICAL_NOT, (_KIND.LogicalNotOptions, schema.LogicalNotOptionsT())),
    "Relu": unary(_OP.RELU),
    "Sigmoid": unary(_OP.LOGISTIC),
    "Tanh": unary(_OP.TANH),
    "Elu": unary(_OP.ELU),
    "HardSwish": unary(_OP.HARD_SWISH, (_KIND.HardSwishOptions, schema.HardSwishOptionsT())),
    "HardSigmoid": hard_sigmoid,
    "Exp": unary(_OP.EXP, (_KIND.ExpOptions, schema.ExpOptionsT())),
    "Log": unary(_OP.LOG),
    "Sqrt": unary(_OP.SQRT),
    "Abs": unary(_OP.ABS, (_KIND.AbsOptions, schema.AbsOptionsT())),
    "Neg": unary(_OP.NEG, (_KIND.NegOptions, schema.NegOptionsT())),
    "Floor": unary(_OP.FLOOR),
    "Identity": nothing,
    "Dropout": nothing,
    "Reshape": reshape,
    "Flatten": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Transpose": transpose,
    "Concat": concat,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "LeakyRelu": leaky_relu,
    "Clip": clip,
    "Cast": cast,
    "ReduceMean": reduce_mean,
    "IsNaN": is_nan,
    "Where": where,
    "ArgMax": arg_max,
}
