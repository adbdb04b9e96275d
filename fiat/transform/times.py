"""Whole numbers in nodes of the graph: seconds since 1970 to parts of a time, and a date to days."""

from functools import reduce

from fiat.transform.graph import Graph

DAY_S = 86_400


class Times:
    """Parts of whole seconds since 1970, each made once.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days and days_from_civil.
    """

    def __init__(self, graph: Graph, seconds: str) -> None:
        self._graph = graph
        self._clock = graph.add("Mod", seconds, whole(graph, DAY_S))
        self._day_number = divide(graph, seconds, DAY_S)
        # A year begins in March here, so that the odd day is its last.
        shifted = less(graph, self._day_number, -719_468)
        era = divide(graph, shifted, 146_097)
        day_of_era = graph.add("Mod", shifted, whole(graph, 146_097))
        year_of_era = divide(
            graph,
            add_up(
                graph,
                (day_of_era, 1),
                (divide(graph, day_of_era, 1460), -1),
                (divide(graph, day_of_era, 36_524), 1),
                (divide(graph, day_of_era, 146_096), -1),
            ),
            365,
        )
        day_of_year = add_up(
            graph,
            (day_of_era, 1),
            (year_of_era, -365),
            (divide(graph, year_of_era, 4), -1),
            (divide(graph, year_of_era, 100), 1),
        )
        march_month = divide(graph, add_up(graph, (day_of_year, 5), plus=2), 153)
        before = divide(graph, add_up(graph, (march_month, 153), plus=2), 5)
        self._day = add_up(graph, (day_of_year, 1), (before, -1), plus=1)
        wrapped = graph.cast(graph.add("GreaterOrEqual", march_month, whole(graph, 10)), "int64")
        self._month = add_up(graph, (march_month, 1), (wrapped, -12), plus=3)
        self._year = add_up(graph, (year_of_era, 1), (era, 400), (wrapped, 1))

    def part(self, name: str) -> str:
        """A part as whole numbers."""
        graph = self._graph
        match name:
            case "year":
                return self._year
            case "month":
                return self._month
            case "day":
                return self._day
            case "weekday":
                return str(graph.add("Mod", less(graph, self._day_number, -3), whole(graph, 7)))
            case "hour":
                return divide(graph, self._clock, 3600)
            case "minute":
                return divide(graph, graph.add("Mod", self._clock, whole(graph, 3600)), 60)
            case "second":
                return str(graph.add("Mod", self._clock, whole(graph, 60)))
            case _:
                one = whole(graph, 1)
                return add_up(
                    graph, (self._day_number, 1), (days_of(graph, self._year, one, one), -1), plus=1
                )


def days_of(graph: Graph, year: str, month: str, day: str) -> str:
    """Days since 1970 of a date; the algorithm is that of `Times` backwards."""
    early = graph.cast(graph.add("LessOrEqual", month, whole(graph, 2)), "int64")
    march_year = graph.add("Sub", year, early)
    march_month = add_up(graph, (month, 1), (early, 12), plus=-3)
    before = divide(graph, add_up(graph, (march_month, 153), plus=2), 5)
    era = divide(graph, march_year, 400)
    year_of_era = graph.add("Mod", march_year, whole(graph, 400))
    return add_up(
        graph,
        (era, 146_097),
        (year_of_era, 365),
        (divide(graph, year_of_era, 4), 1),
        (divide(graph, year_of_era, 100), -1),
        (before, 1),
        (day, 1),
        plus=-719_469,
    )


def is_leap(graph: Graph, year: str) -> str:
    """Whether the year has a 29th of February."""

    def through(number: int) -> str:
        return str(graph.add("Equal", graph.add("Mod", year, whole(graph, number)), whole(graph, 0)))

    ordinary = graph.add("And", through(4), graph.add("Not", through(100)))
    return str(graph.add("Or", ordinary, through(400)))


def add_up(graph: Graph, *terms: tuple[str, int], plus: int = 0) -> str:
    """The sum of tensors, each times a whole number, and a whole number."""
    made = [
        tensor if times == 1 else str(graph.add("Mul", tensor, whole(graph, times)))
        for tensor, times in terms
    ]
    if plus:
        made.append(whole(graph, plus))
    return reduce(lambda left, right: str(graph.add("Add", left, right)), made)


def divide(graph: Graph, tensor: str, by: int) -> str:
    """Divided and rounded down: ONNX divides towards zero, its Mod goes with the divisor's sign."""
    if by == 1:
        return tensor
    rest = graph.add("Mod", tensor, whole(graph, by))
    return str(graph.add("Div", graph.add("Sub", tensor, rest), whole(graph, by)))


def less(graph: Graph, tensor: str, number: int) -> str:
    """The tensor less a number."""
    return str(graph.add("Sub", tensor, whole(graph, number)))


def whole(graph: Graph, number: int) -> str:
    """A whole number for every row."""
    return graph.constant([number], "int64")
