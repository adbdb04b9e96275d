"""Operation `impute`: what missing numbers or texts become."""

from dataclasses import replace
from typing import Any

import numpy as np

from fiat.errors import SpecError
from fiat.transform.graph import Graph
from fiat.transform.model import Kind, Seen, State, Value
from fiat.transform.numbers import FAR, count_texts, known_parts, mean_and_sd


class Impute:
    """What missing numbers or texts become."""

    word = "impute"
    takes: tuple[Kind, ...] = ("number", "text")
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """What to put there.

        Raises:
            SpecError: no row has a value to learn from, or the setting is for the other kind of column.
        """
        is_text, by, given = values[0].kind == "text", setting.get("by"), setting.get("value")
        if given is not None:
            if is_text != isinstance(given, str):
                held = "texts" if is_text else "numbers"
                raise SpecError(f"column {column!r} holds {held}, so `value` {given!r} can't stand for one")
            return {"fill": [given if is_text else float(given)] * len(values[0].names)}
        if is_text:
            if by != "most_frequent":
                raise SpecError(
                    f"column {column!r} holds texts, which have no {by}",
                    hint="use most_frequent, or `value: unknown`",
                )
            return {"fill": [_most_frequent_text(seen[0], column)]}
        if by == "zero":
            return {"fill": [0.0] * len(values[0].names)}
        learn = {"mean": _mean, "median": _median, "most_frequent": _most_frequent}[by]
        return {"fill": [learn(known) for known in known_parts(seen[0], column)]}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """Puts it there; `flag` adds a number beside, 1 where the value was missing."""
        value = values[0]
        if value.kind == "text":
            missing = graph.add("Equal", value.tensor, graph.constant("", "string"))
            fill = graph.constant(state["fill"], "string")
        else:
            missing = graph.add("IsNaN", value.tensor)
            fill = graph.constant(state["fill"], "float64")
        beside: tuple[Value, ...] = ()
        if setting.get("flag"):
            names = tuple(f"{name} missing" for name in value.names)
            beside = (Value(graph.cast(missing, "float64"), "number", names),)
        filled = graph.add("Where", missing, fill, value.tensor)
        return replace(value, tensor=filled, narrow="", beside=beside)


def _mean(known: np.ndarray) -> float:
    return mean_and_sd(known)[0]


def _median(known: np.ndarray) -> float:
    ordered = np.sort(known)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(low / 2 + high / 2) if abs(low) > FAR or abs(high) > FAR else float((low + high) / 2)


def _most_frequent(known: np.ndarray) -> float:
    values, counts = np.unique(known, return_counts=True)
    return float(values[np.argmax(counts)])  # the first of the most frequent is the smallest


def _most_frequent_text(seen: Seen, column: str) -> str:
    counts: dict[str, int] = count_texts(seen)
    counts.pop("", None)
    if not counts:
        raise SpecError(
            f"no row of train has a value of column {column!r} to learn from", hint="use `value: unknown`"
        )
    return min(counts, key=lambda text: (-counts[text], text))
