"""Values and their rows: all of them while they are few, then the frequent ones and hashes of the rest."""

from collections.abc import Iterator

import polars as pl

from fiat.profile.distinct import Hashes, estimate, hash_series, smallest
from fiat.profile.model import MOST_TRACKED

VALUE, ROWS = "value", "rows"
MOST_TRACKED_BYTES = 32 * 1024 * 1024
_FIRST_STEP, _STEP = 1 << 15, 1 << 20
_MOST_FOLLOWED = 256


Counted = tuple[pl.Series, pl.Series | None]
"""Values, and the rows of each; None where each stands for one."""


def steps(n_values: int) -> Iterator[tuple[int, int]]:
    """Start and length of the parts that values are counted in.

    The first is small: a column with more different values than are kept shows it there, at a small part of the cost of
    grouping all of them.
    """
    start, length = 0, _FIRST_STEP
    while start < n_values:
        yield start, length
        start, length = start + length, _STEP


class Counting:
    """Counts the values of one column.

    While there are no more than MOST_TRACKED, the table of values and rows says everything about the column, and
    nothing else is looked at. When there are more, `add` hands the table over to be measured in another way, and from
    then on all that comes; the most frequent of the table are still counted.
    """

    def __init__(self) -> None:
        self._table: pl.DataFrame | None = None
        self._followed: pl.DataFrame | None = None
        self._hashes: Hashes | None = None

    @property
    def is_exact(self) -> bool:
        """Whether all values are in the table."""
        return self._followed is None

    def add(self, values: pl.Series, rows: pl.Series | None = None) -> Counted | None:
        """Count values without nulls.

        Args:
            values: always of one type.
            rows: how often each stands here; None for once.

        Returns:
            What is no longer (or not at all) in the table and is to be measured; None while all is in it.
        """
        if self._followed is not None:
            self._follow(self._followed, values, rows)
            return values, rows
        found = _table(values, rows)
        if self._table is not None:
            found = pl.concat([self._table, found])
            found = found.group_by(VALUE).agg(pl.col(ROWS).sum())
        if found.height <= MOST_TRACKED and found.estimated_size() <= MOST_TRACKED_BYTES:
            self._table = found
            return None
        self._table = None
        # Sums of doubles depend on their order, and groups come in any.
        found = found.sort(VALUE)
        self._hashes = smallest(hash_series(_plain(found[VALUE])))
        followed = _sorted(found).head(_MOST_FOLLOWED)
        hashes = pl.Series("hash", hash_series(_plain(followed[VALUE])))
        self._followed = followed.with_columns(hashes)
        return found[VALUE], found[ROWS]

    def counted(self) -> pl.DataFrame:
        """Values and rows, the most frequent first: all, or those that were followed."""
        if self._followed is not None:
            return _sorted(self._followed.select(VALUE, ROWS))
        return _sorted(self._table) if self._table is not None else pl.DataFrame({VALUE: [], ROWS: []})

    def hashes(self) -> Hashes:
        """The smallest hashes of all values."""
        if self._hashes is not None:
            return self._hashes
        return smallest(hash_series(_plain(self.counted()[VALUE])))

    def n_distinct(self) -> int:
        """How many different values there are; an estimate when not `is_exact`."""
        if self.is_exact:
            return 0 if self._table is None else self._table.height
        return max(estimate(self.hashes()), MOST_TRACKED if self._followed is None else len(self.counted()))

    def _follow(self, followed: pl.DataFrame, values: pl.Series, rows: pl.Series | None) -> None:
        hashes = hash_series(_plain(values))
        self._hashes = smallest(hashes, self._hashes)
        here = pl.Series("hash", hashes)
        known = here.is_in(followed["hash"].implode())
        if known.any():
            more = _table(here.filter(known), None if rows is None else rows.filter(known))
            joined = followed.join(
                more.rename({VALUE: "hash", ROWS: "more"}), on="hash", how="left", maintain_order="left"
            )
            self._followed = joined.select(VALUE, pl.col(ROWS) + pl.col("more").fill_null(0), "hash")


def _table(values: pl.Series, rows: pl.Series | None) -> pl.DataFrame:
    if rows is not None:
        table = pl.DataFrame({VALUE: values, ROWS: rows})
        return table.group_by(VALUE).agg(pl.col(ROWS).cast(pl.Int64).sum())
    return values.alias(VALUE).value_counts(name=ROWS).with_columns(pl.col(ROWS).cast(pl.Int64))


def _sorted(table: pl.DataFrame) -> pl.DataFrame:
    """One order for the same counts, whatever order they were made in."""
    return table.sort(ROWS, VALUE, descending=[True, False])


def _plain(values: pl.Series) -> pl.Series:
    """In one type for all widths, so that equal numbers have equal hashes."""
    if values.dtype.is_integer() and values.dtype != pl.UInt64:
        return values.cast(pl.Int64)
    return values
