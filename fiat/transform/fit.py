"""Fit the transforms of a spec on the train split and compile them to one graph.

Column by column: the operations of a column run one behind the other, each learning from what the nodes before it give
for the train split. Operations that join columns come last.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from fiat.errors import SpecError
from fiat.transform.catalog import OPERATIONS
from fiat.transform.feeds import raw_columns
from fiat.transform.finish import finish
from fiat.transform.graph import Graph
from fiat.transform.model import Entry, Fitted, Operation, RawColumn, Value
from fiat.transform.own_graph import include_graph
from fiat.transform.parts import Step, text_parts
from fiat.transform.train_rows import TrainRows, input_info

_HOLDS: Mapping[str, str] = {
    "number": "numbers",
    "whole": "whole numbers",
    "text": "texts",
    "tokens": "words",
    "tensor": "tensors",
}


def fit_transforms(
    train: pa.Table,
    features: tuple[str, ...],
    entries: Sequence[Entry],
    *,
    operations: Mapping[str, Operation] = OPERATIONS,
) -> Fitted:
    """Learn and compile.

    Args:
        train: the train split, all columns or those of `features`.
        features: raw columns that the served graph takes, in order.
        entries: the spec's `transform`. A graph among them must have passed a check of hostile models.
        operations: word to operation.

    Raises:
        SpecError: an entry names a column that is no feature, gives an operation what it doesn't take, or has a setting
            that does not fit the rows; the message begins with the key.
    """
    raw = raw_columns(train.schema, features)
    graph = Graph(_free_prefix(features))
    lanes = [_open_lanes(entry, raw) for entry in entries]
    work = _Work(train, graph, operations)
    for column in raw:
        rows = TrainRows(train, [column])
        for of_entry in lanes:
            for lane in of_entry:
                if lane.columns == (column,):
                    work.run(lane, rows)
    ends: list[Value] = []
    for entry, of_entry in zip(entries, lanes, strict=True):
        if entry.graph is not None:
            with_key = _keyed(entry.key)
            ends += with_key(lambda entry=entry: include_graph(graph, entry, raw, train))  # type: ignore[misc]
            continue
        ends += [value for lane in work.join(of_entry) for value in (lane.value, *lane.aside)]
    touched = {name for entry in entries for name in entry.columns}
    ends += [_raw_value(column) for column in raw if column.name not in touched]
    outputs = finish(graph, ends, features)
    model = graph.model([input_info(column) for column in raw], [(end.tensor, end.info) for end in outputs])
    learned = tuple(item for of_entry in lanes for lane in of_entry for item in lane.learned)
    return Fitted(
        model.SerializeToString(deterministic=True),
        raw,
        tuple(end.output for end in outputs),
        learned,
        text_parts(model.graph, work.steps),
    )


@dataclass
class _Lane:
    """A value on its way through the operations of one entry."""

    entry: Entry
    columns: tuple[RawColumn, ...]
    value: Value
    place: int = 0
    aside: list[Value] = field(default_factory=list)
    learned: list[Mapping[str, object]] = field(default_factory=list)


class _Work:
    """Takes lanes through their operations.

    Attributes:
        steps: what went into which operation and what came out, in order.
    """

    def __init__(self, train: pa.Table, graph: Graph, operations: Mapping[str, Operation]) -> None:
        self.steps: list[Step] = []
        self._train = train
        self._graph = graph
        self._operations = operations

    def run(self, lane: _Lane, rows: TrainRows) -> None:
        """Up to the lane's end, or to an operation that joins."""
        while lane.place < len(lane.entry.apply):
            operation = self._operation(lane)
            if operation.joins:
                return
            self._apply(operation, (lane,), rows)

    def join(self, lanes: list[_Lane]) -> list[_Lane]:
        """Joins lanes of an entry where an operation says so, and goes on with the one that they become."""
        while lanes and lanes[0].place < len(lanes[0].entry.apply):
            columns = tuple(column for lane in lanes for column in lane.columns)
            rows = TrainRows(self._train, columns)
            operation = self._operation(lanes[0])
            self._apply(operation, tuple(lanes), rows)
            first = lanes[0]
            first.aside += [value for lane in lanes[1:] for value in lane.aside]
            first.learned += [item for lane in lanes[1:] for item in lane.learned]
            first.columns = columns
            del lanes[1:]
            self.run(first, rows)
        return lanes

    def _operation(self, lane: _Lane) -> Operation:
        word = lane.entry.apply[lane.place][0]
        if word not in self._operations:
            raise SpecError(
                f"{lane.entry.key}.apply[{lane.place}]: there is no transform {word!r}",
                hint=f"there are {', '.join(sorted(self._operations))}",
            )
        return self._operations[word]

    def _apply(self, operation: Operation, lanes: tuple[_Lane, ...], rows: TrainRows) -> None:
        lane = lanes[0]
        setting = lane.entry.apply[lane.place][1]
        key = f"{lane.entry.key}.apply[{lane.place}]"
        column = ", ".join(column.name for item in lanes for column in item.columns)
        values = tuple(item.value for item in lanes)
        for value, item in zip(values, lanes, strict=True):
            _check_kind(operation, value, key, item.columns[0].name)
        seen = tuple(rows.seen(self._graph, value) for value in values)
        state = _keyed(key)(lambda: operation.fit(values, seen, setting, column))
        found: Value = _keyed(key)(lambda: operation.emit(self._graph, values, state, setting))
        lane.aside += found.beside
        lane.value = replace(found, beside=())
        lane.place += 1
        lane.learned.append({"key": key, "column": column, "operation": operation.word, **state})
        self.steps.append(Step(values, found))


def _open_lanes(entry: Entry, raw: Sequence[RawColumn]) -> list[_Lane]:
    by_name = {column.name: column for column in raw}
    for name in entry.columns:
        if name not in by_name:
            raise SpecError(
                f"{entry.key}: {name!r} is no feature column",
                hint=f"there are {', '.join(list(by_name)[:20])}",
            )
    if entry.graph is not None:
        return []
    return [_Lane(entry, (by_name[name],), _raw_value(by_name[name])) for name in entry.columns]


def _raw_value(column: RawColumn) -> Value:
    return Value(column.name, column.kind, (column.name,), shape=column.shape, dtype=column.dtype)


def _check_kind(operation: Operation, value: Value, key: str, column: str) -> None:
    if value.kind not in operation.takes:
        takes = " or ".join(_HOLDS[kind] for kind in operation.takes)
        raise SpecError(
            f"{key}: `{operation.word}` takes {takes}, but column {column!r} holds {_HOLDS[value.kind]} there",
            hint="give the column an entry of its own, or another transform before this one",
        )


def _keyed(key: str) -> Callable[[Callable[[], Any]], Any]:
    """Calls something; the faults that it finds get the key before them."""

    def call(what: Callable[[], Any]) -> Any:
        try:
            return what()
        except SpecError as error:
            raise SpecError(f"{key}: {error.message}", hint=error.hint, where=error.where) from error

    return call


def _free_prefix(features: Sequence[str]) -> str:
    """For names inside the graph, so that none is a column's."""
    prefix = "fiat."
    while any(name.startswith(prefix) for name in features):
        prefix = "_" + prefix
    return prefix
