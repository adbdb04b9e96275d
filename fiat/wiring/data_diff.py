"""Two data side by side: rows that differ, and columns that moved."""

from collections.abc import Iterator
from dataclasses import dataclass

from fiat.profile.distance import Distance, comparable, distance
from fiat.profile.model import DataProfile, Profile
from fiat.validate.row_diff import RowDiff, dataset_rows, diff_rows
from fiat.wiring.data_target import Target


@dataclass(frozen=True)
class ColumnMove:
    """How far one column moved.

    Attributes:
        column: its name.
        split: of both sides.
        distance: L-infinity for categories, Jensen-Shannon for numbers.
        drifted: it is farther than chance explains for so many rows.
    """

    column: str
    split: str
    distance: Distance
    drifted: bool


@dataclass(frozen=True)
class DataDiff:
    """What differs between two data.

    Attributes:
        a: how people call the first.
        b: and the second.
        rows: the difference row by row.
        moves: of each column that both have, farthest first.
    """

    a: str
    b: str
    rows: RowDiff
    moves: tuple[ColumnMove, ...]


def compare_targets(before: Target, after: Target, key: tuple[str, ...]) -> DataDiff:
    """Compare two data.

    Raises:
        SpecError: the key names no rows, or the two have no column in common.
    """
    rows = diff_rows(dataset_rows(before.folder), dataset_rows(after.folder), key)
    moves = sorted(_moves(before.profile(), after.profile()), key=lambda move: -move.distance.value)
    return DataDiff(before.title, after.title, rows, tuple(moves))


def _moves(before: DataProfile, after: DataProfile) -> Iterator[ColumnMove]:
    for one in (item for item in before.profiles if not item.slice):
        other = after.split(one.split)
        if other is not None:
            yield from _moves_of(one, other)


def _moves_of(one: Profile, other: Profile) -> Iterator[ColumnMove]:
    for column in one.columns:
        same = other.column(column.name)
        if same is None or not comparable(column, same):
            continue
        found = distance(column, same, None)
        yield ColumnMove(column.name, one.split, found, found.beyond_noise)
