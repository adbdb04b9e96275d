"""Operations from text to text."""

import sys
from collections.abc import Mapping
from typing import Any

from fiat.transform.graph import Graph
from fiat.transform.model import Kind, Seen, State, Value
from fiat.transform.words import WORD, join_words, split_words


class Lower:
    """`lower`: every letter becomes its small one, also those that are not ASCII.

    Letter by letter: the Greek sigma at the end of a word, which `str.lower()` looks at its neighbours for, becomes the one
    inside words.
    """

    word = "lower"
    takes: tuple[Kind, ...] = ("text",)
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """There is nothing to learn."""
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Cuts out large letters that are not ASCII, looks each up, and joins what there is again."""
        flat = graph.add("Reshape", values[0].tensor, graph.constant([-1], "int64"))
        ascii_low = _lower_ascii(graph, flat)
        small = _small_letters()
        large = "".join(small)
        pieces = split_words(graph, ascii_low, f"[{large}]|[^{large}]+")
        found = graph.add(
            "LabelEncoder",
            pieces,
            domain="ai.onnx.ml",
            keys_strings=list(small),
            values_strings=list(small.values()),
            default_string="",
        )
        other = graph.add("Equal", found, graph.constant([""], "string"))
        low = graph.add("Where", other, pieces, found)
        return Value(join_words(graph, low), "text", values[0].names)


class Strip:
    """`strip`: no white space at both ends, and one space for each run of it between words."""

    word = "strip"
    takes: tuple[Kind, ...] = ("text",)
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """There is nothing to learn."""
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Words with single spaces between them stay together, so that most texts are one piece."""
        flat = graph.add("Reshape", values[0].tensor, graph.constant([-1], "int64"))
        pieces = split_words(graph, flat, f"{WORD}(?: {WORD})*")
        empty = graph.constant([""], "string")
        spaced = graph.add("StringConcat", graph.constant([" "], "string"), pieces)
        behind = graph.add("Where", graph.add("Equal", pieces, empty), empty, spaced)
        zero, one = graph.constant([0], "int64"), graph.constant([1], "int64")
        end = graph.constant([sys.maxsize], "int64")
        first = graph.add("Slice", pieces, zero, one, one)
        rest = graph.add("Slice", behind, one, end, one)
        joined = join_words(graph, graph.add("Concat", first, rest, axis=1))
        return Value(joined, "text", values[0].names)


def _lower_ascii(graph: Graph, flat: str) -> str:
    """By the runtime's StringNormalizer in the locale C: every machine has it, and it knows no other letters.

    It refuses to be given no rows at all, so one is added and taken away again.
    """
    one_more = graph.add("Concat", flat, graph.constant([""], "string"), axis=0)
    low = graph.add("StringNormalizer", one_more, case_change_action="LOWER", locale="C")
    return str(graph.add("Slice", low, graph.constant([0], "int64"), graph.add("Shape", flat)))


def _small_letters() -> Mapping[str, str]:
    """Every letter beyond ASCII that has a small one, to that: about 1,400."""
    letters = (chr(code) for code in range(0x80, sys.maxunicode + 1))
    return {letter: letter.lower() for letter in letters if letter != letter.lower()}


TEXTS: Mapping[str, Any] = {operation.word: operation for operation in (Lower(), Strip())}
