"""Operations that make words of texts, and numbers of words.

`hash` and `embed_index`, which take words as well as categories, are in `categories.py`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from fiat.errors import SpecError
from fiat.transform.graph import Graph
from fiat.transform.model import Kind, Seen, State, Value
from fiat.transform.runtime import open_session, run_parts
from fiat.transform.vocabulary import Gram, choose_grams, count_grams
from fiat.transform.words import WORD, split_words


class Tokenize:
    """`tokenize`: the words of a text, in order."""

    word = "tokenize"
    takes: tuple[Kind, ...] = ("text",)
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """There is nothing to learn, but the pattern must be one.

        Raises:
            SpecError: the runtime can't read the pattern.
        """
        if setting.get("pattern"):
            _require_pattern(setting["pattern"], column)
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """What the pattern matches; without one, what is between white space."""
        flat = graph.add("Reshape", values[0].tensor, graph.constant([-1], "int64"))
        words = split_words(graph, flat, setting.get("pattern") or WORD)
        if setting.get("max") is not None:
            start, end, axis = (graph.constant([item], "int64") for item in (0, setting["max"], 1))
            words = graph.add("Slice", words, start, end, axis)
        return Value(words, "tokens", values[0].names)


class TfIdf:
    """`tf_idf`: a number a word: how often it is there, times how rare it is; rows have length 1.

    The same numbers as scikit-learn's TfidfVectorizer of the same words. Texts are cut at white space first.

    Source: scikit-learn, User Guide, "Tf-idf term weighting": idf = ln((1 + n) / (1 + df)) + 1, then the l2 norm.
    """

    word = "tf_idf"
    takes: tuple[Kind, ...] = ("tokens", "text")
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """The words, or sequences of words, that are in most texts, and how rare each is.

        Raises:
            SpecError: no word is in as many texts as `min_rows` asks for.
        """
        found, n_rows = _count_all(values[0], seen[0], setting["ngrams"])
        chosen = choose_grams(found, setting["max"], setting["min_rows"])
        if not chosen:
            raise SpecError(
                f"no word of column {column!r} is in {setting['min_rows']} texts of train",
                hint="lower `min_rows`",
            )
        rare = [float(np.log((1 + n_rows) / (1 + n_texts)) + 1) for _, n_texts in chosen]
        return {"words": [list(gram) for gram, _ in chosen], "idf": rare}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Counts words, weighs them, and divides by the length of the row."""
        value = values[0]
        if value.kind == "text":
            value = Tokenize().emit(graph, values, {}, {})
        weighed = _weigh(graph, value.tensor, state["words"], state["idf"])
        length = graph.add("ReduceL2", weighed, graph.constant([1], "int64"))
        nothing = graph.add("Equal", length, graph.constant([0.0], "float32"))
        safe = graph.add("Where", nothing, graph.constant([1.0], "float32"), length)
        numbers = graph.add("Div", weighed, safe)
        names = tuple(f"{value.names[0]}={' '.join(gram)}" for gram in state["words"])
        return Value(graph.cast(numbers, "float64"), "number", names, narrow=numbers)


def _weigh(graph: Graph, words: str, grams: Sequence[Sequence[str]], rare: Sequence[float]) -> str:
    """Times that each sequence of words is there, times its weight: float32 `(n, n_grams)`."""
    order = sorted(range(len(grams)), key=lambda place: len(grams[place]))
    lengths = [len(grams[place]) for place in order]
    starts, start = [], 0
    for length in range(1, max(lengths) + 1):
        starts.append(start)
        start += length * lengths.count(length)
    # The runtime refuses to be given no rows at all, so one is added and taken away again.
    n_rows = graph.add("Shape", words, start=0, end=1)
    lacking = graph.add("Sub", graph.constant([1], "int64"), n_rows)
    more = graph.add("Max", lacking, graph.constant([0], "int64"))
    size = graph.add("Concat", more, graph.add("Shape", words, start=1, end=2), axis=0)
    empty = graph.add("Expand", graph.constant([[""]], "string"), size)
    weighed = graph.add(
        "TfIdfVectorizer",
        graph.add("Concat", words, empty, axis=0),
        mode="TFIDF",
        min_gram_length=1,
        max_gram_length=max(lengths),
        max_skip_count=0,
        ngram_counts=starts,
        ngram_indexes=order,
        pool_strings=[word for place in order for word in grams[place]],
        weights=[rare[place] for place in order],
    )
    return str(graph.add("Slice", weighed, graph.constant([0], "int64"), n_rows))


def _session(setting: Mapping[str, Any]) -> ort.InferenceSession:
    graph = Graph()
    words = Tokenize().emit(graph, (Value("texts", "text", ("texts",)),), {}, setting)
    model = graph.model(
        [helper.make_tensor_value_info("texts", TensorProto.STRING, ["n", 1])],
        [(words.tensor, helper.make_tensor_value_info("words", TensorProto.STRING, None))],
    )
    return open_session(model.SerializeToString())


def _count_all(value: Value, seen: Seen, ngrams: int) -> tuple[Mapping[Gram, int], int]:
    """In how many texts each sequence is, and how many texts there are; texts are cut by the nodes that serve.

    In parts: a table of words is as wide as the longest text.
    """
    session = _session({}) if value.kind == "text" else None
    found: Counter[Gram] = Counter()
    n_rows = 0
    for rows, counts in seen.parts():
        n_rows += int(counts.sum())
        if session is None:
            found.update(count_grams(rows, counts, ngrams))
            continue
        start = 0
        for (table,) in run_parts(session, ["words"], {"texts": rows}):
            found.update(count_grams(table, counts[start : start + len(table)], ngrams))
            start += len(table)
    return found, n_rows


def _require_pattern(pattern: str, column: str) -> None:
    try:
        _session({"pattern": pattern})
    except SpecError as error:
        reason = re.search(r"Can not digest tokenexp: (.*)", error.message)
        if reason is None:
            raise
        raise SpecError(
            f"`pattern` {pattern!r} of `tokenize` for column {column!r} can't be read: {reason[1]}",
            hint="RE2 has no looking ahead or behind and no references to groups",
        ) from None


TOKENS: Mapping[str, Any] = {operation.word: operation for operation in (Tokenize(), TfIdf())}
