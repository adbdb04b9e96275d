"""A value on its way through the graph, and what an operation is.

An operation says once what it does: as ONNX nodes. Fitting runs the nodes before it on the train split, so what it
learns from is what it will be given when the model serves.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np

from fiat.data.raw import RawColumn
from fiat.transform.graph import Graph

__all__ = [
    "TO_MODEL",
    "Entry",
    "Fitted",
    "Kind",
    "Operation",
    "Output",
    "Part",
    "RawColumn",
    "Seen",
    "State",
    "Value",
]

TO_MODEL = "to_model."
"""Before the names of the transform graph's outputs: a graph can't have an input and an output of one name."""

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
        own: whole numbers that are an output of their own, int64, instead of a part of `features`.
        narrow: of numbers: a tensor with just the same values as float32; empty where there is none.
        beside: finished values that an operation adds; later operations don't touch them.
    """

    tensor: str
    kind: Kind
    names: tuple[str, ...]
    n_categories: int | None = None
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    own: bool = False
    narrow: str = ""
    beside: tuple["Value", ...] = ()


_PART_ROWS = 4096


class Seen:
    """What one value was for the rows of the train split, computed when it is first asked for.

    What comes from texts: the distinct ones and how often each was there. Everything else: the rows themselves.

    Args:
        values: the array, or what computes it.
        counts: the array, what computes it, or None.
        parts: what computes `values` a part of the rows at a time; None cuts the array.
    """

    def __init__(
        self,
        values: np.ndarray | Callable[[], np.ndarray],
        counts: np.ndarray | Callable[[], np.ndarray | None] | None = None,
        parts: Callable[[], Iterator[np.ndarray]] | None = None,
    ) -> None:
        self._values = values
        self._counts = counts
        self._parts = parts

    @cached_property
    def values(self) -> np.ndarray:
        """`(n, width)` or `(n, *shape)`; distinct ones where there are `counts`."""
        return self._values() if callable(self._values) else self._values

    @cached_property
    def counts(self) -> np.ndarray | None:
        """Rows of each row of `values`, `(n_distinct,)` int64; None where `values` are the rows."""
        return self._counts() if callable(self._counts) else self._counts

    @property
    def rows(self) -> np.ndarray:
        """`values` with each as often as it was there."""
        return self.values if self.counts is None else np.repeat(self.values, self.counts, axis=0)

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """`values` a part at a time, and how often each row of it was there; tokens as wide as each part needs."""
        start = 0
        for values in self._parts() if self._parts else self._slices():
            end = start + len(values)
            counts = np.ones(len(values), np.int64) if self.counts is None else self.counts[start:end]
            yield values, counts
            start = end

    def _slices(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.values), _PART_ROWS):
            yield self.values[start : start + _PART_ROWS]


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
class Part:
    """A part of the graph that treats each row by itself and is often given the same: what becomes of texts.

    Attributes:
        inputs: tensors: texts or whole numbers `(n, 1)`, raw columns or outputs of the graph before it.
        outputs: tensors `(n, ...)`.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Fitted:
    """Transforms that have learned.

    Attributes:
        graph: bytes of the ONNX model from raw columns to outputs; its inputs are called like the columns, its outputs
            like ours with TO_MODEL before.
        inputs: raw columns in order.
        outputs: in order; `features` first when there are numbers.
        learned: what each operation learned, for people: a mapping for each step of each entry, JSON values.
        parts: what can be run on distinct rows alone; every one stands behind those that it needs.
    """

    graph: bytes
    inputs: tuple[RawColumn, ...]
    outputs: tuple[Output, ...]
    learned: tuple[Mapping[str, object], ...] = field(default=())
    parts: tuple[Part, ...] = ()
