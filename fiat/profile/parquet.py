"""Parquet straight into large batches, texts of few values as the dictionary that the file has them in."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from fiat.data.stream import SourceFile, file_fault
from fiat.profile.columns import is_text

_MOST_ROWS = 1 << 18
_BATCH_BYTES = 64 * 1024 * 1024
_BUFFER_BYTES = 1024 * 1024
_FEW_BYTES = 3.0
"""Uncompressed bytes a value below which a text must be an index into a dictionary."""


def parquet_batches(files: Sequence[SourceFile], names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of Parquet files that `fiat.data` has found to have the same columns.

    Texts that are no UTF-8 pass.

    Args:
        files: one or more.
        names: columns in the order wanted.

    Raises:
        SpecError: a damaged or cut file, with the row after which it is.
    """
    for file in files:
        row = 1
        try:
            with pq.ParquetFile(file.path) as source:
                texts = _dictionary_columns(source)
            # Without these, Arrow keeps all bytes of the file in memory until its end, or those of a row group.
            bounded = {"pre_buffer": False, "buffer_size": _BUFFER_BYTES}
            with pq.ParquetFile(
                file.path, read_dictionary=texts, page_checksum_verification=True, **bounded
            ) as source:
                for batch in source.iter_batches(batch_size=_batch_rows(source.metadata)):
                    yield batch.select(list(names))
                    row += batch.num_rows
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise file_fault(file.name, f"damaged at row {row} or after: {told}") from error


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Rows that hold about _BATCH_BYTES, by the row group whose rows are largest; dictionaries count once."""
    row_bytes = max(
        (
            metadata.row_group(place).total_byte_size / max(1, metadata.row_group(place).num_rows)
            for place in range(metadata.num_row_groups)
        ),
        default=1.0,
    )
    return max(1, min(_MOST_ROWS, int(_BATCH_BYTES / max(1.0, row_bytes))))


def _dictionary_columns(source: pq.ParquetFile) -> list[str]:
    if not source.metadata.num_row_groups:
        return []
    group = source.metadata.row_group(0)
    chunks = {group.column(place).path_in_schema: group.column(place) for place in range(group.num_columns)}
    few = [
        name
        for name, chunk in chunks.items()
        if chunk.num_values and chunk.total_uncompressed_size / chunk.num_values < _FEW_BYTES
    ]
    return [field.name for field in source.schema_arrow if field.name in few and is_text(field.type)]
