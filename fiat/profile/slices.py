"""Parts of the rows by the values of columns: which there are, and a profile of each beside that of the whole."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import pyarrow as pa

from fiat.errors import SpecError
from fiat.profile.columns import Column, is_text
from fiat.profile.model import ColumnProfile, Profile
from fiat.profile.shown import text_of
from fiat.profile.sketch import coarsen

MOST_SLICES = 50
_MOST_WAITING_BYTES = 256 * 1024 * 1024
_MISSING = "missing"
_ROWS, _PLACE = "fiat: rows", "fiat: place"


@dataclass(frozen=True, eq=False)
class Cut:
    """The parts that some columns make.

    Attributes:
        columns: one, or several crossed.
        keys: their values in each part, the largest part first, and the part's place.
    """

    columns: tuple[str, ...]
    keys: pl.DataFrame

    def names(self) -> list[str]:
        """Of the parts, such as `sex=F,age=30`."""
        return [
            ",".join(f"{name}={_shown(value)}" for name, value in zip(self.columns, row, strict=True))
            for row in self.keys.select(self.columns).rows()
        ]

    def places(self, batch: pa.RecordBatch) -> np.ndarray:
        """Which part each row is in, -1 for none that is kept, `(n_rows,)`."""
        rows = _frame(batch, self.columns)
        found = rows.join(self.keys, on=self.columns, how="left", nulls_equal=True, maintain_order="left")
        return found[_PLACE].fill_null(-1).to_numpy()


def find_cuts(table: pa.Table, slices: Sequence[tuple[str, ...]]) -> tuple[Cut, ...]:
    """The MOST_SLICES largest parts by each of some columns; only these columns are looked at.

    Raises:
        SpecError: a column that is not there, or whose values are no numbers, texts, bools or times.
    """
    return tuple(_find_cut(table, columns) for columns in slices)


def _find_cut(table: pa.Table, columns: tuple[str, ...]) -> Cut:
    for name in columns:
        if name not in table.schema.names:
            raise SpecError(
                f"a slice names column {name!r}, which the data do not have",
                hint=f"they have {', '.join(table.schema.names[:20])}",
            )
        kind = table.schema.field(name).type
        if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType) or pa.types.is_null(kind):
            raise SpecError(f"column {name!r} can't part the rows: it holds {kind}")
    found: pl.DataFrame | None = None
    for batch in table.select(list(columns)).to_batches():
        part = _frame(batch, columns).group_by(columns).agg(pl.len().cast(pl.Int64).alias(_ROWS))
        if found is not None:
            part = pl.concat([found, part]).group_by(columns).agg(pl.col(_ROWS).sum())
        found = part
    if found is None:
        found = pl.DataFrame(schema={**dict.fromkeys(columns, pl.String), _ROWS: pl.Int64})
    order = [True, *(False for _ in columns)]
    largest = found.sort(_ROWS, *columns, descending=order).head(MOST_SLICES)
    return Cut(
        columns, largest.drop(_ROWS).with_row_index(_PLACE).with_columns(pl.col(_PLACE).cast(pl.Int64))
    )


def _frame(batch: pa.RecordBatch, columns: Sequence[str]) -> pl.DataFrame:
    """Values of the columns; texts that are no UTF-8 stay bytes."""
    series = []
    for name in columns:
        values = batch.column(name)
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if is_text(values.type):
            values = values.cast(pa.large_string()).view(pa.large_binary())
        series.append(pl.Series(name, values))
    return pl.DataFrame(series)


def _shown(value: object) -> str:
    if value is None:
        return _MISSING
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else text_of(value)


@dataclass
class _Slice:
    name: str
    columns: list[Column]
    n_rows: int = 0
    waiting: list[pa.RecordBatch] = field(default_factory=list)


class SliceTallies:
    """Profiles of the parts of one split, made while its rows go by.

    Args:
        schema: of the rows.
        cuts: which parts.
        split: kept in the profiles.
    """

    def __init__(self, schema: pa.Schema, cuts: Sequence[Cut], split: str) -> None:
        self._split = split
        self._cuts = [
            (cut, [_Slice(name, [Column(item) for item in schema]) for name in cut.names()]) for cut in cuts
        ]
        self._waiting_bytes = 0

    def follow(self, batches: Iterable[pa.RecordBatch], pool: ThreadPoolExecutor) -> Iterator[pa.RecordBatch]:
        """Hand on the batches and take each one's rows to their parts."""
        for batch in batches:
            for cut, parts in self._cuts:
                self._share_out(batch, cut.places(batch), parts)
            if self._waiting_bytes >= _MOST_WAITING_BYTES:
                self._measure(pool)
            yield batch

    def finish(self, pool: ThreadPoolExecutor) -> list[Profile]:
        """Profiles in the order of the cuts, the largest part first; their sketches are coarse."""
        self._measure(pool)
        return [
            Profile(part.n_rows, tuple(pool.map(_finish_coarse, part.columns)), self._split, part.name)
            for _, parts in self._cuts
            for part in parts
        ]

    def _share_out(self, batch: pa.RecordBatch, places: np.ndarray, parts: Sequence[_Slice]) -> None:
        # Rows of one part side by side, in their own order: one copy for all parts.
        order = np.argsort(places, kind="stable")
        starts = np.searchsorted(places[order], np.arange(len(parts) + 1))
        taken = batch.take(pa.array(order[starts[0] :]))
        self._waiting_bytes += taken.nbytes
        for part, start, stop in zip(parts, starts[:-1] - starts[0], starts[1:] - starts[0], strict=True):
            if stop > start:
                part.waiting.append(taken.slice(int(start), int(stop - start)))

    def _measure(self, pool: ThreadPoolExecutor) -> None:
        for _, parts in self._cuts:
            for part in parts:
                if part.waiting:
                    rows = pa.concat_batches(part.waiting)
                    list(pool.map(Column.add, part.columns, rows.columns))
                    part.n_rows += rows.num_rows
                    part.waiting = []
        self._waiting_bytes = 0


def _finish_coarse(column: Column) -> ColumnProfile:
    found = column.finish()
    if found.numbers is None:
        return replace(found, hashes=())
    return replace(found, hashes=(), numbers=replace(found.numbers, sketch=coarsen(found.numbers.sketch)))
