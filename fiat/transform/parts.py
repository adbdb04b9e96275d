"""Which parts of a transform graph can be run on distinct rows alone: those that make something else of texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx

from fiat.transform.model import TO_MODEL, Part, Value
from fiat.transform.names import inputs_of

_TEXTS = ("text", "tokens")


@dataclass(frozen=True)
class Step:
    """An operation in the graph.

    Attributes:
        given: what it was given.
        found: what came out, with what it puts beside.
    """

    given: tuple[Value, ...]
    found: Value


def text_parts(graph: onnx.GraphProto, steps: Sequence[Step]) -> tuple[Part, ...]:
    """One part for each set of columns: from texts, or what is joined to texts, up to what is no text.

    Args:
        graph: the finished one; what it doesn't read is left out.
        steps: in the order in which they were added. Every operation treats each row by itself.
    """
    read = {name for node in graph.node for name in inputs_of(node)}
    ends = {node.input[0] for node in graph.node if node.output[0].startswith(TO_MODEL)}
    maker = {step.found.tensor: step for step in steps}
    found: dict[tuple[str, ...], list[str]] = {}
    for step in steps:
        if not any(value.kind in _TEXTS for value in (*step.given, step.found)):
            continue
        inputs = tuple(dict.fromkeys(name for value in step.given for name in _sources(value, maker)))
        leaving = [name for name in _made(step.found, ends) if name in read]
        if leaving:
            found.setdefault(inputs, []).extend(leaving)
    return tuple(Part(inputs, tuple(outputs)) for inputs, outputs in found.items())


def _sources(value: Value, maker: dict[str, Step]) -> Iterator[str]:
    """What a value comes from: raw columns, and what is no text."""
    step = maker.get(value.tensor) if value.kind in _TEXTS else None
    if step is None:
        yield value.tensor
    else:
        for given in step.given:
            yield from _sources(given, maker)


def _made(value: Value, ends: set[str]) -> Iterator[str]:
    """Tensors of a value that are no texts, or texts that leave the graph."""
    if value.kind not in _TEXTS or value.tensor in ends:
        yield value.tensor
        if value.narrow:
            yield value.narrow
    for item in value.beside:
        yield from _made(item, ends)
