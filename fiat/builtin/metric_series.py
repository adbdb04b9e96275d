"""Metrics in the order in which a job logs them, in bounded memory: long curves lose every other value, never the last."""

from dataclasses import dataclass, field

MOST_VALUES = 200_000
_LEAST_ROOM = 20
"""Values there is room for under each name, however many names there are: so thinning out always frees a good part."""

Logged = tuple[str, float, int | None]


@dataclass
class _Curve:
    """What was logged under one name, with or without a place on the x axis.

    Attributes:
        kept: (turn, metric): each `stride`-th one from the first.
        n_values: how many were logged.
        last: the newest one.
    """

    last: tuple[int, Logged]
    kept: list[tuple[int, Logged]] = field(default_factory=list)
    n_values: int = 0
    stride: int = 1

    def add(self, turn: int, metric: Logged) -> int:
        """Take over the next one; how many more are kept now, 0 or 1."""
        self.last = (turn, metric)
        grown = self.n_values % self.stride == 0
        if grown:
            self.kept.append(self.last)
        self.n_values += 1
        return int(grown)

    def halve(self) -> int:
        """Leave out every other one; how many that were."""
        before = len(self.kept)
        self.kept = self.kept[::2]
        self.stride *= 2
        return before - len(self.kept)

    def values(self) -> list[tuple[int, Logged]]:
        """What is kept, and the newest one."""
        return self.kept if self.kept and self.kept[-1] is self.last else [*self.kept, self.last]


class MetricSeries:
    """Takes over what a job logs. Of more than MOST_VALUES, long curves keep each second, fourth, ... value.

    The first value and the newest one of a name are always kept. Names after the first thousands are left out.

    Args:
        most: how many values are kept, the newest ones aside.
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._most_names = most // _LEAST_ROOM
        self._turn = 0
        self._n_kept = 0
        self._curves: dict[tuple[str, bool], _Curve] = {}

    def add(self, name: str, value: float, step: int | None) -> None:
        """Take over the next metric; `step` is its place on the x axis, None for a final value."""
        self._turn += 1
        metric, key = (name, value, step), (name, step is None)
        curve = self._curves.get(key)
        if curve is None:
            if len(self._curves) >= self._most_names:
                return
            curve = self._curves[key] = _Curve((self._turn, metric))
        self._n_kept += curve.add(self._turn, metric)
        if self._n_kept > self._most:
            self._thin()

    def cut(self, name: str, step: int | None) -> None:
        """Forget the values of a name from a place on the x axis on, and its final ones; None forgets them all."""
        for is_final in (False, True):
            curve = self._curves.pop((name, is_final), None)
            if curve is None:
                continue
            self._n_kept -= len(curve.kept)
            if step is None or is_final:
                continue
            before = [item for item in curve.values() if (item[1][2] or 0) < step]
            if before:
                kept = [item for item in curve.kept if (item[1][2] or 0) < step]
                n_values = len(kept) * curve.stride
                self._curves[name, False] = _Curve(before[-1], kept, n_values, curve.stride)
                self._n_kept += len(kept)

    def metrics(self) -> list[Logged]:
        """What is kept: (name, value, step), in the order in which it was logged."""
        found = [item for curve in self._curves.values() for item in curve.values()]
        return [metric for _, metric in sorted(found, key=lambda item: item[0])]

    def _thin(self) -> None:
        """Halve the curves that are longer than half of the mean: they hold half of all values or more."""
        limit = self._n_kept / len(self._curves) / 2
        for curve in self._curves.values():
            if len(curve.kept) > limit:
                self._n_kept -= curve.halve()
