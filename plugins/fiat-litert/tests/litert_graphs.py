"""ONNX graphs, and both runtimes' words on the same numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fiat.builtin.edge_formats import OnnxFormat
from fiat_litert.format import TfliteFormat

FLOAT = TensorProto.FLOAT


def model(
    folder: Path,
    nodes: Sequence[Any],
    shape: Sequence[Any],
    constants: dict[str, np.ndarray] | None = None,
    *,
    kind: int = FLOAT,
    gives: int = FLOAT,
    rank: int | None = None,
) -> Path:
    """A graph from `x` to `y`, checked by ONNX itself."""
    sizes = [None] * (len(shape) if rank is None else rank)
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", *shape[1:]])],
        [helper.make_tensor_value_info("y", gives, ["n", *sizes[1:]])],
        initializer=[numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    made = onnx.shape_inference.infer_shapes(made, strict_mode=True)
    onnx.checker.check_model(made)
    path = folder / "model.onnx"
    onnx.save(made, str(path))
    return path


def both(path: Path, folder: Path, rows: np.ndarray, quantize: str = "none") -> tuple[np.ndarray, np.ndarray]:
    """What onnxruntime and LiteRT say of the same rows."""
    form = TfliteFormat()
    file = form.convert(path, folder, quantize)
    ours, theirs = OnnxFormat().open(path)({"x": rows}), form.open(file)({"x": rows})
    assert set(ours) == set(theirs) == {"y"}
    return ours["y"], theirs["y"]
