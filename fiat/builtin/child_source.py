"""Role `source`: call the user's function and keep the rows or the files that it gives, for the data step to read."""

import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fiat.builtin.child_call import call
from fiat.builtin.source_rows import BATCH_ROWS, write_rows
from fiat.builtin.source_sql_values import value_array
from fiat.errors import SpecError

ROWS = "data.arrow"
_MAX_BYTES = 10 * 1024**3
_HINT = (
    "return a pyarrow table, a pandas or polars frame, a mapping of columns, an iterator of these or of rows as "
    "mappings, or the path of a file that it wrote"
)


def work(request: Mapping[str, Any]) -> None:
    """Call the function; what it returns goes to the output `data`, a folder.

    Raises:
        SpecError: it returned nothing, no rows, something else than rows or paths, columns that differ from batch to
            batch, paths of no file, or more bytes than allowed.
    """
    returned = call(request, {})
    max_bytes = int(request.get("max_bytes", _MAX_BYTES))
    keep(returned, Path(request["outputs"]["data"]), str(request["call"]), max_bytes)


def keep(returned: Any, folder: Path, name: str, max_bytes: int) -> None:
    """Write what a function returned to a folder: its rows as `data.arrow`, or copies of its files.

    Args:
        returned: by the function.
        folder: need not exist; a fault leaves no half of a file in it.
        name: of the function, for people.
        max_bytes: most bytes of the rows or files, all together.

    Raises:
        SpecError: as `work`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = _paths(returned, name)
    if paths is not None:
        _copy(paths, folder, name, max_bytes)
    else:
        write_rows(_batches(returned, name), folder / ROWS, max_bytes=max_bytes, key=name)


def _paths(returned: Any, name: str) -> list[Path] | None:
    """The paths that were returned; None for anything else."""
    if returned is None:
        raise SpecError(f"{name} returned nothing", hint=_HINT)
    if isinstance(returned, (str, os.PathLike)):
        return [Path(returned)]
    items = returned if isinstance(returned, (list, tuple)) else ()
    if items and all(isinstance(item, (str, os.PathLike)) for item in items):
        return [Path(item) for item in items]
    return None


def _copy(paths: Sequence[Path], folder: Path, name: str, max_bytes: int) -> None:
    """Copy files, and the files of folders under their paths below it."""
    n_bytes = 0
    for path in paths:
        if path.is_dir():
            files = [(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
        else:
            files = [(path, Path(path.name))]
        if not files or not all(file.is_file() for file, _ in files):
            raise SpecError(
                f"{name} returned {path}, where there is no file", hint="write it before you return"
            )
        for file, inner in files:
            target = folder / inner
            if target.exists():
                raise SpecError(f"{name} returned two files named {inner}")
            n_bytes += file.stat().st_size
            if n_bytes > max_bytes:
                raise _too_large(name, max_bytes)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _too_large(name: str, max_bytes: int) -> SpecError:
    return SpecError(
        f"{name} returned more than the {max_bytes:,} bytes allowed",
        hint="FIAT_MAX_DOWNLOAD_BYTES sets how many",
    )


def _batches(returned: Any, name: str) -> Iterator[pa.RecordBatch]:
    """What was returned as batches; an iterator is read only as far as it is written."""
    whole = _whole(returned, name)
    if whole is not None:
        yield from whole
    elif isinstance(returned, (bytes, bytearray)) or not isinstance(returned, Iterable):
        raise SpecError(f"{name} returned {_kind(returned)}", hint=_HINT)
    else:
        items = iter(returned)
        start = next(items, None)
        together = itertools.chain([start], items) if start is not None else items
        yield from _row_batches(together, name) if _is_row(start) else _several(together, name)


def _several(items: Iterable[Any], name: str) -> Iterator[pa.RecordBatch]:
    for index, item in enumerate(items, 1):
        batches = _whole(item, name)
        if batches is None:
            raise SpecError(f"{name} gave {_kind(item)} as number {index:,} of its batches", hint=_HINT)
        yield from batches


def _row_batches(items: Iterable[Any], name: str) -> Iterator[pa.RecordBatch]:
    """Rows that are mappings; all have the keys of the first."""
    columns: list[str] = []
    rows: list[list[Any]] = []
    n_before = 0
    for row, item in enumerate(items, 1):
        if not isinstance(item, Mapping):
            raise SpecError(f"{name}: row {row:,} is {_kind(item)}, not a mapping of column to value")
        columns = columns or [str(key) for key in item]
        if len(item) != len(columns) or any(key not in item for key in columns):
            differing = sorted({str(key) for key in item} ^ set(columns))
            raise SpecError(
                f"{name}: row {row:,} differs from the first in its columns: {', '.join(differing)}",
                hint="give None for what is missing",
            )
        rows.append([item[key] for key in columns])
        if len(rows) == BATCH_ROWS:
            yield _row_batch(columns, rows, n_before + 1, name)
            n_before, rows = row, []
    if rows:
        yield _row_batch(columns, rows, n_before + 1, name)


def _row_batch(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], first: int, name: str
) -> pa.RecordBatch:
    arrays = [
        value_array(column, values, first, name)
        for column, values in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    return pa.record_batch(arrays, names=list(columns))


def _is_row(item: Any) -> bool:
    """Whether a mapping is one row; one of arrays or lists alone is a batch of columns."""
    return isinstance(item, Mapping) and not all(_is_column(value) for value in item.values())


def _is_column(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        or (hasattr(value, "__len__") and hasattr(value, "dtype"))
        or (isinstance(value, (pa.Array, pa.ChunkedArray)))
    )


def _whole(value: Any, name: str) -> Any:
    """An iterable of the batches of one table of whatever library; None for anything else."""
    try:
        if isinstance(value, pa.RecordBatchReader):
            return value
        if isinstance(value, pa.RecordBatch):
            return [value]
        if isinstance(value, Mapping):
            value = pa.table({str(key): _column(column) for key, column in value.items()})
        elif type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "columns"):
            # An index that has a name is data; one that has none is a count of rows.
            named = any(level is not None for level in value.index.names)
            value = pa.Table.from_pandas(value, preserve_index=named)
        elif type(value).__module__.partition(".")[0] == "polars" and hasattr(value, "collect"):
            value = value.collect()
        if not isinstance(value, pa.Table) and hasattr(value, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(value)
        return _table_batches(value) if isinstance(value, pa.Table) else None
    except (ValueError, TypeError, pa.ArrowNotImplementedError) as error:  # Arrow's own are such
        reason = str(error).splitlines()[0][:300]
        raise SpecError(f"{name} returned what makes no table: {reason}", hint=_HINT) from error


def _table_batches(table: pa.Table) -> list[pa.RecordBatch]:
    """At least one batch, so that the columns are known of a table without rows."""
    batches = table.to_batches(max_chunksize=BATCH_ROWS)
    return batches or [pa.RecordBatch.from_pylist([], schema=table.schema)]


def _column(values: Any) -> Any:
    """Arrays of several dimensions are tensors, one a row."""
    if isinstance(values, np.ndarray) and values.ndim > 1:
        return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))
    return values


def _kind(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}".replace("a builtins.", "")
