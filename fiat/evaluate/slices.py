"""Parts of the rows: by the values of a column, or of several crossed.

A value's name is `sex=F`, a cross's `sex=F,age_group=30-40`, a missing value `=missing`. A column of numbers with more
than MOST_VALUES distinct ones is cut at its deciles; a part is named by its ends, `age=20..31`, of which the upper
belongs to the next part (to this one in the last).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fiat.errors import SpecError
from fiat.evaluate.rows import Floats, Ints

MOST_VALUES = 50
N_BINS = 10
MOST_SLICES = 1000
MISSING = "missing"


@dataclass(frozen=True, eq=False)
class SliceColumn:
    """A column to part rows by.

    Attributes:
        name: as the user calls it.
        codes: index of `values` of each row, `(n_rows,)`.
        values: what the parts are called.
        classes: when the column is the label of a classification: index of the class that each value stands for
            (its place in `ClassRows.classes`); empty for any other column.
    """

    name: str
    codes: Ints
    values: tuple[str, ...]
    classes: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Slice:
    """One part of the rows.

    Attributes:
        name: such as `sex=F,age_group=30-40`.
        columns: names of the columns it is made by.
        rows: positions of its rows, ascending, `(n_rows,)`.
        own_class: index of the class when the label is one of the columns, else None.
        context: positions of the rows that share its values of all columns but the label: what precision of that
            class is judged on.
    """

    name: str
    columns: tuple[str, ...]
    rows: Ints
    own_class: int | None
    context: Ints


def category_column(name: str, codes: Ints, values: Sequence[object]) -> SliceColumn:
    """A column of values without order.

    Args:
        name: the column's name.
        codes: index of `values` of each row, -1 where it is missing, `(n_rows,)`.
        values: the distinct values.
    """
    names = [show_value(value) for value in values]
    missing = codes < 0
    if missing.any():
        codes = np.where(missing, len(names), codes)
        names.append(MISSING)
    return SliceColumn(name, codes.astype(np.int64), tuple(names))


def number_column(name: str, numbers: npt.NDArray[np.generic]) -> SliceColumn:
    """A column of integers or floats `(n_rows,)`, NaN where missing; cut at deciles when it has many distinct values."""
    missing = np.isnan(numbers.astype(np.float64))
    values, codes = np.unique(numbers[~missing], return_inverse=True)
    every = np.full(len(numbers), -1, dtype=np.int64)
    if len(values) <= MOST_VALUES:
        every[~missing] = codes.reshape(-1)
        return category_column(name, every, [value.item() for value in values])
    known = numbers[~missing].astype(np.float64)
    edges = _edges(known)
    every[~missing] = np.clip(np.searchsorted(edges, known, side="right") - 1, 0, len(edges) - 2)
    return category_column(name, every, _bin_names(edges))


def _edges(known: Floats) -> Floats:
    """The deciles; a value that fills a whole tenth ends its part at the next larger value, so that it stands alone."""
    deciles = np.quantile(known, np.linspace(0, 1, N_BINS + 1), method="inverted_cdf")
    edges, times = np.unique(deciles, return_counts=True)
    values = np.unique(known)
    after = np.searchsorted(values, edges[times > 1], side="right")
    return np.unique(np.concatenate([edges, values[after[after < len(values)]]]))


def _bin_names(edges: Floats) -> list[str]:
    for digits in range(3, 18):
        shown = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(shown)) == len(shown):
            break
    return [f"{low}..{high}" for low, high in pairwise(shown)]


def show_value(value: object) -> str:
    """A value as it stands in a slice's name: `7` also for 7.0, `true` for True."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value) and value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def cut(columns: Sequence[SliceColumn]) -> tuple[Slice, ...]:
    """The parts that a column, or the cross of several, makes of the rows; parts without rows are left out.

    Args:
        columns: one or more, all of the same rows.

    Raises:
        SpecError: there are more than MOST_SLICES parts.
    """
    shape = [max(1, len(column.values)) for column in columns]
    flat = _flatten(columns, shape)
    found, codes = np.unique(flat, return_inverse=True)
    names = tuple(column.name for column in columns)
    if len(found) > MOST_SLICES:
        raise SpecError(
            f"slicing by {', '.join(names)} makes {len(found)} slices, {MOST_SLICES} at most are allowed",
            hint="slice by a column with fewer values",
        )
    parts = _positions(codes.reshape(-1), len(found))
    others = [column for column in columns if not column.classes]
    around = _context(columns, others, parts)
    slices = []
    for number, part in enumerate(parts):
        first = part[0]
        name = ",".join(f"{column.name}={column.values[column.codes[first]]}" for column in columns)
        own = [column.classes[column.codes[first]] for column in columns if column.classes]
        slices.append(Slice(name, names, part, own[0] if own else None, around[number]))
    return tuple(slices)


def _flatten(columns: Sequence[SliceColumn], shape: Sequence[int]) -> Ints:
    flat = np.zeros(len(columns[0].codes), dtype=np.int64)
    for column, size in zip(columns, shape, strict=True):
        # Renumbered at each column, so that the product of four long columns can't overflow.
        flat = np.unique(flat * size + column.codes, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return flat


def _positions(codes: Ints, n_parts: int) -> list[Ints]:
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=n_parts))
    return np.split(order, ends[:-1])


def _context(
    columns: Sequence[SliceColumn], others: Sequence[SliceColumn], parts: Sequence[Ints]
) -> list[Ints]:
    if len(others) == len(columns):
        return list(parts)
    if not others:
        return [np.arange(len(columns[0].codes), dtype=np.int64)] * len(parts)
    flat = _flatten(others, [max(1, len(column.values)) for column in others])
    groups = _positions(flat, int(flat.max()) + 1 if len(flat) else 0)
    return [groups[flat[part[0]]] for part in parts]
