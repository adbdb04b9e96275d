"""Slices in the data report: how many rows each has, and in what it differs most from its split."""

from dataclasses import dataclass

from fiat.builtin.page_data_facts import missing_share
from fiat.builtin.page_data_moved import columns_of
from fiat.builtin.page_data_names import cut, name_words
from fiat.builtin.page_data_words import part
from fiat.builtin.view_data import share_words
from fiat.profile.distance import comparable, distance
from fiat.profile.model import ColumnProfile, DataProfile, Profile

MOST_COMPARED = 4_000
"""Columns of slices that are compared with their split's: the largest slices first."""
_LEAST_DIFFERENCE = 0.001
_LONGEST_SLICE = 100


@dataclass(frozen=True)
class SliceRow:
    """A slice.

    Attributes:
        name: such as `sex=F`.
        rows: as text.
        share: of its split.
        column: whose distribution differs most from the split's, beyond chance; empty for none.
        link: id of that column's row.
        how: distance and what moved.
        missing: the column whose missing share differs most, with both shares; empty for none.
        missing_link: id of that column's row.
    """

    name: str
    rows: str
    share: str
    column: str = ""
    link: str = ""
    how: str = ""
    missing: str = ""
    missing_link: str = ""


@dataclass(frozen=True)
class SliceTable:
    """Slices of one split, the largest first."""

    split: str
    rows: list[SliceRow]


def slice_tables(data: DataProfile, links: dict[str, str]) -> list[SliceTable]:
    """A table a split.

    Args:
        data: with slices.
        links: column to the id of its row on the page.
    """
    left = MOST_COMPARED
    tables = []
    for split in (item for item in data.profiles if not item.slice):
        slices = [item for item in data.profiles if item.slice and item.split == split.split]
        rows = []
        for item in sorted(slices, key=lambda item: -item.n_rows):
            compared = left >= len(item.columns)
            left -= len(item.columns) if compared else 0
            rows.append(_row(item, split, links, compared=compared))
        if rows:
            tables.append(SliceTable(split.split or "all rows", rows))
    return tables


def _row(item: Profile, split: Profile, links: dict[str, str], *, compared: bool) -> SliceRow:
    share = item.n_rows / split.n_rows if split.n_rows else 0.0
    row = SliceRow(cut(item.slice, _LONGEST_SLICE), f"{item.n_rows:,}", share_words(share))
    if not compared or not item.n_rows:
        return row
    own = _own(item.slice, split)
    whole = columns_of(split)
    pairs = [(whole.get(column.name), column) for column in item.columns if column.name not in own]
    known = [(before, after) for before, after in pairs if before is not None and comparable(before, after)]
    column, how = _farthest(known)
    missing, words = _most_missing(known)
    return SliceRow(
        row.name,
        row.rows,
        row.share,
        name_words(column) if column else "",
        links.get(column, ""),
        how,
        f"{name_words(missing)}: {words}" if missing else "",
        links.get(missing, ""),
    )


def _own(name: str, split: Profile) -> set[str]:
    """The columns that a slice is made by: that it differs in them says nothing."""
    return {column.name for column in split.columns if f",{column.name}=" in f",{name}"}


def _farthest(pairs: list[tuple[ColumnProfile, ColumnProfile]]) -> tuple[str, str]:
    most, column, how = 0.0, "", ""
    for before, after in pairs:
        found = distance(before, after)
        weight = found.value**0.5 if found.metric == "js" else found.value
        if found.beyond_noise and weight > most and found.moved:
            moved = found.moved[0]
            words = (
                f"{cut(moved.name or '(empty)', 40)} in {part(moved.after)} instead of {part(moved.before)}"
            )
            most, column, how = weight, after.name, words
    return column, how


def _most_missing(pairs: list[tuple[ColumnProfile, ColumnProfile]]) -> tuple[str, str]:
    most, column, words = _LEAST_DIFFERENCE, "", ""
    for before, after in pairs:
        here, there = missing_share(after), missing_share(before)
        if abs(here - there) > most:
            most, column = abs(here - there), after.name
            words = f"{part(here)} missing instead of {part(there)}"
    return column, words
