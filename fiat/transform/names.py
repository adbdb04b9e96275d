"""Names of tensors in ONNX graphs: which ones a node reads, and other names for all of them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import onnx


def inputs_of(node: onnx.NodeProto) -> set[str]:
    """Tensors that a node reads, in graphs inside it too."""
    found = set(node.input)
    for graph in graphs_in(node):
        for inner in graph.node:
            found |= inputs_of(inner)
        found.update(item.name for item in graph.output)
    return found - {""}


def graphs_in(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Graphs that are attributes of a node: bodies of loops, branches."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def renamed(graph: onnx.GraphProto, name: Callable[[str], str]) -> onnx.GraphProto:
    """A copy in which every tensor has the name that `name` gives for its old one, in graphs inside it too.

    Nodes get none: their names need not be distinct, and say nothing to a runtime.
    """
    found = onnx.GraphProto()
    found.CopyFrom(graph)
    _rename(found, name)
    return found


def needed_nodes(
    nodes: Iterable[onnx.NodeProto], tensors: Iterable[str], given: Iterable[str] = ()
) -> list[Any]:
    """Nodes that these tensors come from, in order.

    Args:
        nodes: in an order in which each stands behind those that it reads.
        tensors: what is asked for.
        given: tensors that need not be computed.
    """
    known = set(given)
    wanted, kept = set(tensors) - known, []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= inputs_of(node) - known
    return kept[::-1]


def _rename(graph: onnx.GraphProto, name: Callable[[str], str]) -> None:
    for node in graph.node:
        node.input[:] = [name(item) if item else "" for item in node.input]
        node.output[:] = [name(item) if item else "" for item in node.output]
        for inner in graphs_in(node):
            _rename(inner, name)
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.name = name(item.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = name(sparse.values.name)
