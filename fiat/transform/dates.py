"""Times become numbers, a column a part.

Texts and numbers become seconds since 1970 first, then parts; so both give the same parts for the same time.
"""

from collections.abc import Mapping
from typing import Any

from fiat.transform.graph import Graph
from fiat.transform.model import Kind, Seen, State, Value
from fiat.transform.times import DAY_S, Times, add_up, days_of, divide, is_leap, less, whole
from fiat.transform.words import split_words

FIRST_S, END_S = -62_135_596_800, 253_402_300_800
"""From the year 1 up to, and without, the year 10000: what ISO 8601 writes with four digits, but for the year 0."""
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}

_CLOCK = r"(?:[01]\d|2[0-3])"
_ZONE = rf"(?:[Zz]|[+-]{_CLOCK}(?::?[0-5]\d)?)"
_TIME = rf"[Tt ]{_CLOCK}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?{_ZONE}?"
ISO_TIME = rf"\d{{4}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:{_TIME})?"
"""A date, or a date and a time, with or without seconds, a fraction of them, and an offset from UTC.

Source: ISO 8601-1:2019, 5.2.2 and 5.4; RFC 3339, 5.6 for the space and small letters.
"""
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class DateParts:
    """`date_parts`: year, month, day, weekday (Monday is 0), hour, minute, second, day_of_year, all in UTC.

    A time with an offset is the same moment in UTC; one without is taken as it stands. What is no time, or lies outside the
    years 1 to 9999, is missing in every part.
    """

    word = "date_parts"
    takes: tuple[Kind, ...] = ("number", "text")
    joins = False

    def fit(self, values: tuple[Value, ...], seen: tuple[Seen, ...], setting: Any, column: str) -> State:
        """There is nothing to learn."""
        return {}

    def emit(self, graph: Graph, values: tuple[Value, ...], state: State, setting: Any) -> Value:
        """A number a part; a value with several numbers gives all of one part, then all of the next."""
        value = values[0]
        read = _seconds_of_text if value.kind == "text" else _seconds_of_number
        seconds, known = read(graph, value.tensor, UNITS[setting["unit"]])
        times = Times(graph, seconds)
        missing = graph.constant([float("nan")], "float64")
        parts = [
            graph.add("Where", known, graph.cast(times.part(part), "float64"), missing)
            for part in setting["parts"]
        ]
        names = tuple(f"{name}.{part}" for part in setting["parts"] for name in value.names)
        return Value(graph.add("Concat", *parts, axis=1), "number", names)


def _seconds_of_number(graph: Graph, number: str, unit: int) -> tuple[str, str]:
    """Whole seconds since 1970 and whether they are known, both `(n, width)`."""
    first = graph.constant([float(FIRST_S * unit)], "float64")
    end = graph.constant([float(END_S * unit)], "float64")
    known = graph.add("And", graph.add("GreaterOrEqual", number, first), graph.add("Less", number, end))
    safe = graph.add("Where", known, number, graph.constant([0.0], "float64"))
    # Divided as whole numbers: microseconds through a million, as floats, would round up to the next second.
    counted = graph.cast(graph.add("Floor", safe), "int64")
    return divide(graph, counted, unit), known


