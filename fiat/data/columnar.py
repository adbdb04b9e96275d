"""Read Parquet and Arrow files (file and stream format, Feather 2), batch by batch."""

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fiat.data.stream import Piece, Reading, SourceFile, file_fault
from fiat.errors import EnvironmentFault

_ROWS = 16_384
_BUFFER_BYTES = 1 << 20
_IPC_MAGIC = b"ARROW1"
_PARQUET_MAGICS = (b"PAR1", b"PARE")
_CONTINUATION = b"\xff\xff\xff\xff"
_DAMAGED = (pa.ArrowException, OSError, EOFError, UnicodeError)
_END_OF_STREAM = _CONTINUATION + b"\0\0\0\0"


def read_columnar(files: Sequence[SourceFile], *, parquet: bool) -> Reading:
    """Parquet or Arrow files as one stream of rows.

    Dictionaries become their values, decimals and half floats become double and float, lists of a fixed number of
    numbers become tensors.

    Raises:
        SpecError: a damaged or cut file, files with different columns, no rows at all.
    """
    schema: pa.Schema | None = None
    n_rows: dict[str, int] = {}
    for file in files:
        own, rows = _look(file, parquet=parquet)
        plain = pa.schema([pa.field(field.name, _plain_type(field.type)) for field in own])
        if len(set(plain.names)) != len(plain.names):
            raise file_fault(file.name, "two columns have one name")
        if schema is None:
            schema = plain
        elif dict(zip(plain.names, plain.types, strict=True)) != dict(
            zip(schema.names, schema.types, strict=True)
        ):
            raise file_fault(file.name, _difference(schema, plain))
        n_rows[file.name] = rows
    if schema is None or not any(n_rows.values()):
        raise file_fault(files[0].name, "there are no rows")
    columns = schema
    return Reading(columns, lambda: _pieces(files, columns, n_rows, parquet=parquet))


def _pieces(
    files: Sequence[SourceFile], schema: pa.Schema, n_rows: Mapping[str, int], *, parquet: bool
) -> Iterator[Piece]:
    for file in files:
        row = 1
        try:
            for raw in _batches(file, parquet=parquet):
                raw.validate(full=True)
                arrays = [_plain_array(raw.column(name), schema.field(name).type) for name in schema.names]
                whole = pa.record_batch(arrays, schema)
                for start in range(0, whole.num_rows, _ROWS):
                    batch = whole.slice(start, _ROWS)
                    yield Piece(batch, (file.name,), row)
                    row += batch.num_rows
        except _DAMAGED as error:
            raise file_fault(file.name, f"damaged at row {row} or after: {_first_line(error)}") from error
        if row - 1 != n_rows[file.name]:
            raise file_fault(file.name, f"{row - 1:,} rows, but it should have {n_rows[file.name]:,}")


def _batches(file: SourceFile, *, parquet: bool) -> Iterator[pa.RecordBatch]:
    if parquet:
        # Read ahead, Arrow would hold all of the file that it has come by.
        with pq.ParquetFile(
            file.path, page_checksum_verification=True, pre_buffer=False, buffer_size=_BUFFER_BYTES
        ) as source:
            yield from source.iter_batches(batch_size=_ROWS)
        return
    with pa.memory_map(str(file.path)) as mapped:
        if mapped.read(6) == _IPC_MAGIC:
            mapped.seek(0)
            reader = pa.ipc.open_file(mapped)
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
        else:
            mapped.seek(0)
            yield from pa.ipc.open_stream(mapped)


def _look(file: SourceFile, *, parquet: bool) -> tuple[pa.Schema, int]:
    """Schema and number of rows; a stream has to be read for it."""
    try:
        _check_ends(file, parquet=parquet)
        if parquet:
            with pq.ParquetFile(file.path) as source:
                return _named(source.schema_arrow), source.metadata.num_rows
        with pa.memory_map(str(file.path)) as mapped:
            magic = mapped.read(6)
            mapped.seek(0)
            if magic == _IPC_MAGIC:
                return _named(pa.ipc.open_file(mapped).schema), sum(
                    batch.num_rows for batch in _batches(file, parquet=False)
                )
            stream = pa.ipc.open_stream(mapped)
            return _named(stream.schema), sum(batch.num_rows for batch in stream)
    except FileNotFoundError as error:
        raise file_fault(file.name, "there is no such file") from error
    except PermissionError as error:
        raise EnvironmentFault(f"{file.name} can't be read: {error.strerror}") from error
    except _DAMAGED as error:
        kind = "Parquet" if parquet else "Arrow"
        hint = "is it cut off, or of another format?"
        raise file_fault(file.name, f"not a sound {kind} file: {_first_line(error)}", hint=hint) from error


def _named(schema: pa.Schema) -> pa.Schema:
    """The schema, its names looked at: reading one that is no text fails here and nowhere else."""
    list(schema.names)
    return schema


def _check_ends(file: SourceFile, *, parquet: bool) -> None:
    """See that the first and last bytes are those of a whole file.

    A stream that is cut off between two batches reads like a shorter one, but for its end mark.

    Source: "IPC Streaming Format" in Arrow's columnar format, and "File Format" of Apache Parquet.
    """
    with file.path.open("rb") as stream:
        start = stream.read(8)
        size_bytes = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size_bytes - 8))
        end = stream.read()
    if parquet:
        if size_bytes and start[:4] not in _PARQUET_MAGICS:
            raise pa.ArrowInvalid(
                f"it starts with {start[:4].hex(' ')}, expected {_PARQUET_MAGICS[0].hex(' ')}"
            )
    elif start[:6] != _IPC_MAGIC and size_bytes:
        is_new = start.startswith(_CONTINUATION)
        if not (end == _END_OF_STREAM if is_new else end.endswith(b"\0\0\0\0")):
            raise pa.ArrowInvalid("the stream has no end mark")


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or kind == pa.string_view():
        return pa.string()
    if pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_null(kind):
        return pa.float64()
    if pa.types.is_fixed_size_list(kind) and _is_number(kind.value_type):
        return pa.fixed_shape_tensor(kind.value_type, (kind.list_size,))
    return kind


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _plain_array(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.type == kind:
        return values
    if isinstance(kind, pa.FixedShapeTensorType) and pa.types.is_fixed_size_list(values.type):
        return pa.ExtensionArray.from_storage(kind, values)
    if pa.types.is_dictionary(values.type):
        return _plain_array(values.dictionary_decode(), kind)
    if pa.types.is_float16(values.type):
        return pa.array(values.to_numpy(zero_copy_only=False).astype(np.float32), from_pandas=True)
    return pc.cast(values, kind)


def _difference(first: pa.Schema, other: pa.Schema) -> str:
    for name in first.names:
        if name not in other.names:
            return f"it lacks column {name!r}, which the files before it have"
        if first.field(name).type != other.field(name).type:
            types = f"{other.field(name).type}, but {first.field(name).type} in the files before it"
            return f"column {name!r} is {types}"
    extra = next(name for name in other.names if name not in first.names)
    return f"it adds column {extra!r}, which the files before it lack"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
