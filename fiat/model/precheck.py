"""Look at an ONNX file before any runtime does: hostile ones crash the runtime or eat the machine.

Source: attacks seen with onnxruntime 1.31: external data by hard link, thousands of chained functions (a
segmentation fault), constants that ask for tens of gigabytes.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from fiat.errors import SpecError
from fiat.model.demand import asked_bytes, constant_numbers
from fiat.model.expansion import expanded_nodes
from fiat.model.tensors import all_tensors

KNOWN_DOMAINS = frozenset(
    {
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.training",
        "com.microsoft",
        "pkg.onnxscript.torch_lib",
        "pkg.torch.onnx",
    }
)


@dataclass(frozen=True)
class Caps:
    """How large a model may be.

    Attributes:
        size_bytes: of the file; ONNX itself ends at 2 GiB.
        nodes: of all graphs together.
        functions: of the model.
        depth: graphs inside graphs.
        constant_bytes: what one constant shape may ask for.
    """

    size_bytes: int = (2 << 30) - 1
    nodes: int = 200_000
    functions: int = 500
    depth: int = 16
    constant_bytes: int = 1 << 30


def precheck_model(path: Path, caps: Caps | None = None) -> None:
    """Refuse what a runtime should never see.

    Args:
        path: the file.
        caps: limits; left out: the usual ones.

    Raises:
        SpecError: it is no plain file, no ONNX, or has external data, foreign operators or absurd sizes.
    """
    limits = caps or Caps()
    content = _read(path, limits)
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError:
        raise SpecError(
            f"{path.name} is no ONNX model", hint="pickles and archives are never loaded"
        ) from None
    if not model.graph.node and not model.graph.output:
        raise SpecError(f"{path.name} is no ONNX model, or an empty one")
    if len(model.functions) > limits.functions:
        raise SpecError(f"{path.name} has {len(model.functions)} functions, more than {limits.functions}")
    domains = {item.domain for item in model.opset_import} - KNOWN_DOMAINS
    domains -= {function.domain for function in model.functions}
    for nodes, (node, depth) in enumerate(_nodes(model), start=1):
        if depth > limits.depth or nodes > limits.nodes:
            what = (
                f"graphs nested {depth} deep" if depth > limits.depth else f"more than {limits.nodes} nodes"
            )
            raise SpecError(f"{path.name} has {what}")
        if node.domain not in KNOWN_DOMAINS and node.domain not in {item.domain for item in model.functions}:
            domains.add(node.domain)
    if domains:
        raise SpecError(
            f"{path.name} needs operators of {', '.join(sorted(domains))}",
            hint="only ONNX's own domains are loaded",
        )
    if (size := expanded_nodes(model)) > limits.nodes:
        raise SpecError(
            f"{path.name} has {size:,} nodes once its functions are inlined, more than {limits.nodes:,}"
        )
    for tensor in all_tensors(model):
        _check_inside(path, tensor)
    known = constant_numbers(_graphs(model), (node for node, _ in _nodes(model)))
    for node, _ in _nodes(model):
        if (size_bytes := asked_bytes(node, known)) > limits.constant_bytes:
            amount = f"{size_bytes / 2**30:,.0f} GiB"
            raise SpecError(f"{node.op_type} {node.name} of {path.name} asks for {amount} at once")


def _read(path: Path, limits: Caps) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise SpecError(
            f"{path.name} can't be opened: {error.strerror}", hint="a link is not followed"
        ) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise SpecError(
                f"{path.name} is no plain file of its own", hint="hard links are refused: copy the file"
            )
        if found.st_size > limits.size_bytes:
            raise SpecError(f"{path.name} has {found.st_size:,} bytes, more than {limits.size_bytes:,}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limits.size_bytes)
    finally:
        os.close(descriptor)


def _nodes(model: Any) -> Iterator[tuple[Any, int]]:
    """Every node of every graph, with how deep its graph lies; not recursive, so depth can't crash it."""
    waiting = [(model.graph.node, 1), *((function.node, 1) for function in model.functions)]
    while waiting:
        nodes, depth = waiting.pop()
        for node in nodes:
            yield node, depth
            for attribute in node.attribute:
                waiting += [(graph.node, depth + 1) for graph in attribute.graphs]
                if attribute.HasField("g"):
                    waiting.append((attribute.g.node, depth + 1))


def _graphs(model: Any) -> Iterator[Any]:
    """Every graph, the outer one first."""
    yield model.graph
    for node, _ in _nodes(model):
        for attribute in node.attribute:
            yield from attribute.graphs
            if attribute.HasField("g"):
                yield attribute.g


def _check_inside(path: Path, tensor: Any) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise SpecError(
            f"{path.name} keeps the data of {tensor.name or 'a tensor'} in another file",
            hint="export with everything inside one file",
        )
