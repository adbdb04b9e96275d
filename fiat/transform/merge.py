"""Put a fitted transform graph before a model: one graph from raw columns to predictions."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from fiat.errors import EnvironmentFault, SpecError
from fiat.transform.model import TO_MODEL
from fiat.transform.names import renamed
from fiat.transform.opsets import raise_versions, versions_of, without_functions
from fiat.transform.runtime import open_session, run_rows
from fiat.transform.sample import sample_rows

_CLOSE = 1e-5


def merge_graphs(
    transform: bytes, model_path: Path, target: Path, *, sample: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write the graph that takes raw columns and gives what the model gives.

    It is run against the transforms and the model one behind the other before it is written.

    Args:
        transform: `Fitted.graph`.
        model_path: an ONNX file that passed `precheck_model`; its inputs are called like the transforms' outputs, or it
            has one input and they have one output.
        target: ONNX file to write.
        sample: raw columns of a few rows to compare with; left out: made up from what the transforms know.

    Raises:
        SpecError: inputs that the transforms don't give, a name that is a column's and an output's, an operator that
            can't be brought to the versions of both graphs.
        EnvironmentFault: the target can't be written.
    """
    first, second = onnx.ModelProto.FromString(transform), _read(model_path)
    versions = versions_of(first)
    for domain, version in versions_of(second).items():
        versions[domain] = max(version, versions.get(domain, 0))
    joined = _join(raise_versions(first, versions), raise_versions(second, versions))
    content = joined.SerializeToString(deterministic=True)
    _compare(transform, second, content, sample)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise EnvironmentFault(f"{target.name} can't be written: {error.strerror or error}") from error


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (OSError, DecodeError) as error:
        raise SpecError(f"{path.name} is no ONNX model that can be read") from error
    if any(tensor.external_data for tensor in model.graph.initializer):
        raise SpecError(
            f"{path.name} keeps its data in another file", hint="export with everything inside one file"
        )
    return without_functions(model)


