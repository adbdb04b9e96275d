"""Run one operation, or several in a row, on arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from fiat.transform.graph import Graph
from fiat.transform.model import Operation, Seen, State, Value

TYPES = {"number": TensorProto.DOUBLE, "text": TensorProto.STRING, "whole": TensorProto.INT64}


class Ran:
    """An operation behind its input, as a session.

    Args:
        steps: operations with their settings; each learns from what the one before it makes of `train`.
        kind: of the input.
        train: rows of the train split, `(n, width)`.
        counts: how often each row of texts was there.
        shape: of a tensor, without the row axis.
        dtype: of a tensor.
    """

    def __init__(
        self,
        steps: Sequence[tuple[Operation, Any]],
        kind: Any,
        train: np.ndarray | None = None,
        *,
        counts: np.ndarray | None = None,
        width: int = 1,
        shape: tuple[int, ...] = (),
        dtype: str = "float32",
    ) -> None:
        self._graph = Graph()
        names = tuple(f"x{place}" if width > 1 else "x" for place in range(width))
        self.value = Value("x", kind, names, shape=shape, dtype=dtype)
        element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) if kind == "tensor" else TYPES[kind]
        self._input = helper.make_tensor_value_info("x", element, ["n", *(shape or (width,))])
        self.states: list[State] = []
        rows = train
        for operation, setting in steps:
            seen = Seen(np.zeros((0, width)) if rows is None else rows, counts)
            self.states.append(operation.fit((self.value,), (seen,), setting, "x"))
            self.value = operation.emit(self._graph, (self.value,), self.states[-1], setting)
            rows = None if train is None else self(train)

    def __call__(self, rows: Any) -> np.ndarray:
        """What comes out for these rows; a list of texts stands for one column."""
        if isinstance(rows, list):
            rows = np.array([[text] for text in rows], object).reshape(len(rows), 1)
        return np.asarray(self.session().run(None, {"x": rows})[0])

    def session(self) -> ort.InferenceSession:
        """From `x` to `y`."""
        output = helper.make_tensor_value_info("y", _element(self.value), None)
        model = self._graph.model([self._input], [(self.value.tensor, output)])
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _element(value: Value) -> int:
    if value.kind == "tensor":
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype)))
    return int(TYPES["text" if value.kind == "tokens" else value.kind])


def texts(array: np.ndarray) -> list[str]:
    """A column of texts as a list."""
    assert array.ndim == 2
    assert array.shape[1] == 1
    return [str(text) for text in array[:, 0]]
