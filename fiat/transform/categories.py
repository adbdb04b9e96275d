"""Operations on categories: one_hot, ordinal, embed_index, hash.

Categories are texts, whole numbers, or numbers that are whole in every row of train. A missing value (an empty text,
NaN) is a category as well when train has it; only `embed_index` keeps a place of its own for it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fiat.errors import SpecError
from fiat.transform.graph import CONTRIB, Graph
from fiat.transform.model import Kind, Seen, State, Value
from fiat.transform.numbers import count_texts
from fiat.transform.vocabulary import count_grams

MISSING = -(1 << 62)
"""Stands for NaN among whole numbers."""
_NO_CATEGORY = MISSING + 1
_LARGEST = 2.0**53
_MOST_COLUMNS = 100_000
_CATEGORIES: tuple[Kind, ...] = ("text", "whole", "number")


class OneHot:
    """One column a category, and one for all others with `unknown: other`."""

    word = "one_hot"
    takes = _CATEGORIES
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """The categories, the most frequent first."""
        return _fit_categories(values[0], seen[0], setting, column)

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """1 in the category's column."""
        value, categories, unknown = values[0], state["categories"], setting.get("unknown", "other")
        found = _index(graph, value, categories, unknown)
        n_columns = len(categories) + (unknown == "other")
        flags = graph.add(
            "OneHot",
            found,
            graph.constant(n_columns, "int64"),
            graph.constant([0.0, 1.0], "float32"),
            axis=-1,
        )
        flat = graph.add("Reshape", flags, graph.constant([0, len(value.names) * n_columns], "int64"))
        labels = [_label(item) for item in categories] + ["(other)"] * (unknown == "other")
        names = tuple(f"{name}={label}" for name in value.names for label in labels)
        return Value(graph.cast(flat, "float64"), "number", names, narrow=flat)


class Ordinal:
    """A number a category: 0 is the most frequent; with `unknown: other` the last one is all others."""

    word = "ordinal"
    takes = _CATEGORIES
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """The categories, the most frequent first."""
        if setting.get("unknown") == "ignore":
            raise SpecError(
                "`ordinal` has no number for no category, so `unknown: ignore` goes with `one_hot` only",
                hint="use `unknown: other` or `unknown: error`",
            )
        return _fit_categories(values[0], seen[0], setting, column)

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """The category's number."""
        value, categories, unknown = values[0], state["categories"], setting.get("unknown", "other")
        found = _index(graph, value, categories, unknown)
        return Value(found, "whole", value.names, len(categories) + (unknown == "other"))


class EmbedIndex:
    """Whole numbers for an embedding table, an output of their own: 0 is missing, 1 unknown, then the categories."""

    word = "embed_index"
    takes: tuple[Kind, ...] = ("text", "whole", "number", "tokens")
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """The categories, the most frequent first."""
        counts = _count(values[0], seen[0], column)
        counts.pop(_missing_of(values[0]), None)
        return {"categories": _choose(counts, setting)}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Tokens are cut, or filled up with 0, to `length`."""
        value = values[0]
        keys = [_missing_of(value), *state["categories"]]
        numbers = [0, *range(2, len(keys) + 1)]
        found = _look_up(graph, value, keys, numbers, 1)
        names = value.names
        if value.kind == "tokens":
            length = int(setting.get("length", 32))
            filled = graph.add("Pad", found, graph.constant([0, 0, 0, length], "int64"))
            found = graph.add("Slice", filled, *(graph.constant([item], "int64") for item in (0, length, 1)))
            names = tuple(f"{value.names[0]}[{place}]" for place in range(length))
        return Value(found, "whole", names, len(keys) + 1, own=True)


class Hash:
    """Categories hashed into buckets; of tokens, how many fall into each bucket."""

    word = "hash"
    takes: tuple[Kind, ...] = ("text", "whole", "number", "tokens")
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Nothing is learned; numbers must be whole, and words become a column a bucket.

        Raises:
            SpecError: numbers that are not whole, or more columns than there is memory for.
        """
        if values[0].kind == "tokens" and setting > _MOST_COLUMNS:
            raise SpecError(
                f"`hash` would make {setting:,} columns of the words of {column!r}, more than {_MOST_COLUMNS:,}",
                hint="hash into fewer buckets, or use `embed_index`",
            )
        if values[0].kind == "number":
            as_whole(seen[0].rows, column)
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """MurmurHash3 with seed 0, modulo the buckets."""
        value, n_buckets = values[0], int(setting)
        raw = graph.add("MurmurHash3", _keys(graph, value), domain=CONTRIB, positive=1, seed=0)
        bucket = graph.add("Mod", graph.cast(raw, "int64"), graph.constant(n_buckets, "int64"))
        if value.kind != "tokens":
            return Value(bucket, "whole", value.names, n_buckets)
        return _count_buckets(graph, value, bucket, n_buckets)


def _count_buckets(graph: Graph, value: Value, bucket: str, n_buckets: int) -> Value:
    """Adds 1 to the bucket of each token; those that fill a row up add 0."""
    there = graph.add("Not", graph.add("Equal", value.tensor, graph.constant("", "string")))
    n_rows = graph.add("Shape", bucket, start=0, end=1)
    shape = graph.add("Concat", n_rows, graph.constant([n_buckets], "int64"), axis=0)
    empty = graph.add("Expand", graph.constant(0.0, "float32"), shape)
    counts = graph.add(
        "ScatterElements", empty, bucket, graph.cast(there, "float32"), axis=1, reduction="add"
    )
    names = tuple(f"{value.names[0]}#{place}" for place in range(n_buckets))
    return Value(graph.cast(counts, "float64"), "number", names, narrow=counts)


