"""The difference of two tables row by row: which rows came, went, or changed in some values.

Both sides are streamed, and no rows are held but their hashes, 8 bytes a row (16 with a key); rows that differ, and those of
the examples, are read again. With a key, rows of one key belong together. Without one, tables are multisets: a row that
went and one that came are one changed row when they differ in few columns. Equal means equal by a 64-bit hash of each value;
whole numbers equal the same floats, NaN equals missing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from fiat.data.stream import Reading
from fiat.errors import SpecError
from fiat.validate.model import MOST_EXAMPLES
from fiat.validate.row_match import Matched, match_keys, match_rows, repeated
from fiat.validate.row_pick import split_tables
from fiat.validate.row_sums import Place, Sums, hash_cells, pick_streamed, sum_rows
from fiat.validate.rows_look import example_value

_MOST_COUNTED = 100_000
_Row = dict[str, object]


@dataclass(frozen=True)
class RowSource:
    """Rows that can be read again and again.

    Attributes:
        schema: their columns.
        batches: starts from the beginning each time: split (empty for none) and rows.
    """

    schema: pa.Schema
    batches: Callable[[], Iterator[tuple[str, pa.RecordBatch]]]


@dataclass(frozen=True)
class Cell:
    """A value that is another now.

    Attributes:
        column: its name.
        before: what it was, as JSON has it.
        after: what it is.
    """

    column: str
    before: object
    after: object


@dataclass(frozen=True)
class RowChange:
    """One row of the difference.

    Attributes:
        kind: what happened to it.
        before: where it stood; None for an added one.
        after: where it stands; None for a removed one.
        cells: values that differ; all values of an added (before None) or removed row.
        key: its key, column to value; empty without a key.
    """

    kind: Literal["added", "removed", "changed"]
    before: Place | None
    after: Place | None
    cells: tuple[Cell, ...]
    key: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class RowDiff:
    """The difference of two tables.

    Attributes:
        n_before: rows before.
        n_after: rows after.
        n_equal: rows that are on both sides.
        n_added: rows on the second side only.
        n_removed: rows on the first side only.
        n_changed: rows on both sides with other values.
        columns: compared ones: those of both sides.
        columns_added: columns of the second side only.
        columns_removed: columns of the first side only.
        changed_in: column to number of changed rows that differ there (of the first 100,000), most first.
        examples: changed rows first, then removed and added ones.
    """

    n_before: int
    n_after: int
    n_equal: int
    n_added: int
    n_removed: int
    n_changed: int
    columns: tuple[str, ...]
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    changed_in: tuple[tuple[str, int], ...] = ()
    examples: tuple[RowChange, ...] = ()

    @property
    def same(self) -> bool:
        """Whether there is no difference at all."""
        return not (
            self.n_added or self.n_removed or self.n_changed or self.columns_added or self.columns_removed
        )


def diff_rows(
    before: RowSource, after: RowSource, key: Sequence[str] = (), *, most_examples: int = MOST_EXAMPLES
) -> RowDiff:
    """Compare two tables.

    Args:
        before: the first side.
        after: the second.
        key: columns that name a row, each key once a side; empty compares rows as multisets, in whatever order.
        most_examples: examples of each kind of change.

    Raises:
        SpecError: a key that is no column of both sides, that is there twice, or no column in common.
    """
    names = [name for name in before.schema.names if name in after.schema.names]
    _check_key(key, names, before.schema, after.schema)
    if not names:
        raise SpecError("the two tables have no column in common", hint="are these the right files?")
    ones, others = sum_rows(before.batches(), names, key), sum_rows(after.batches(), names, key)
    sides = _Sides(before, after, ones, others, tuple(names), tuple(key))
    matched = _match(sides)
    changed_in, examples = _changes(sides, matched, most_examples)
    n_changed = len(matched.changed_before)
    return RowDiff(
        n_before=len(ones.rows),
        n_after=len(others.rows),
        n_equal=len(ones.rows) - n_changed - len(matched.removed),
        n_added=len(matched.added),
        n_removed=len(matched.removed),
        n_changed=n_changed,
        columns=tuple(names),
        columns_added=tuple(name for name in after.schema.names if name not in names),
        columns_removed=tuple(name for name in before.schema.names if name not in names),
        changed_in=changed_in,
        examples=examples,
    )


def dataset_rows(folder: Path) -> RowSource:
    """All splits of a dataset as one source.

    Raises:
        EnvironmentFault: a split can't be read.
    """
    tables = split_tables(folder)
    schema = next(iter(tables.values())).schema if tables else pa.schema([])

    def batches() -> Iterator[tuple[str, pa.RecordBatch]]:
        for split, table in tables.items():
            for batch in table.to_batches():
                yield split, batch

    return RowSource(schema, batches)


def reading_rows(reading: Reading) -> RowSource:
    """Files that are read (`fiat.data.read.read_files`) as a source; rows are numbered over all of them."""
    return RowSource(reading.schema, lambda: (("", piece.batch) for piece in reading.pieces()))


def table_rows(table: pa.Table) -> RowSource:
    """A table as a source."""
    return RowSource(table.schema, lambda: (("", batch) for batch in table.to_batches()))


def _check_key(key: Sequence[str], names: Sequence[str], before: pa.Schema, after: pa.Schema) -> None:
    for name in key:
        if name not in names:
            side = "first" if name not in before.names else "second"
            held = before.names if name not in before.names else after.names
            raise SpecError(
                f"key {name!r} is no column of the {side} side", hint=f"it has {', '.join(held[:20])}"
            )


@dataclass(frozen=True)
class _Sides:
    before: RowSource
    after: RowSource
    ones: Sums
    others: Sums
    names: tuple[str, ...]
    key: tuple[str, ...]


def _match(sides: _Sides) -> Matched:
    ones, others = sides.ones, sides.others
    if not sides.key:
        return match_rows(
            ones.rows,
            others.rows,
            lambda rows: hash_cells(sides.before.batches(), sides.names, rows),
            lambda rows: hash_cells(sides.after.batches(), sides.names, rows),
        )
    for side, sums in (("first", ones), ("second", others)):
        again = repeated(sums.keys)
        if len(again):
            place = sums.place(int(again[0]))
            where = f"row {place.row}" + (f" of {place.split}" if place.split else "")
            raise SpecError(
                f"{len(again):,} rows of the {side} side have a key ({', '.join(sides.key)}) that is there before, "
                f"such as {where}",
                hint="add columns to the key, or compare without one",
            )
    return match_keys(ones.keys, ones.rows, others.keys, others.rows)


def _changes(
    sides: _Sides, matched: Matched, most: int
) -> tuple[tuple[tuple[str, int], ...], tuple[RowChange, ...]]:
    """How many rows changed in which column, and the examples."""
    ones, others = matched.changed_before[:_MOST_COUNTED], matched.changed_after[:_MOST_COUNTED]
    differ = np.zeros((0, len(sides.names)), bool)
    if len(ones):
        before = hash_cells(sides.before.batches(), sides.names, ones)
        differ = before != hash_cells(sides.after.batches(), sides.names, others)
    counts = dict(zip(sides.names, differ.sum(axis=0).tolist(), strict=True))
    changed_in = sorted((item for item in counts.items() if item[1]), key=lambda item: -item[1])
    here = _values(sides.before, np.concatenate([ones[:most], matched.removed[:most]]), sides.names)
    there = _values(sides.after, np.concatenate([others[:most], matched.added[:most]]), sides.names)
    n_changed = len(ones[:most])
    found = [
        _changed(
            sides, int(ones[index]), int(others[index]), here[index], there[index], differ[index].tolist()
        )
        for index in range(n_changed)
    ]
    for row, values in zip(matched.removed[:most].tolist(), here[n_changed:], strict=True):
        cells = tuple(Cell(name, value, None) for name, value in values.items())
        found.append(RowChange("removed", sides.ones.place(row), None, cells, _named(sides, values)))
    for row, values in zip(matched.added[:most].tolist(), there[n_changed:], strict=True):
        cells = tuple(Cell(name, None, value) for name, value in values.items())
        found.append(RowChange("added", None, sides.others.place(row), cells, _named(sides, values)))
    return tuple(changed_in), tuple(found)


def _changed(
    sides: _Sides, one: int, other: int, here: _Row, there: _Row, differ: Sequence[bool]
) -> RowChange:
    cells = tuple(
        Cell(name, here[name], there[name])
        for name, is_other in zip(sides.names, differ, strict=True)
        if is_other
    )
    return RowChange("changed", sides.ones.place(one), sides.others.place(other), cells, _named(sides, there))


def _named(sides: _Sides, values: _Row) -> tuple[tuple[str, object], ...]:
    return tuple((name, values[name]) for name in sides.key)


def _values(source: RowSource, rows: np.ndarray, names: Sequence[str]) -> list[_Row]:
    """The values of chosen rows, in the order asked for."""
    found: list[_Row] = [{} for _ in rows]
    for places, chosen in pick_streamed(source.batches(), rows) if len(rows) else ():
        for index, place in enumerate(places.tolist()):
            found[place] = {name: example_value(chosen.column(name), index) for name in names}
    return found
