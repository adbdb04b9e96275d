"""Weights of eight bits: matrix products and convolutions of a graph, the transforms in front of them stay as they are.

`dynamic` keeps weights of matrix products in int8 and finds the range of what comes in row by row; `static` also fixes the
ranges in between, as they are on rows of the train split (S8S8, a scale for each channel, QDQ operators).

Source: onnxruntime documentation, "Quantize ONNX models".
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from fiat.errors import SpecError
from fiat.ports.edge import Arrays

_PRODUCTS = ("Gemm", "MatMul")
_WEIGHTED = (*_PRODUCTS, "Conv")
_BETWEEN = ("Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Add", "Flatten", "Reshape")
"""Kept in int8 between two convolutions or products, where a graph has no transforms of which they could be a part."""


def quantize(model: Path, target: Path, how: str, rows: Iterable[Arrays], *, has_transforms: bool) -> None:
    """Write a quantized graph.

    Args:
        model: an ONNX file with float32 weights.
        target: for the quantized one.
        how: `dynamic` or `static`.
        rows: of the train split, as the graph is fed; for `static`.
        has_transforms: raw columns come in.

    Raises:
        SpecError: the graph has nothing that can be quantized, or onnxruntime can't do it.
    """
    wanted = _PRODUCTS if how == "dynamic" else _WEIGHTED
    if not _weights(model, wanted):
        kinds = "matrix product" if how == "dynamic" else "matrix product or convolution"
        raise SpecError(
            f"quantize: {how} finds no {kinds} with float weights in the graph",
            hint="trees and the like have no such weights: say quantize: none",
        )
    ready = target.with_name("prepared.onnx")
    try:
        logging.getLogger().setLevel(logging.ERROR)
        quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
        _forget_shapes(ready)
        if how == "dynamic":
            quantize_dynamic(
                str(ready), str(target), op_types_to_quantize=list(wanted), weight_type=QuantType.QInt8
            )
        else:
            quantize_static(
                str(ready),
                str(target),
                _Rows(rows),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=[*wanted, *(() if has_transforms else _BETWEEN)],
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
    except SpecError:
        raise
    except Exception as error:
        line = str(error).strip().partition("\n")[0][:300]
        raise SpecError(
            f"onnxruntime can't quantize the graph ({how}): {type(error).__name__}: {line}",
            hint="say quantize: none",
        ) from error
    finally:
        ready.unlink(missing_ok=True)


class _Rows(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, rows: Iterable[Arrays]) -> None:
        self._rows: Iterator[Arrays] = iter(rows)

    def get_next(self) -> dict[str, object] | None:
        """The next batch, None at the end."""
        found = next(self._rows, None)
        return None if found is None else dict(found)


def _weights(model: Path, kinds: tuple[str, ...]) -> bool:
    """Whether an operator of these kinds has a constant float32 weight."""
    graph = onnx.load(str(model), load_external_data=False)
    floats = {
        item.name
        for item in graph.graph.initializer
        if item.data_type == onnx.TensorProto.FLOAT and len(item.dims) > 1
    }
    made = {
        node.output[0]
        for node in graph.graph.node
        if node.op_type in ("Constant", "Identity", "Transpose", "Cast")
    }
    return any(
        node.op_type in kinds and any(name in floats or name in made for name in node.input[1:])
        for node in _nodes(graph)
    )


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from model.graph.node
    for function in model.functions:
        yield from function.node


def _forget_shapes(path: Path) -> None:
    """Shapes in between are inferred anew: those of weights that are turned around no longer fit afterwards."""
    model = onnx.load(str(path))
    del model.graph.value_info[:]
    onnx.save(model, str(path))