def as_whole(rows: np.ndarray, column: str) -> np.ndarray:
    """Numbers as int64, MISSING for NaN.

    Raises:
        SpecError: some are not whole.
    """
    missing = np.isnan(rows)
    with np.errstate(invalid="ignore"):
        odd = ~missing & ~((np.abs(rows) <= _LARGEST) & (rows == np.floor(rows)))
    if odd.any():
        raise SpecError(
            f"column {column!r} holds {rows[odd][0]:g}, but categories are texts or whole numbers",
            hint="put `bucketize: 10` before, which makes categories of numbers",
        )
    return np.where(missing, MISSING, np.where(missing, 0, rows).astype(np.int64))


def whole_keys(graph: Graph, value: Value) -> str:
    """The tensor of numbers or whole numbers as int64; what is not whole has one number that is no category."""
    if value.kind == "whole":
        return value.tensor
    number = value.tensor
    missing = graph.add("IsNaN", number)
    inside = graph.add("LessOrEqual", graph.add("Abs", number), graph.constant(_LARGEST, "float64"))
    whole = graph.add("And", inside, graph.add("Equal", number, graph.add("Floor", number)))
    # Only what fits is cast: what a cast of others gives depends on the machine.
    fitting = graph.cast(graph.add("Where", whole, number, graph.constant(0.0, "float64")), "int64")
    known = graph.add("Where", whole, fitting, graph.constant(_NO_CATEGORY, "int64"))
    return str(graph.add("Where", missing, graph.constant(MISSING, "int64"), known))


def _keys(graph: Graph, value: Value) -> str:
    return value.tensor if value.kind in ("text", "tokens") else whole_keys(graph, value)


def _missing_of(value: Value) -> str | int:
    return "" if value.kind in ("text", "tokens") else MISSING


def _count(value: Value, seen: Seen, column: str) -> dict[Any, int]:
    """Category to the number of rows; a word counts once a row."""
    if value.kind == "text":
        return dict(count_texts(seen))
    if value.kind == "tokens":
        n_texts: Counter[str] = Counter()
        for words, repeated in seen.parts():
            n_texts.update({word: count for (word,), count in count_grams(words, repeated, 1).items()})
        return n_texts
    rows = seen.values if value.kind == "whole" else as_whole(seen.values, column)
    weights = None if seen.counts is None else np.repeat(seen.counts, rows.shape[1])
    found, places, counts = np.unique(rows.reshape(-1), return_inverse=True, return_counts=True)
    if weights is not None:
        counts = np.bincount(places, weights).astype(np.int64)
    return {int(item): int(count) for item, count in zip(found, counts, strict=True)}


def _choose(counts: Mapping[Any, int], setting: Mapping[str, Any]) -> list[Any]:
    """The most frequent categories; of equally frequent ones the smaller first."""
    often = [item for item in counts if counts[item] >= setting.get("min_rows", 1)]
    return sorted(often, key=lambda item: (-counts[item], item))[: setting.get("max", len(often))]


def _fit_categories(value: Value, seen: Seen, setting: Mapping[str, Any], column: str) -> State:
    counts = _count(value, seen, column)
    categories = _choose(counts, setting)
    if not categories:
        raise SpecError(
            f"no value of column {column!r} is in {setting.get('min_rows', 1)} rows of train",
            hint="lower `min_rows`",
        )
    if setting.get("unknown") == "error" and len(categories) < len(counts):
        raise SpecError(
            f"column {column!r} has {len(counts)} categories in train, of which {len(categories)} are kept, "
            "and `unknown: error` refuses the others",
            hint="raise `max`, lower `min_rows`, or use `unknown: other`",
        )
    return {"categories": categories}


def _index(graph: Graph, value: Value, categories: Sequence[Any], unknown: str) -> str:
    """Number of the category; for others the number after the last."""
    found = _look_up(graph, value, categories, range(len(categories)), len(categories))
    if unknown != "error":
        return found
    # A position behind the end makes a runtime stop; the node's name is what its error message shows.
    places = graph.constant(np.arange(len(categories)), "int64")
    return str(
        graph.add("Gather", places, found, name=f"a category of {value.names[0]} that training did not see")
    )


def _look_up(graph: Graph, value: Value, keys: Sequence[Any], numbers: Sequence[int], otherwise: int) -> str:
    texts = value.kind in ("text", "tokens")
    return str(
        graph.add(
            "LabelEncoder",
            _keys(graph, value),
            domain="ai.onnx.ml",
            keys_strings=list(keys) if texts else None,
            keys_int64s=None if texts else list(keys),
            values_int64s=list(numbers),
            default_int64=otherwise,
        )
    )


def _label(category: Any) -> str:
    return "(missing)" if category in ("", MISSING) else str(category)


CATEGORIES: Mapping[str, Any] = {
    operation.word: operation for operation in (OneHot(), Ordinal(), EmbedIndex(), Hash())
}
