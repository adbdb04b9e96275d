"""A column's distribution for the data report: each split beside the others over common bars, the data before behind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from fiat.builtin.page_data_names import value_words
from fiat.builtin.page_data_words import axis_ends, measured
from fiat.builtin.svg_bars import Axis, Shares, histogram_bars, share_bars
from fiat.builtin.view_data import share_words
from fiat.builtin.view_text import count, number
from fiat.profile.distance import is_ordered
from fiat.profile.distance_bins import REST
from fiat.profile.histogram import Histogram, histograms
from fiat.profile.model import ColumnProfile, Images, Kind

BINS, FEW_BINS = 30, 20
_WIDTHS = {1: 380.0, 2: 300.0}
_NARROW = 210.0
_BAR_WIDTHS = {1: 200.0, 2: 130.0}
_NARROW_BAR = 90.0
MOST_BARS = 10
_LEAST_LONG = 1e6


@dataclass(frozen=True)
class Place:
    """A column in one split.

    Attributes:
        name: of the split; empty for all rows.
        now: the column.
        before: of the data before; None where there is none that can be compared.
    """

    name: str
    now: ColumnProfile
    before: ColumnProfile | None = None

    @property
    def title(self) -> str:
        """The split, for people."""
        return self.name or "all rows"


@dataclass(frozen=True)
class BarRow:
    """A value: (share as words, its bar, rows as words) of each split."""

    name: str
    cells: list[tuple[str, Markup, str]]


@dataclass(frozen=True)
class Drawn:
    """A column's pictures; one of the two kinds, or neither where there is no value.

    Attributes:
        charts: (split, histogram) of numbers.
        bars: values of a column of categories.
        note: what the pictures leave to be known.
    """

    charts: list[tuple[str, Markup]]
    bars: list[BarRow]
    note: str = ""


def draw_column(places: Sequence[Place], *, small: bool) -> Drawn:
    """Histograms of numbers, bars of categories; of pictures their formats and sizes.

    Args:
        places: splits that have the column, one or more.
        small: draw without words for each bar, as a page of very many columns must.
    """
    pictures = [place.now.images for place in places if place.now.images]
    if pictures and not any(place.now.numbers and place.now.numbers.n for place in places):
        return Drawn([], _picture_rows(places))
    columns = [place.now for place in places] + [place.before for place in places if place.before]
    drawn = histograms(columns, bins=_bins(columns, FEW_BINS if small else BINS))
    if drawn.names == (REST,) or not any(any(counts) for counts in drawn.counts[: len(places)]):
        return Drawn([], [])
    if drawn.kind == "numbers" or (is_ordered(places[0].now) and len(drawn.names) > 2):
        return _histograms(places, drawn, small=small)
    return Drawn([], _rows(places, drawn, MOST_BARS // 2 if small else len(drawn.names)))


def value_rows(places: Sequence[Place], most: int) -> list[BarRow]:
    """The most frequent values, for a column whose picture does not name them."""
    names: dict[str, int] = {}
    tops = [
        {value if isinstance(value, str) else _json_text(value): rows for value, rows in place.now.top}
        for place in places
    ]
    for top in tops:
        for name, rows in top.items():
            names[name] = max(names.get(name, 0), rows)
    shown = sorted(names, key=lambda name: -names[name])[:most]
    return [
        BarRow(
            value_words(name),
            [
                (_share(top.get(name, 0), place.now), Markup(""), count(top[name], "row"))
                if name in top
                else ("", Markup(""), "")
                for top, place in zip(tops, places, strict=True)
            ],
        )
        for name in shown
    ]


def _bins(columns: Sequence[ColumnProfile], usual: int) -> int:
    """Intervals that each hold as many whole numbers as the next, where the columns hold whole numbers only.

    Else 24 hours over 30 bars would have gaps between them.
    """
    known = [column.numbers for column in columns if column.numbers and column.numbers.n]
    if not known or any(column.kind not in ("int", "empty") for column in columns):
        return usual
    n_whole = max(item.max for item in known) - min(item.min for item in known) + 1
    if not 2 <= n_whole <= usual * usual:
        return usual
    return math.ceil(n_whole / math.ceil(n_whole / usual))


def _json_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value) if isinstance(value, float) else str(value)


def _share(rows: int, column: ColumnProfile) -> str:
    """Of lists and tensors, whose values are more than its rows, of the values."""
    total = column.n_rows - column.n_missing
    if column.kind in ("list", "tensor", "image") and column.numbers:
        total = column.numbers.n + column.numbers.n_nan + column.numbers.n_pos_inf + column.numbers.n_neg_inf
    return share_words(min(1.0, rows / total)) if total else ""


def _histograms(places: Sequence[Place], drawn: Histogram, *, small: bool) -> Drawn:
    most = max((max(shares, default=0.0) for shares in drawn.shares), default=0.0)
    width = _WIDTHS.get(len(places), _NARROW)
    kind = places[0].now.kind
    names = _names(drawn, kind)
    axis = _axis(drawn, kind)
    befores = iter(drawn.shares[len(places) :])
    charts = []
    for place, shares, counts in zip(places, drawn.shares, drawn.counts, strict=False):
        before = next(befores) if place.before else ()
        told = () if small else _told(names, shares, counts, before)
        title = f"distribution of {value_words(place.now.name)} in {place.title}"
        charts.append((place.title, histogram_bars(title, Shares(shares, before, told), axis, most, width)))
    return Drawn(charts, [], _beyond([*places], drawn, kind))


def _names(drawn: Histogram, kind: Kind) -> list[str]:
    if not drawn.edges:
        return [value_words(name) for name in drawn.names]
    ends = [measured(edge, kind) for edge in drawn.edges]
    return [f"{low} to {high}" for low, high in pairwise(ends)]


def _axis(drawn: Histogram, kind: Kind) -> Axis:
    if not drawn.edges:
        return Axis(0.0, 1.0, names=drawn.names)
    low, high = drawn.edges[0], drawn.edges[-1]
    if kind == "time":
        return Axis(low, high, axis_ends(low, high))
    if kind == "int" and max(abs(low), abs(high)) >= _LEAST_LONG:
        # Long numbers, such as codes of places, that differ in their last digits only.
        return Axis(low, high, (measured(round(low), kind), measured(round(high), kind)))
    return Axis(low, high) if math.isfinite(high - low) else Axis(low, high, (number(low), number(high)))


def _told(
    names: Sequence[str], shares: Sequence[float], counts: Sequence[float], before: Sequence[float]
) -> list[str]:
    told = []
    for place, (name, share, rows) in enumerate(zip(names, shares, counts, strict=True)):
        was = f", before {share_words(before[place])}" if before else ""
        told.append(f"{name}: {round(rows):,} ({share_words(share)}{was})")
    return told


def _beyond(places: Sequence[Place], drawn: Histogram, kind: Kind) -> str:
    """That the first or last bar holds what is farther out."""
    if not drawn.edges:
        return ""
    columns = [place.now for place in places] + [place.before for place in places if place.before]
    known = [column.numbers for column in columns if column.numbers and column.numbers.n]
    low, high = min(item.min for item in known), max(item.max for item in known)
    said = [f"The first bar holds all down to {measured(low, kind)}."] if low < drawn.edges[0] else []
    said += [f"The last bar holds all up to {measured(high, kind)}."] if high > drawn.edges[-1] else []
    return " ".join(said)


def _rows(places: Sequence[Place], drawn: Histogram, most_bars: int) -> list[BarRow]:
    most = max((max(shares, default=0.0) for shares in drawn.shares), default=0.0)
    width = _BAR_WIDTHS.get(len(places), _NARROW_BAR)
    indexes = iter(range(len(places), len(drawn.shares)))
    befores = [drawn.shares[next(indexes)] if place.before else None for place in places]
    rows = []
    for bar, name in enumerate(drawn.names[:most_bars]):
        if name == REST and places[0].now.kind == "list":
            continue  # a row has several values or none, so that the rest of the rows is no rest of the values
        cells = []
        for place, before in enumerate(befores):
            share, rows_here = drawn.shares[place][bar], drawn.counts[place][bar]
            picture = share_bars(share, before[bar] if before else None, most, width)
            cells.append((share_words(share), picture, f"{round(rows_here):,}"))
        rows.append(BarRow(value_words(name), cells))
    return rows


def _picture_rows(places: Sequence[Place]) -> list[BarRow]:
    """Formats and sizes of pictures that have no numbers."""
    images = [place.now.images or Images(0) for place in places]
    width = _BAR_WIDTHS.get(len(places), _NARROW_BAR)
    rows = []
    for group in ("formats", "sizes"):
        counted = [dict(getattr(item, group)) for item in images]
        names = sorted({name for item in counted for name in item}, key=lambda name: _frequent(counted, name))
        for name in names[:MOST_BARS]:
            cells = []
            for item, counts in zip(images, counted, strict=True):
                share = counts.get(name, 0) / item.n if item.n else 0.0
                cells.append(
                    (share_words(share), share_bars(share, None, 1.0, width), f"{counts.get(name, 0):,}")
                )
            rows.append(BarRow(name.replace("x", " × ") if group == "sizes" else name, cells))
    return rows


def _frequent(counted: Sequence[dict[str, int]], name: str) -> tuple[int, str]:
    return -max(counts.get(name, 0) for counts in counted), name