def _join(first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    columns = {item.name for item in first.graph.input}
    results = [item.name for item in second.graph.output]
    for name in results:
        if name in columns:
            raise SpecError(
                f"column {name!r} is called like an output of the model", hint="rename the column"
            )
    taken = (*columns, *results)
    before, inside = _free_prefix("transform.", taken), _free_prefix("model.", taken)
    fed, casts = _match(first, second, before, inside)
    stored = {item.name for item in (*second.graph.input, *second.graph.initializer)}
    made = {name: name for name in results if name not in stored}
    head = renamed(first.graph, lambda name: name if name in columns else before + name)
    tail = renamed(second.graph, lambda name: fed.get(name) or made.get(name) or inside + name)
    nodes = [*head.node, *casts, *tail.node]
    nodes += [
        helper.make_node("Identity", [fed.get(name, inside + name)], [name])
        for name in results
        if name in stored
    ]
    graph = helper.make_graph(
        nodes,
        second.graph.name or "model",
        list(head.input),
        list(second.graph.output),
        initializer=[*head.initializer, *tail.initializer],
        sparse_initializer=list(tail.sparse_initializer),
    )
    merged = onnx.ModelProto()
    merged.CopyFrom(second)
    merged.ClearField("training_info")
    merged.graph.CopyFrom(graph)
    del merged.opset_import[:]
    versions = {**versions_of(first), **versions_of(second)}
    for domain, version in sorted(versions.items()):
        merged.opset_import.add(domain=domain, version=version)
    merged.ir_version = max(first.ir_version, second.ir_version)
    return merged


def _match(
    first: onnx.ModelProto, second: onnx.ModelProto, before: str, inside: str
) -> tuple[dict[str, str], list[onnx.NodeProto]]:
    """The model's inputs to tensors of the transforms, and nodes that make their types the same."""
    given = {item.name.removeprefix(TO_MODEL): item for item in first.graph.output}
    stored = {item.name for item in second.graph.initializer}
    wanted = {item.name: item for item in second.graph.input if item.name not in stored}
    pairs = {name: name for name in wanted}
    if not set(wanted) <= set(given):
        if len(wanted) != 1 or len(given) != 1:
            raise SpecError(
                f"the model takes {', '.join(wanted)}, but the transforms give {', '.join(given)}",
                hint="call the model's inputs like these outputs",
            )
        pairs = {next(iter(wanted)): next(iter(given))}
    fed, casts = {}, []
    for name, source in pairs.items():
        tensor = before + given[source].name
        kind = _check_types(wanted[name], given[source])
        if kind is not None:
            casts.append(helper.make_node("Cast", [tensor], [f"{inside}{name}"], to=kind))
            tensor = inside + name
        fed[name] = tensor
    return fed, casts


def _check_types(wanted: Any, given: Any) -> int | None:
    """ONNX's number of the type that the model wants; None when it is given it already."""
    takes, gives = wanted.type.tensor_type, given.type.tensor_type
    shapes = [
        [axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim]
        for kind in (takes, gives)
    ]
    same_rank = len(shapes[0]) == len(shapes[1]) or not takes.HasField("shape")
    if not same_rank or any(
        None not in (left, right) and left != right for left, right in zip(*shapes, strict=False)
    ):
        texts = [
            "(" + ", ".join("n" if axis is None else str(axis) for axis in shape) + ")" for shape in shapes
        ]
        raise SpecError(
            f"input {wanted.name!r} of the model takes {texts[0]}, but the transforms give {texts[1]}"
        )
    if takes.elem_type == gives.elem_type:
        return None
    dtypes = [_dtype(kind.elem_type) for kind in (takes, gives)]
    if "string" in dtypes or not np.can_cast(dtypes[1], dtypes[0], "safe"):
        raise SpecError(
            f"input {wanted.name!r} of the model takes {dtypes[0]}, the transforms give {dtypes[1]}"
        )
    return int(takes.elem_type)


def _dtype(kind: int) -> str:
    return "string" if kind == TensorProto.STRING else helper.tensor_dtype_to_np_dtype(kind).name


def _free_prefix(prefix: str, taken: Iterable[str]) -> str:
    while any(name.startswith(prefix) for name in taken):
        prefix = "_" + prefix
    return prefix


def _compare(
    transform: bytes, model: onnx.ModelProto, merged: bytes, sample: Mapping[str, np.ndarray] | None
) -> None:
    before, whole = open_session(transform), open_session(merged)
    rows = sample_rows(onnx.ModelProto.FromString(transform)) if sample is None else dict(sample)
    names = [item.name for item in before.get_outputs()]
    try:
        made = dict(zip(names, run_rows(before, names, rows), strict=True))
    except SpecError:
        if sample is not None:
            raise
        return  # made-up rows may be what `unknown: error` refuses
    after = open_session(model.SerializeToString())
    inputs = {item.name: _dtype_of(item.type) for item in after.get_inputs()}
    by_name = {name.removeprefix(TO_MODEL): array for name, array in made.items()}
    feed = {name: by_name[name] if name in by_name else next(iter(by_name.values())) for name in inputs}
    feed = {
        name: array if array.dtype == object else array.astype(inputs[name]) for name, array in feed.items()
    }
    results = [item.name for item in whole.get_outputs()]
    expected, found = run_rows(after, results, feed), run_rows(whole, results, rows)
    for name, left, right in zip(results, expected, found, strict=True):
        if not _is_close(left, right):
            raise SpecError(
                f"{name} of the model is another one behind the transforms: ONNX's converter changed the model",
                hint="set `export.opset` to 20",
            )


def _dtype_of(kind: str) -> str:
    name = kind.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64", "string": "object"}.get(name, name)


def _is_close(left: Any, right: Any) -> bool:
    if not isinstance(left, np.ndarray) or left.dtype.kind not in "fc":
        return bool(np.array_equal(left, right))
    return left.shape == right.shape and bool(
        np.allclose(left, right, rtol=_CLOSE, atol=_CLOSE, equal_nan=True)
    )
