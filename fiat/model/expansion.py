"""How large a graph becomes when a runtime puts the bodies of its functions in place of their calls."""

from collections.abc import Iterable, Iterator
from typing import Any

from fiat.errors import SpecError

Key = tuple[str, str]


def expanded_nodes(model: Any) -> int:
    """Nodes of a model after its functions are inlined, counted without doing it.

    Ten functions of which each calls the one before ten times are a small file and ten thousand million nodes.

    Raises:
        SpecError: functions call each other in a circle.
    """
    bodies = {
        (function.domain, function.name): list(all_nodes(function.node)) for function in model.functions
    }
    sizes: dict[Key, int] = {}
    for key in bodies:
        _measure(key, bodies, sizes)
    return _size(list(all_nodes(model.graph.node)), sizes)


def all_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """Nodes and those of the graphs inside them; not recursive, so no nesting can crash it."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                waiting.extend(graph.node)


def _measure(start: Key, bodies: dict[Key, list[Any]], sizes: dict[Key, int]) -> None:
    """Size of one function after those that it calls; a stack of our own instead of recursion."""
    path = [start]
    while path:
        key = path[-1]
        waiting = [called for called in _calls(bodies[key], bodies) if called not in sizes]
        if not waiting:
            sizes[key] = _size(bodies[key], sizes)
            path.pop()
        elif waiting[0] in path:
            raise SpecError(f"function {waiting[0][1]} of the model calls itself")
        else:
            path.append(waiting[0])


def _calls(nodes: list[Any], bodies: dict[Key, list[Any]]) -> list[Key]:
    return [key for node in nodes if (key := (node.domain, node.op_type)) in bodies]


def _size(nodes: list[Any], sizes: dict[Key, int]) -> int:
    return sum(sizes.get((node.domain, node.op_type), 1) for node in nodes)
