"""An ONNX model of the user's own as a part of the transform graph: its inputs are columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from google.protobuf.message import DecodeError

from fiat.errors import SpecError
from fiat.transform.feeds import raw_feed
from fiat.transform.graph import CONTRIB, IR_VERSION, OPSET, Graph
from fiat.transform.model import Entry, RawColumn, Value
from fiat.transform.opsets import ONNX, raise_versions, versions_of, without_functions
from fiat.transform.runtime import open_session, run_rows

_DOMAINS = frozenset({ONNX, "ai.onnx.ml", CONTRIB})
_SAMPLE_ROWS = 16
_STRING = "string"


def include_graph(graph: Graph, entry: Entry, raw: Sequence[RawColumn], train: pa.Table) -> list[Value]:
    """Add the entry's model to the graph.

    The caller has checked it: loading a hostile model can kill the process.

    Args:
        graph: to add to.
        entry: its model's inputs are called like its columns.
        raw: all raw columns.
        train: some rows are run, so that its outputs' shapes are known.

    Raises:
        SpecError: other inputs than columns, a fixed number of rows, operators that are not ONNX's own, data outside the
            file, or an output that has not one item a row.
    """
    model = _read(entry)
    columns = {column.name: column for column in raw if column.name in entry.columns}
    _check_inputs(model, entry)
    versions = versions_of(model)
    version = max(OPSET, versions.get(ONNX, OPSET))
    model = raise_versions(model, {**versions, ONNX: version})
    feed = raw_feed(train.slice(0, _SAMPLE_ROWS), list(columns.values()))
    given = {item.name: _typed(graph, columns[item.name], item) for item in _inputs(model)}
    found = graph.include(model.graph, versions_of(model), given)
    sample = _run(model, feed)
    n_rows = min(train.num_rows, _SAMPLE_ROWS)
    return [_value(graph, found[name], name, array, n_rows) for name, array in sample.items()]


def _read(entry: Entry) -> onnx.ModelProto:
    try:
        model = onnx.ModelProto.FromString(entry.graph or b"")
    except DecodeError:
        raise SpecError(
            "what the function returned is no ONNX model", hint="return model.SerializeToString()"
        ) from None
    model.ir_version = min(model.ir_version, IR_VERSION)  # newer ones say nothing that operators do not
    model = without_functions(model)
    if not model.graph.output:
        raise SpecError("the ONNX model has no output")
    foreign = set(versions_of(model)) - _DOMAINS
    if foreign:
        raise SpecError(
            f"the ONNX model needs operators of {', '.join(sorted(foreign))}", hint="use ONNX's own ones"
        )
    if any(tensor.external_data for tensor in model.graph.initializer) or model.graph.sparse_initializer:
        raise SpecError("the ONNX model keeps data in other files or in sparse tensors", hint="put it inside")
    return model


def _inputs(model: onnx.ModelProto) -> list[Any]:
    stored = {item.name for item in model.graph.initializer}
    return [item for item in model.graph.input if item.name not in stored]


def _check_inputs(model: onnx.ModelProto, entry: Entry) -> None:
    names = [item.name for item in _inputs(model)]
    if sorted(names) != sorted(entry.columns):
        raise SpecError(
            f"the ONNX model takes {', '.join(names) or 'nothing'}, expected the columns {', '.join(entry.columns)}",
            hint="call its inputs like the columns",
        )
    for item in (*_inputs(model), *model.graph.output):
        shape = item.type.tensor_type.shape.dim
        if not item.type.HasField("tensor_type") or (shape and shape[0].HasField("dim_value")):
            raise SpecError(
                f"{item.name!r} of the ONNX model is no tensor with any number of rows",
                hint="leave its first axis free",
            )


def _typed(graph: Graph, column: RawColumn, item: Any) -> str:
    """The column as the model wants it: of its type, and `(n,)` where it says so."""
    kind = item.type.tensor_type
    wanted = (
        _STRING
        if kind.elem_type == onnx.TensorProto.STRING
        else onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    )
    if (wanted == _STRING) != (column.dtype == _STRING):
        held = "texts" if column.dtype == _STRING else "numbers"
        raise SpecError(f"{item.name!r} of the ONNX model is {wanted}, but the column holds {held}")
    tensor = column.name if wanted == column.dtype else graph.cast(column.name, wanted)
    flat = column.kind != "tensor" and len(kind.shape.dim) == 1
    return str(graph.add("Reshape", tensor, graph.constant([-1], "int64"))) if flat else tensor


def _run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = {}
    for item in _inputs(model):
        kind = item.type.tensor_type
        array = feed[item.name]
        if kind.elem_type != onnx.TensorProto.STRING:
            array = array.astype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        arrays[item.name] = array.reshape(-1) if len(kind.shape.dim) == 1 else array
    names = [item.name for item in model.graph.output]
    found = run_rows(open_session(model.SerializeToString()), names, arrays)
    return dict(zip(names, found, strict=True))


def _value(graph: Graph, tensor: str, name: str, array: np.ndarray, n_rows: int) -> Value:
    if array.ndim == 0 or len(array) != n_rows:
        raise SpecError(
            f"{name!r} of the ONNX model has the shape {array.shape} for {n_rows} rows", hint="one item a row"
        )
    if array.ndim == 1:
        tensor = graph.add("Reshape", tensor, graph.constant([-1, 1], "int64"))
    elif array.ndim > 2:
        return Value(tensor, "tensor", (name,), shape=array.shape[1:], dtype=array.dtype.name)
    width = array.shape[1] if array.ndim == 2 else 1
    names = (name,) if width == 1 else tuple(f"{name}[{place}]" for place in range(width))
    if array.dtype == object:
        if width > 1:
            raise SpecError(f"{name!r} of the ONNX model has {width} texts a row, expected one")
        return Value(tensor, "text", names)
    if array.dtype.kind == "f":
        narrow = tensor if array.dtype == np.float32 else ""
        wide = tensor if array.dtype == np.float64 else graph.cast(tensor, "float64")
        return Value(wide, "number", names, narrow=narrow)
    return Value(tensor if array.dtype == np.int64 else graph.cast(tensor, "int64"), "whole", names)
