"""Take out of a graph what says nothing to a runtime and differs from one export to the next."""

from pathlib import Path
from typing import Any

import onnx


def clean_graph(path: Path) -> None:
    """Rewrite an ONNX file without doc strings and metadata (stack traces, paths, times), in canonical bytes."""
    model = onnx.load(str(path), load_external_data=False)
    model.doc_string = ""
    model.producer_version = ""
    del model.metadata_props[:]
    _clean(model.graph)
    for function in model.functions:
        function.doc_string = ""
        _drop_metadata(function)
        for node in function.node:
            _clean_node(node)
    temporary = path.with_suffix(".part")
    temporary.write_bytes(model.SerializeToString(deterministic=True))
    temporary.replace(path)


def _clean(graph: Any) -> None:
    graph.doc_string = ""
    _drop_metadata(graph)
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        _drop_metadata(item)
    for node in graph.node:
        _clean_node(node)


def _clean_node(node: Any) -> None:
    node.doc_string = ""
    _drop_metadata(node)
    for attribute in node.attribute:
        attribute.doc_string = ""
        for graph in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
            _clean(graph)


def _drop_metadata(item: Any) -> None:
    if hasattr(item, "metadata_props"):
        del item.metadata_props[:]
