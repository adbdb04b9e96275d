"""Rows that a query or a function gives, batch by batch, to one Arrow file; memory stays bounded.

Batches may differ in what can be widened without loss of meaning: a column that only had missing values, integers before
fractions, dates before times. The file has one schema: where a later batch widens it, what was written before is kept in
a part of its own and written again at the end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from fiat.builtin.source_rows_digest import RowsDigest
from fiat.errors import EnvironmentFault, SpecError

BATCH_ROWS = 16_384


@dataclass(frozen=True)
class WrittenRows:
    """What a file of rows holds.

    Attributes:
        n_rows: how many rows.
        digest: of names, types and values in their order, 64 hex digits; the same however the rows came in batches.
    """

    n_rows: int
    digest: str


def write_rows(batches: Iterable[pa.RecordBatch], path: Path, *, max_bytes: int, key: str) -> WrittenRows:
    """Write rows to a new file in Arrow's file format.

    Args:
        batches: of any size; a batch may be empty.
        path: does not exist yet; is removed again when this fails.
        max_bytes: most bytes that the rows may have in memory, all together.
        key: where the rows come from, such as `source.sql`, for people.

    Raises:
        SpecError: no rows, no columns, two columns of one name, batches whose columns differ, more bytes than allowed.
        EnvironmentFault: the disk is full.
    """
    parts: list[_Part] = []
    try:
        n_bytes = 0
        for batch in _gathered(_plain(batches, key)):
            n_bytes += batch.nbytes
            if n_bytes > max_bytes:
                raise SpecError(
                    f"{key}: the rows have more than the {max_bytes:,} bytes allowed",
                    hint="FIAT_MAX_DOWNLOAD_BYTES sets how many",
                )
            schema = widened(parts[-1].schema, batch.schema, key) if parts else batch.schema
            if not parts or schema != parts[-1].schema:
                parts.append(_Part(path.with_name(f"{path.name}.part{len(parts)}"), schema))
            parts[-1].write(batch)
        if not any(part.n_rows for part in parts):
            raise SpecError(f"{key}: there are no rows")
        return _joined(parts, path)
    except pa.ArrowInvalid as error:
        path.unlink(missing_ok=True)
        reason = str(error).splitlines()[0]
        raise SpecError(f"{key}: a later batch does not go with the first: {reason}") from error
    except OSError as error:
        path.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise EnvironmentFault(f"{path.name} can't be written: {reason}", hint="is the disk full?") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        for part in parts:
            part.drop()


def widened(known: pa.Schema, more: pa.Schema, key: str) -> pa.Schema:
    """The schema that has room for both, with the columns in the order of `known`.

    Raises:
        SpecError: they have other columns, or a column holds what does not go together.
    """
    if set(known.names) != set(more.names):
        lacks = [name for name in known.names if name not in more.names]
        adds = [name for name in more.names if name not in known.names]
        found = f"lacks column {lacks[0]!r}" if lacks else f"adds column {adds[0]!r}"
        raise SpecError(f"{key}: a later batch {found}", hint="every batch has the same columns")
    fields = [pa.field(name, _wider(name, known, more, key)) for name in known.names]
    return pa.schema(fields)


class _Part:
    """One file of one schema."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self._writer = pa.ipc.new_file(str(path), schema)
        self._digest = RowsDigest(schema)
        self.n_rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        if batch.schema != self.schema:
            arrays = [_cast(batch.column(field.name), field.type) for field in self.schema]
            batch = pa.record_batch(arrays, schema=self.schema)
        if batch.num_rows:
            self._writer.write_batch(batch)
            self._digest.add(batch)
            self.n_rows += batch.num_rows

    def close(self) -> WrittenRows:
        self._writer.close()
        return WrittenRows(self.n_rows, self._digest.hexdigest())

    def drop(self) -> None:
        self._writer.close()
        self.path.unlink(missing_ok=True)


def _joined(parts: list[_Part], path: Path) -> WrittenRows:
    """The parts as one file."""
    written = parts[-1].close()
    if len(parts) > 1:
        whole = _Part(path.with_name(f"{path.name}.whole"), parts[-1].schema)
        parts.append(whole)
        for part in parts[:-1]:
            part.close()
            with pa.memory_map(str(part.path)) as mapped:
                reader = pa.ipc.open_file(mapped)
                for index in range(reader.num_record_batches):
                    whole.write(reader.get_batch(index))
        written = whole.close()
    parts[-1].path.replace(path)
    return written


def _plain(batches: Iterable[pa.RecordBatch], key: str) -> Iterator[pa.RecordBatch]:
    """The batches without what only their library knows: codes of categories, notes of pandas."""
    for batch in batches:
        twice = [name for name in batch.schema.names if batch.schema.names.count(name) > 1]
        if twice:
            raise SpecError(f"{key}: two columns are named {twice[0]!r}", hint="name one of them otherwise")
        arrays = []
        for column in batch.columns:
            coded = pa.types.is_dictionary(column.type)
            arrays.append(column.dictionary_decode() if coded else column)
        fields = [pa.field(name, array.type) for name, array in zip(batch.schema.names, arrays, strict=True)]
        if not fields:
            raise SpecError(f"{key}: there are no columns")
        yield pa.record_batch(arrays, schema=pa.schema(fields))


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of no more than `BATCH_ROWS`; small ones of one schema are put together."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        if waiting and (batch.schema != waiting[0].schema or _n_rows(waiting) >= BATCH_ROWS // 2):
            yield _together(waiting)
            waiting = []
        for start in range(0, max(batch.num_rows, 1), BATCH_ROWS):
            piece = batch.slice(start, BATCH_ROWS)
            if piece.num_rows == BATCH_ROWS:
                yield from [_together(waiting)] if waiting else []
                waiting = []
                yield piece
            else:
                waiting.append(piece)
    if waiting:
        yield _together(waiting)


def _n_rows(batches: list[pa.RecordBatch]) -> int:
    return sum(batch.num_rows for batch in batches)


def _together(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    columns = [pa.concat_arrays(list(arrays)) for arrays in zip(*(b.columns for b in batches), strict=True)]
    return pa.record_batch(columns, schema=batches[0].schema)


def _wider(name: str, known: pa.Schema, more: pa.Schema, key: str) -> pa.DataType:
    one, other = known.field(name).type, more.field(name).type
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    dates = [pa.types.is_date(kind) for kind in (one, other)]
    if any(dates) and any(pa.types.is_timestamp(kind) and kind.tz is None for kind in (one, other)):
        return other if dates[0] else one
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other)]
    temporal = [pa.types.is_temporal(kind) for kind in (one, other)]
    texts = [kind in (pa.string(), pa.large_string(), pa.string_view()) for kind in (one, other)]
    lists = [pa.types.is_list(kind) for kind in (one, other)]
    if all(numbers) or all(temporal) or all(texts) or all(lists) or _both_decimal(one, other):
        try:
            fields = [pa.schema([(name, kind)]) for kind in (one, other)]
            return pa.unify_schemas(fields, promote_options="permissive").field(name).type
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass
    raise SpecError(
        f"{key}: column {name!r} is {one} at first and {other} in a later batch",
        hint="cast it, so that all rows have one type",
    )


def _both_decimal(one: pa.DataType, other: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(one) and pa.types.is_decimal(other))


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    return values if values.type == kind else pc.cast(values, kind)
