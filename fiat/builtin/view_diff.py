"""What `fiat data diff` shows."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from fiat.builtin.view_data import shown
from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import number
from fiat.profile.distance import Distance
from fiat.validate.row_diff import RowChange, RowDiff
from fiat.validate.row_sums import Place

_TONES: dict[str, Tone] = {"added": "good", "removed": "bad", "changed": "doubt"}
_MOST_MOVES = 10
_MOST_CELLS = 6


class Move(Protocol):
    """How far a column moved, as the wiring makes it."""

    @property
    def column(self) -> str:
        """Its name."""

    @property
    def split(self) -> str:
        """Of both sides."""

    @property
    def distance(self) -> Distance:
        """How far."""

    @property
    def drifted(self) -> bool:
        """Farther than chance explains."""


class Difference(Protocol):
    """Two data side by side, as the wiring makes it."""

    @property
    def a(self) -> str:
        """The first."""

    @property
    def b(self) -> str:
        """The second."""

    @property
    def rows(self) -> RowDiff:
        """Row by row."""

    @property
    def moves(self) -> Sequence[Move]:
        """Column by column, farthest first."""


def difference_sheet(found: Difference) -> Sheet:
    """Rows that differ with their values, then columns that moved."""
    rows = found.rows
    blocks: list[Table | tuple[Cell, ...]] = [
        (Cell(f"{found.a} ({rows.n_before:,} rows) -> {found.b} ({rows.n_after:,} rows)", "strong"),)
    ]
    changes = tuple(line for change in rows.examples for line in _change(change))
    if changes:
        blocks.append(Table(("", "row", "column", "before", "after"), changes))
    blocks += [(Cell(text, tone),) for text, tone in _columns(rows)]
    moved = [move for move in found.moves if move.drifted]
    if moved:
        blocks.append(_moves(moved))
    counts = (("changed", rows.n_changed), ("added", rows.n_added), ("removed", rows.n_removed))
    said = ", ".join(f"{count:,} {word}" for word, count in counts if count)
    drifted = f"{len(moved)} columns drifted" if len(moved) != 1 else "1 column drifted"
    last = f"{said or 'the same rows'}; {drifted if moved else 'no column drifted'}"
    blocks.append((Cell(last, "good" if rows.same else "doubt"),))
    return Sheet(tuple(blocks))


def _change(change: RowChange) -> Iterator[tuple[Cell, ...]]:
    place = change.after or change.before
    where = _place(change.before) if change.before == change.after else _both(change)
    if change.key:
        where = ", ".join(f"{name}={shown(value)}" for name, value in change.key)
    mark, row = Cell(change.kind, _TONES[change.kind]), Cell(where if place else "")
    for cell in change.cells[:_MOST_CELLS]:
        before = "" if change.kind == "added" else shown(cell.before)
        after = "" if change.kind == "removed" else shown(cell.after)
        yield (mark, row, Cell(cell.column), Cell(before, "quiet"), Cell(after))
        mark, row = Cell(""), Cell("")
    if len(change.cells) > _MOST_CELLS:
        yield (mark, row, Cell(f"... {len(change.cells) - _MOST_CELLS} more columns", "quiet"))


def _both(change: RowChange) -> str:
    return " -> ".join(_place(place) for place in (change.before, change.after) if place is not None)


def _place(place: Place | None) -> str:
    return f"{place.split} {place.row:,}".strip() if place is not None else ""


def _columns(rows: RowDiff) -> Iterator[tuple[str, Tone]]:
    for word, names in (("added", rows.columns_added), ("removed", rows.columns_removed)):
        if names:
            yield f"columns {word}: {', '.join(names)}", _TONES[word]
    if rows.changed_in:
        shown_columns = ", ".join(f"{name} ({count:,})" for name, count in rows.changed_in[:10])
        yield f"changed in: {shown_columns}", "quiet"


def _moves(moves: Sequence[Move]) -> Table:
    rows = tuple(
        (
            Cell(move.column, "strong"),
            Cell(move.split, "quiet"),
            Cell(move.distance.metric, "quiet"),
            Cell(number(move.distance.value), "doubt"),
            Cell(
                ", ".join(
                    f"{item.name} {item.before:.1%} -> {item.after:.1%}" for item in move.distance.moved[:2]
                )
            ),
        )
        for move in moves[:_MOST_MOVES]
    )
    return Table(("column", "split", "distance", "value", "moved most"), rows, frozenset({3}), title="drift")
