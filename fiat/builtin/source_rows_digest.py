"""A digest of rows by what they hold, however they lie in memory and however they came in batches."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class RowsDigest:
    """SHA-256 over names, types and each column's values in their order.

    Of a column three streams are digested: which values are there (a byte each), the lengths of texts (8 bytes each,
    little-endian), and the values: numbers and times as they lie in Arrow's memory with zeros for missing ones, texts as
    their bytes, all else as JSON with a line for each row. What stands in the memory of a missing value does not count.

    Args:
        schema: of all batches.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._columns = [tuple(hashlib.sha256() for _ in range(3)) for _ in schema]

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the next rows in."""
        for column, (there, lengths, values) in zip(batch.columns, self._columns, strict=True):
            there.update(memoryview(column.is_valid().cast(pa.uint8()).to_numpy(zero_copy_only=False)))
            if isinstance(column, pa.ExtensionArray):
                column = column.storage
            kind = column.type
            if _is_fixed(kind):
                values.update(_numbers(column))
            elif _is_text(kind):
                sizes, content = _texts(column)
                lengths.update(sizes)
                values.update(content)
            else:
                for item in column.to_pylist():
                    values.update(json.dumps(item, sort_keys=True, default=str).encode() + b"\n")

    def hexdigest(self) -> str:
        """The digest of all rows so far, 64 hex digits."""
        columns = [
            [field.name, str(field.type), *(stream.hexdigest() for stream in streams)]
            for field, streams in zip(self._schema, self._columns, strict=True)
        ]
        return hashlib.sha256(json.dumps(columns).encode()).hexdigest()


def _is_fixed(kind: pa.DataType) -> bool:
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(plain or (pa.types.is_temporal(kind) and not pa.types.is_interval(kind)))


def _is_text(kind: pa.DataType) -> bool:
    views = (pa.string_view(), pa.binary_view())
    large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
    return bool(large or pa.types.is_string(kind) or pa.types.is_binary(kind) or kind in views)


def _numbers(column: pa.Array) -> memoryview:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif pa.types.is_temporal(column.type):
        column = column.view(pa.int64() if column.type.bit_width == 64 else pa.int32())
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(0).cast(column.type))
    return np.ascontiguousarray(column.to_numpy(zero_copy_only=False)).data


def _texts(column: pa.Array) -> tuple[memoryview, memoryview]:
    """Length of each text, 0 for missing ones, and their bytes one after the other."""
    plain = (
        pc.fill_null(column.cast(pa.large_binary()), b"") if len(column) else column.cast(pa.large_binary())
    )
    offsets = np.frombuffer(plain.buffers()[1], np.int64, len(plain) + 1, plain.offset * 8)
    data = plain.buffers()[2]
    content = memoryview(data if data is not None else b"")[int(offsets[0]) : int(offsets[-1])]
    return np.diff(offsets).data, content
