"""Operation `cross`: several columns together as one category."""

from typing import Any

from fiat.errors import SpecError
from fiat.transform.categories import MISSING, as_whole, whole_keys
from fiat.transform.graph import Graph
from fiat.transform.model import Kind, Seen, State, Value

SEPARATOR = "\ufdd0"
"""Between the texts: a code point that Unicode keeps free of meaning, so that no text has it."""


class Cross:
    """The texts of all columns of the entry one behind another; whole numbers as their digits."""

    word = "cross"
    takes: tuple[Kind, ...] = ("text", "whole", "number")
    joins = True

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Nothing is learned.

        Raises:
            SpecError: fewer than two columns, a column of several values a row, or numbers that are not whole.
        """
        if len(values) < 2:
            raise SpecError("`cross` takes two columns or more", hint="name another one under `columns`")
        for value, rows in zip(values, seen, strict=True):
            if len(value.names) > 1:
                raise SpecError(
                    f"`cross` takes one value a row, {value.names[0]!r} has {len(value.names)} by now"
                )
            if value.kind == "number":
                as_whole(rows.values, value.names[0])
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Text."""
        joined = _text(graph, values[0])
        for value in values[1:]:
            led = graph.add("StringConcat", joined, graph.constant(SEPARATOR, "string"))
            joined = graph.add("StringConcat", led, _text(graph, value))
        return Value(joined, "text", (" x ".join(value.names[0] for value in values),))


def _text(graph: Graph, value: Value) -> str:
    """The value as text; a missing number is the empty text."""
    if value.kind == "text":
        return value.tensor
    keys = whole_keys(graph, value)
    missing = graph.add("Equal", keys, graph.constant(MISSING, "int64"))
    return str(graph.add("Where", missing, graph.constant("", "string"), graph.cast(keys, "string")))
