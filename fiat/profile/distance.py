"""How far a column has moved: distances between two descriptions of it, and how far chance alone moves it.

Where values are counted one by one (texts, bools, whole numbers of few values) distances are exact; for other numbers
they are those of the sketches, exact but for the place of a number within its bucket.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from fiat.profile.distance_bins import (
    MOST_VALUES,
    Bins,
    Floats,
    has_all_values,
    number_bins,
    picture_bins,
    value_bins,
)
from fiat.profile.distance_noise import (
    js_noise,
    ks_noise,
    linf_noise,
    psi_noise,
    wasserstein_noise,
)
from fiat.profile.model import ColumnProfile, Kind, Numbers
from fiat.profile.sketch import Aligned, align

Metric = Literal["js", "linf", "psi", "ks", "wasserstein"]
NUMBERS: tuple[Kind, ...] = ("int", "float", "time")
"""Kinds whose values have an order and a distance."""
_COMPARABLE = ({"int", "float"}, {"tensor", "image"})
_MOVED = 3
_LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class Moved:
    """A category or an interval, and its shares before and after.

    Attributes:
        name: the value, or `LOW to HIGH`; `(missing)` for rows without a value.
        before: share (0..1) of the first column's rows.
        after: of the second's.
    """

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class Distance:
    """How far two columns are from each other.

    Attributes:
        metric: which distance it is.
        value: 0 for none. At most 1 for js, linf and ks; psi and wasserstein have no bound.
        noise: what two samples of these sizes of one and the same distribution stay below in 999 of 1,000 cases.
        moved: what moved most, largest movement first.
    """

    metric: Metric
    value: float
    noise: float = 0.0
    moved: tuple[Moved, ...] = ()

    @property
    def beyond_noise(self) -> bool:
        """Whether chance alone hardly moves a column so far."""
        return self.value > self.noise


def comparable(before: ColumnProfile, after: ColumnProfile) -> bool:
    """Whether a distance between two columns means something."""
    if before.kind == after.kind or "empty" in (before.kind, after.kind):
        return True
    return any({before.kind, after.kind} <= group for group in _COMPARABLE)


def distance(first: ColumnProfile, second: ColumnProfile, metric: Metric | None = None) -> Distance:
    """Measure from the first column (the reference) to the second.

    Args:
        first: what is compared with.
        second: what may have moved.
        metric: None chooses L-infinity for categories and Jensen-Shannon for numbers. Kolmogorov-Smirnov and
            Wasserstein need numbers on both sides: elsewhere the metric that would be chosen stands in, as
            `Distance.metric` says.
    """
    chosen = _usable(first, second, metric)
    bins = bins_of(first, second, chosen)
    if chosen in ("ks", "wasserstein"):
        value, noise = _OF_NUMBERS[chosen](_measured(first), _measured(second))
    else:
        value, noise = _OF_BINS[chosen](bins, first.n_rows, second.n_rows)
    return Distance(chosen, value, noise, _most_moved(bins))


def js(first: ColumnProfile, second: ColumnProfile) -> float:
    """Jensen-Shannon divergence in bits: 0 equal, 1 nothing in common; missing values are a bin of their own."""
    return distance(first, second, "js").value


def linf(first: ColumnProfile, second: ColumnProfile) -> float:
    """Largest difference of a category's (or interval's) share, 0..1; missing values are a category of their own."""
    return distance(first, second, "linf").value


def psi(first: ColumnProfile, second: ColumnProfile) -> float:
    """Population stability index: 0 equal, above 0.25 by custom much moved."""
    return distance(first, second, "psi").value


def ks(first: ColumnProfile, second: ColumnProfile) -> float:
    """Kolmogorov-Smirnov statistic of numbers, 0..1, missing values left out."""
    return distance(first, second, "ks").value


def wasserstein(first: ColumnProfile, second: ColumnProfile) -> float:
    """Earth mover's distance of numbers in standard deviations of the first, missing values left out."""
    return distance(first, second, "wasserstein").value


def bins_of(first: ColumnProfile, second: ColumnProfile, metric: Metric) -> Bins:
    """The bins that a metric is taken over."""
    counted = has_all_values(first) and has_all_values(second)
    few = len(first.counts.keys() | second.counts.keys()) <= MOST_VALUES
    numbers = _has_numbers(first) and _has_numbers(second)
    if numbers and not (counted and (few or metric == "linf")):
        return number_bins(first, second)
    if first.images or second.images:
        return picture_bins(first, second)
    if (first.numbers or second.numbers) and not counted:  # one side has no value at all
        return number_bins(first, second)
    return value_bins(first, second)


