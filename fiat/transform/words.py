"""Texts into pieces and pieces into texts, in nodes of the graph.

The runtime's own StringSplit and StringNormalizer are not used: the one takes nothing but the space for white space, the
other asks for a locale of the machine that the graph is served on.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from fiat.transform.graph import CONTRIB, Graph

_WHITE = r"\t-\r\x{1c}-\x{1f} \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
WORD = f"[^{_WHITE}]+"
"""RE2 pattern of what is between white space: what Python's `str.split()` gives."""


def split_words(graph: Graph, text: str, pattern: str, *, pad: str = "") -> str:
    """Every match of a pattern in a text.

    Args:
        graph: gets the nodes.
        text: string `(n,)`.
        pattern: RE2.
        pad: what rows with fewer matches are filled up with.

    Returns:
        String `(n, most)`; `most` is 0 when no row has a match.
    """
    found = graph.add(
        "Tokenizer", text, domain=CONTRIB, mark=0, mincharnum=1, pad_value=pad, tokenexp=pattern
    )
    # Says of what type it is to those who don't know the operator: ONNX's own shape inference dies at a LabelEncoder whose
    # input has none. The runtime drops the cast.
    found = graph.cast(found, "string")
    # For no rows at all the runtime gives (0,), not (0, 0).
    rows = graph.add("Shape", text)
    most = graph.add("Div", graph.add("Size", found), graph.add("Max", rows, graph.constant([1], "int64")))
    return str(graph.add("Reshape", found, graph.add("Concat", rows, most, axis=0), allowzero=1))


def join_words(graph: Graph, pieces: str) -> str:
    """Pieces of a row behind one another.

    Two neighbours become one until one is left: a text of 10,000 pieces takes 14 rounds.

    Args:
        graph: gets the nodes.
        pieces: string `(n, most)`, empty texts where a row has no more.

    Returns:
        String `(n, 1)`.
    """
    one = graph.constant([1], "int64")
    n_pieces = _n_columns(graph, pieces)
    none = graph.constant([0], "int64")
    some = _widen(graph, pieces, graph.add("Max", graph.add("Sub", one, n_pieces), none))
    more = graph.add("Squeeze", graph.add("Greater", n_pieces, one))
    return str(graph.add("Loop", "", more, some, body=_halving(graph)))


def _halving(graph: Graph) -> onnx.GraphProto:
    """Body of a loop that joins the pieces at even places to those behind them while there are several."""
    body = graph.inner()
    turn, go, given = body.name("turn"), body.name("go"), body.name("given")
    one, two, zero = (body.constant([number], "int64") for number in (1, 2, 0))
    even = _widen(body, given, body.add("Mod", _n_columns(body, given), two))
    end = body.constant([np.iinfo(np.int64).max], "int64")
    left, right = (body.add("Slice", even, start, end, one, two) for start in (zero, one))
    joined = body.add("StringConcat", left, right)
    more = body.add("Squeeze", body.add("Greater", _n_columns(body, joined), one))
    inputs = [
        helper.make_tensor_value_info(turn, TensorProto.INT64, []),
        helper.make_tensor_value_info(go, TensorProto.BOOL, []),
        helper.make_tensor_value_info(given, TensorProto.STRING, [None, None]),
    ]
    return body.body(inputs, [more, joined])


def _n_columns(graph: Graph, table: str) -> str:
    return str(graph.add("Shape", table, start=1, end=2))


def _widen(graph: Graph, table: str, n_columns: str) -> str:
    """The table with so many columns of empty texts more; 0 is fine."""
    size = graph.add("Concat", graph.add("Shape", table, start=0, end=1), n_columns, axis=0)
    empty = graph.add("Expand", graph.constant([[""]], "string"), size)
    return str(graph.add("Concat", table, empty, axis=1))
