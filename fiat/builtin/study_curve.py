"""What a trial says of the metric, in bounded memory: long curves lose every other value, never the first or the last."""

from collections.abc import Iterable, Sequence

MOST_VALUES = 1000

Value = tuple[int | None, float]
"""A place on the x axis, None when it was said without one, and the value there."""


def thinned(values: Sequence[Value]) -> tuple[Value, ...]:
    """At most MOST_VALUES of them, the first and the last among these."""
    kept = tuple(values)
    while len(kept) > MOST_VALUES:
        kept = (*kept[:-1:2], kept[-1])
    return kept


class Curve:
    """Values in the order in which they came.

    Attributes:
        n_reports: how many came, also those that are not kept.
    """

    def __init__(self, values: Iterable[Value] = (), n_reports: int = 0) -> None:
        """Begin with what is known already.

        Args:
            values: that are kept of it.
            n_reports: how many came; 0 when all are kept.
        """
        self._values = list(values)
        self.n_reports = n_reports or len(self._values)

    @property
    def values(self) -> tuple[Value, ...]:
        """What is kept."""
        return thinned(self._values)

    def add(self, values: Iterable[Value], n_reports: int = 0) -> None:
        """Go on; for the arguments see the class."""
        more = list(values)
        self._values += more
        self.n_reports += n_reports or len(more)
        if len(self._values) > 2 * MOST_VALUES:
            self._values = list(thinned(self._values))

    def before(self, step: int | None) -> "Curve":
        """The part that stays when a trial goes on from a place: nothing when nobody knows where that is."""
        kept = [pair for pair in self._values if step is not None and pair[0] is not None and pair[0] < step]
        if not kept:
            return Curve()
        return Curve(kept, max(len(kept), round(self.n_reports * len(kept) / len(self._values))))