def is_ordered(column: ColumnProfile) -> bool:
    """Whether the column holds numbers, not categories."""
    return column.kind in NUMBERS or (
        column.kind in ("list", "tensor", "image") and column.numbers is not None
    )


def _usable(first: ColumnProfile, second: ColumnProfile, metric: Metric | None) -> Metric:
    kinds = is_ordered(first) or is_ordered(second)
    chosen: Metric = "js" if kinds else "linf"
    if metric is None:
        return chosen
    if metric in ("ks", "wasserstein") and not (_has_numbers(first) and _has_numbers(second) and kinds):
        return chosen
    return metric


def _has_numbers(column: ColumnProfile) -> bool:
    return is_ordered(column) and column.numbers is not None and column.numbers.n > 0


@dataclass(frozen=True)
class _Measured:
    """The numbers of a column and how many rows they come from."""

    numbers: Numbers
    n_rows: int


def _measured(column: ColumnProfile) -> _Measured:
    numbers = column.numbers or Numbers(0, math.nan, math.nan, math.nan, math.nan)
    return _Measured(numbers, min(numbers.n, column.n_rows))


def _js(bins: Bins, n_first: int, n_second: int) -> tuple[float, float]:
    root = float(jensenshannon(bins.first, bins.second, base=2))
    value = 0.0 if math.isnan(root) else min(1.0, root * root)
    return value, js_noise(len(bins.names), n_first, n_second)


def _linf(bins: Bins, n_first: int, n_second: int) -> tuple[float, float]:
    value = float(np.abs(bins.first - bins.second).max(initial=0.0))
    return value, linf_noise(bins.first, bins.second, n_first, n_second)


def _psi(bins: Bins, n_first: int, n_second: int) -> tuple[float, float]:
    """An empty bin counts as one of half a row, at most of a share of 1/10,000: else one new value would be infinite."""
    ones, others = (
        np.maximum(shares, min(_LEAST_SHARE, 0.5 / max(1, n_rows)))
        for shares, n_rows in ((bins.first, n_first), (bins.second, n_second))
    )
    value = float(((others - ones) * np.log(others / ones)).sum())
    return value, psi_noise(len(bins.names), n_first, n_second)


def _ks(first: _Measured, second: _Measured) -> tuple[float, float]:
    buckets = align(first.numbers.sketch, second.numbers.sketch)
    below, others = _below(buckets)
    value = float(np.abs(below - others).max(initial=0.0))
    return value, ks_noise(first.n_rows, second.n_rows)


def _wasserstein(first: _Measured, second: _Measured) -> tuple[float, float]:
    buckets = align(first.numbers.sketch, second.numbers.sketch)
    unit = _unit(first.numbers, second.numbers)
    places = _middles(buckets, first.numbers, second.numbers) / unit
    held, others = buckets.first > 0, buckets.second > 0
    moved = wasserstein_distance(places[held], places[others], buckets.first[held], buckets.second[others])
    below, _ = _below(buckets)
    return float(moved), wasserstein_noise(places, below, first.n_rows, second.n_rows)


def _below(buckets: Aligned) -> tuple[Floats, Floats]:
    """Shares of both columns' numbers up to the upper end of each bucket."""
    ones, others = np.cumsum(buckets.first), np.cumsum(buckets.second)
    return ones / ones[-1], others / others[-1]


def _middles(buckets: Aligned, first: Numbers, second: Numbers) -> Floats:
    low, high = min(first.min, second.min), max(first.max, second.max)
    lower, upper = np.clip(buckets.lower, low, high), np.clip(buckets.upper, low, high)
    return np.asarray(lower / 2 + upper / 2)


def _unit(first: Numbers, second: Numbers) -> float:
    """Standard deviation of the first; of the second where the first is constant; 1 where both are."""
    return next((sd for sd in (first.sd, second.sd) if math.isfinite(sd) and sd > 0), 1.0)


def _most_moved(bins: Bins) -> tuple[Moved, ...]:
    change = np.abs(bins.first - bins.second)
    order = np.argsort(-change, kind="stable")[:_MOVED]
    return tuple(
        Moved(bins.names[place], float(bins.first[place]), float(bins.second[place]))
        for place in order.tolist()
        if change[place] > 0
    )


_OF_BINS: Mapping[str, Callable[[Bins, int, int], tuple[float, float]]] = MappingProxyType(
    {"js": _js, "linf": _linf, "psi": _psi}
)
_OF_NUMBERS: Mapping[str, Callable[[_Measured, _Measured], tuple[float, float]]] = MappingProxyType(
    {"ks": _ks, "wasserstein": _wasserstein}
)
