"""Rows of a table that lies mapped on disk, picked by number: only the columns that are asked for are read."""

from functools import cached_property

import numpy as np
import pyarrow as pa

from fiat.data.stream import is_tensor


class Mapped:
    """A table in chunks, with what is needed again for every batch of it.

    Attributes:
        table: mapped from disk.
        starts: number of the first row of each chunk, and of the one behind the last, `(n_chunks + 1,)`.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._chunks: list[pa.RecordBatch] = table.to_batches()
        self.starts = np.cumsum([0, *(chunk.num_rows for chunk in self._chunks)])
        self._views: dict[str, list[np.ndarray] | None] = {}

    def views(self, name: str) -> list[np.ndarray] | None:
        """A column as it lies on disk, an array a chunk; None when it is not numbers or tensors, or misses some."""
        if name not in self._views:
            self._views[name] = self._find_views(name)
        return self._views[name]

    @cached_property
    def others(self) -> list[str]:
        """Columns without views."""
        return [name for name in self.table.column_names if self.views(name) is None]

    def take(self, rows: np.ndarray, names: list[str]) -> pa.Table:
        """Columns of rows by number, in the order asked for.

        It goes chunk by chunk: Arrow's own take of a chunked column would first join all chunks in memory.
        """
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        edges = np.searchsorted(ordered, self.starts)
        parts = [
            chunk.select(names).take(pa.array(ordered[low:high] - start))
            for chunk, start, low, high in zip(self._chunks, self.starts, edges, edges[1:], strict=False)
            if high > low
        ]
        schema = self.table.schema
        joined = pa.Table.from_batches(
            parts, pa.schema([schema.field(name) for name in names])
        ).combine_chunks()
        inverse = np.empty_like(order)
        inverse[order] = np.arange(order.size)
        return joined.take(pa.array(inverse)) if joined.num_rows else joined

    def _find_views(self, name: str) -> list[np.ndarray] | None:
        columns = [chunk.column(name) for chunk in self._chunks]
        kind = self.table.schema.field(name).type
        if not columns or any(column.null_count for column in columns):
            return None
        if is_tensor(kind):
            return [column.to_numpy_ndarray() for column in columns]
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return [np.from_dlpack(column) for column in columns]
        return None


class Picked:
    """Rows of a table.

    Args:
        mapped: the table.
        rows: a slice with the step 1, or row numbers that are all there, `(n,)` int64.
    """

    def __init__(self, mapped: Mapped, rows: slice | np.ndarray) -> None:
        self._mapped = mapped
        self._rows = rows

    def __len__(self) -> int:
        if isinstance(self._rows, slice):
            return int(self.table.num_rows)
        return int(self._rows.size)

    @cached_property
    def table(self) -> pa.Table:
        """The rows with all columns."""
        if isinstance(self._rows, slice):
            start, stop, _ = self._rows.indices(self._mapped.table.num_rows)
            return self._mapped.table.slice(start, max(0, stop - start))
        return self._mapped.take(self._rows, self._mapped.table.column_names)

    def column(self, name: str) -> pa.ChunkedArray:
        """A column; those without an array are read together."""
        return (self._others if name in self._mapped.others else self.table).column(name)

    @cached_property
    def _others(self) -> pa.Table:
        if isinstance(self._rows, slice):
            return self.table
        return self._mapped.take(self._rows, self._mapped.others)

    def array(self, name: str) -> np.ndarray | None:
        """A column of numbers or tensors, an array of its own `(n,)` or `(n, *shape)`; None when Arrow has to read it."""
        views = None if isinstance(self._rows, slice) else self._mapped.views(name)
        if views is None:
            return None
        out = np.empty((len(self), *views[0].shape[1:]), views[0].dtype)
        for chunk, places, rows in self._by_chunk:
            out[places] = views[chunk][rows]
        return out

    @cached_property
    def _by_chunk(self) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Where rows come from: number of the chunk, their places here, their numbers there."""
        rows, starts = np.asarray(self._rows), self._mapped.starts
        chunks = np.searchsorted(starts, rows, "right") - 1
        found = []
        for chunk in np.unique(chunks).tolist():
            places = np.flatnonzero(chunks == chunk)
            found.append((chunk, places, rows[places] - starts[chunk]))
        return found
