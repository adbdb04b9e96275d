"""A value on its way through the graph, and what an operation is.

An operation says once what it does: as ONNX nodes. Fitting runs the nodes before it on the train split, so what it
learns from is what it will be given when the model serves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from fiat.transform.graph import Graph

Kind = Literal["number", "whole", "text", "tokens", "tensor"]


@dataclass(frozen=True)
class Value:
    """A tensor of the graph, with what is known of it.

    Attributes:
        tensor: its name in the graph.
        kind: `number`: float64 `(n, width)`, NaN where missing. `whole`: int64 `(n, width)`, never missing, -1 or less
            never occurs where `n_categories` is set. `text`: string `(n, 1)`, the empty text where missing. `tokens`:
            string `(n, most)`, filled up with empty texts. `tensor`: `dtype` `(n, *shape)`.
        names: what each of the `width` values of a row is called, such as `("city=Paris", "city=Rome")`; one name for
            text, tokens and tensor.
        n_categories: whole numbers from 0 to below it; None when they are no categories.
        shape: of a tensor, without the row axis.
        dtype: NumPy name of a tensor's type.
    """

    tensor: str
    kind: Kind
    names: tuple[str, ...]
    n_categories: int | None = None
    shape: tuple[int, ...] = ()
    dtype: str = "float32"


@dataclass(frozen=True)
class Seen:
    """What one value was for the rows of the train split.

    For text: the distinct texts and how often each was there. For everything else: the rows themselves.

    Attributes:
        values: `(n, width)` or `(n, *shape)`; for text and tokens `(n_distinct, ...)`.
        counts: rows of each distinct text, `(n_distinct,)` int64; None where `values` are the rows.
    """

    values: np.ndarray
    counts: np.ndarray | None = None


State = Mapping[str, Any]
"""What an operation learned, as JSON values; it is written to `transform.json` for people."""


class Operation(Protocol):
    """One word of the spec's `transform`. Stateless.

    Attributes:
        word: in the spec.
        takes: kinds that it can be given.
        joins: it takes all columns of its entry together (`cross`); others are applied to each column.
    """

    word: str
    takes: tuple[Kind, ...]
    joins: bool

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """Learn from the train split; one value, or several when it joins.

        Args:
            values: what it is given.
            seen: their train rows, in the order of `values`.
            setting: from the spec, as JSON values.
            column: for errors.

        Raises:
            SpecError: the setting does not fit these rows, such as a logarithm of a column below -1.
        """
        ...

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Add the nodes and give what comes out of them."""
        ...


@dataclass(frozen=True)
class RawColumn:
    """A column as the served graph takes it.

    Attributes:
        name: of the column and of the graph's input.
        kind: `number` (float64 `(n, 1)`, NaN where missing), `text` (string `(n, 1)`, empty where missing; times as
            ISO 8601) or `tensor` (`dtype` `(n, *shape)`).
        dtype: NumPy name of a tensor's type.
        shape: of a tensor, without the row axis.
    """

    name: str
    kind: Literal["number", "text", "tensor"]
    dtype: str = "float64"
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One item of the spec's `transform`.

    Attributes:
        columns: what it takes.
        apply: word and setting of each operation, in order.
        graph: bytes of an ONNX model of the user's own whose inputs are the columns; None for `apply`.
        key: in the spec, such as `transform[1]`.
    """

    columns: tuple[str, ...]
    apply: tuple[tuple[str, Any], ...] = ()
    graph: bytes | None = None
    key: str = ""


@dataclass(frozen=True)
class Output:
    """An output of the transform graph: an input of the model that is trained on it.

    Attributes:
        name: `features` for all numbers side by side, else the column's name.
        dtype: `float32`, `int64`, `string`, or a tensor's own.
        shape: without the row axis.
        names: of the values of a row (for `features`), such as `("age", "city=Paris")`.
        n_categories: of whole numbers: they are 0 to below it; None for others.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    n_categories: int | None = None


@dataclass(frozen=True)
class Fitted:
    """Transforms that have learned.

    Attributes:
        graph: bytes of the ONNX model from raw columns to outputs.
        inputs: raw columns in order.
        outputs: in order; `features` first when there are numbers.
        learned: what each operation learned, for people: a mapping for each step of each entry, JSON values.
    """

    graph: bytes
    inputs: tuple[RawColumn, ...]
    outputs: tuple[Output, ...]
    learned: tuple[Mapping[str, object], ...] = field(default=())