def _seconds_of_text(graph: Graph, text: str, unit: int) -> tuple[str, str]:
    """As `_seconds_of_number`; the unit says nothing of texts."""
    flat = graph.add("Reshape", text, graph.constant([-1], "int64"))
    written = graph.add("RegexFullMatch", flat, pattern=ISO_TIME)
    safe = graph.add("Where", written, flat, graph.constant(["1970-01-01"], "string"))
    words = _Numbers(graph, safe)
    year, month, day, hour, minute = (words.at(place) for place in range(5))
    has_seconds = words.like(r".{16}:.*")
    second = graph.add("Mul", words.at_each(graph.constant([[5]], "int64")), has_seconds)
    longest = graph.add("Gather", graph.constant(_LONGEST_MONTHS, "int64"), less(graph, month, 1))
    leap = is_leap(graph, year)
    short = graph.add("And", graph.add("Equal", month, whole(graph, 2)), graph.add("Not", leap))
    last = graph.add("Sub", longest, graph.cast(short, "int64"))
    right = graph.add("And", _column(graph, written), graph.add("LessOrEqual", day, last))
    clock = add_up(graph, (hour, 3600), (minute, 60), (second, 1))
    moment = add_up(graph, (days_of(graph, year, month, day), DAY_S), (clock, 1), (words.offset(), -1))
    inside = graph.add(
        "And",
        graph.add("GreaterOrEqual", moment, whole(graph, FIRST_S)),
        graph.add("Less", moment, whole(graph, END_S)),
    )
    known = graph.add("And", right, inside)
    return graph.add("Where", known, moment, whole(graph, 0)), known


class _Numbers:
    """The numbers that stand in texts of the form ISO_TIME: year, month, day, hour, minute, and what may follow."""

    _MOST = 9

    def __init__(self, graph: Graph, text: str) -> None:
        self._graph = graph
        self._text = text
        digits = split_words(graph, text, r"\d+", pad="0")
        one = graph.constant([1], "int64")
        rows = graph.add("Concat", graph.add("Shape", text), graph.constant([self._MOST], "int64"), axis=0)
        more = graph.add("Expand", graph.constant([["0"]], "string"), rows)
        self._digits = graph.add("Concat", digits, more, axis=1)
        self._rows = graph.add("Concat", graph.add("Shape", text), one, axis=0)

    def at(self, place: int) -> str:
        """The number at a place, `(n, 1)`."""
        graph = self._graph
        found = graph.add("Gather", self._digits, graph.constant([place], "int64"), axis=1)
        return graph.cast(found, "int64")

    def at_each(self, places: str) -> str:
        """The number at a place that differs by row, or is one for all; `(n, 1)`."""
        graph = self._graph
        each = graph.add("Expand", places, self._rows)
        return graph.cast(graph.add("GatherElements", self._digits, each, axis=1), "int64")

    def like(self, pattern: str) -> str:
        """1 where the text has that form, else 0; `(n, 1)`."""
        graph = self._graph
        return graph.cast(_column(graph, graph.add("RegexFullMatch", self._text, pattern=pattern)), "int64")

    def offset(self) -> str:
        """Seconds that the clock is before UTC, `(n, 1)`."""
        graph = self._graph
        there = self.like(r".{11}.*[+-]\d\d(?::?\d\d)?")
        behind = self.like(r".{11}.*-.*")
        together = self.like(r".{11}.*[+-]\d{4}")
        fraction = self.like(r".{19}[.,].*")
        place = add_up(graph, (self.like(r".{16}:.*"), 1), (fraction, 1), plus=5)
        first, second = self.at_each(place), self.at_each(less(graph, place, -1))
        # `0230` is one number for `02:30`.
        apart = graph.add("Mul", add_up(graph, (first, 3600), (second, 60)), _not(graph, together))
        hours = divide(graph, first, 100)
        minutes = graph.add("Mod", first, whole(graph, 100))
        joined = graph.add("Mul", add_up(graph, (hours, 3600), (minutes, 60)), together)
        sign = add_up(graph, (behind, -2), plus=1)
        return str(graph.add("Mul", graph.add("Mul", add_up(graph, (apart, 1), (joined, 1)), sign), there))


def _column(graph: Graph, flat: str) -> str:
    """`(n,)` as `(n, 1)`."""
    return str(graph.add("Unsqueeze", flat, graph.constant([1], "int64")))


def _not(graph: Graph, flag: str) -> str:
    return str(graph.add("Sub", whole(graph, 1), flag))


DATES: Mapping[str, Any] = {operation.word: operation for operation in (DateParts(),)}
