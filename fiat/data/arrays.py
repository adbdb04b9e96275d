"""Read arrays: `.npy`, `.npz` and idx files, a column an array.

Arrays that belong together have the same number of rows: files of one folder (`X.npy`, `y.npy`: columns `X` and `y`),
the members of one `.npz`, or idx files of one prefix (`train-images-idx3-ubyte.gz` and `train-labels-idx1-ubyte.gz`:
columns `image` and `label`). Several such groups are read one after the other.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import IO

import numpy as np
import pyarrow as pa

from fiat.data.cells import MOST_NAMED, listed
from fiat.data.stream import Piece, Reading, file_fault, reading, rows_per_piece, tensor_array
from fiat.errors import SpecError

LARGEST_ROW_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class ArrayFile:
    """One array in a file.

    Attributes:
        group: arrays of one group are columns of the same rows.
        column: the column's name.
        file: the file's name for people.
        dtype: how the values are stored.
        shape: `(n_rows, ...)`.
        open: gives a stream that stands at the first value.
    """

    group: str
    column: str
    file: str
    dtype: np.dtype
    shape: tuple[int, ...]
    open: Callable[[], AbstractContextManager[IO[bytes]]]

    @property
    def row_bytes(self) -> int:
        """Size of one row in bytes."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


def read_arrays(arrays: Sequence[ArrayFile]) -> Reading:
    """Arrays as columns, group after group.

    Raises:
        SpecError: arrays of one group differ in their number of rows, groups differ in their columns, an array is
            cut off or holds objects.
    """
    if not arrays:
        raise SpecError("there are no arrays to read", hint="look at the source")
    groups: dict[str, list[ArrayFile]] = {}
    for array in arrays:
        _check(array)
        groups.setdefault(array.group, []).append(array)
    schema: pa.Schema | None = None
    for members in groups.values():
        _check_rows(members)
        own = pa.schema([pa.field(member.column, _column(np.empty((0, *member.shape[1:]), member.dtype)).type)
                         for member in members])  # fmt: skip
        if len(set(own.names)) != len(own.names):
            raise file_fault(members[-1].file, "two arrays have one name")
        if schema is None:
            schema = own
        elif sorted(map(str, own)) != sorted(map(str, schema)):
            here, there = ", ".join(map(str, own)), ", ".join(map(str, schema))
            raise file_fault(members[0].file, f"its columns are {here}, but {there} in the files before it")
    if schema is None or not sum(members[0].shape[0] for members in groups.values()):
        raise file_fault(arrays[0].file, "there are no rows")
    columns = schema
    return Reading(columns, lambda: _pieces(list(groups.values()), columns))


def _pieces(groups: Sequence[Sequence[ArrayFile]], schema: pa.Schema) -> Iterator[Piece]:
    for members in groups:
        ordered = sorted(members, key=lambda member: schema.names.index(member.column))
        files = tuple(dict.fromkeys(member.file for member in ordered))
        n_rows = ordered[0].shape[0]
        step = rows_per_piece(max(member.row_bytes for member in ordered))
        with ExitStack() as stack:
            streams = [stack.enter_context(member.open()) for member in ordered]
            for start in range(0, n_rows, step):
                count = min(step, n_rows - start)
                columns = [
                    _whole_column(member, _read(member, stream, start, count), start)
                    for member, stream in zip(ordered, streams, strict=True)
                ]
                yield Piece(pa.record_batch(columns, schema), files, start + 1)
            for member, stream in zip(ordered, streams, strict=True):
                with reading(member.file):
                    extra = stream.read(1)
                if extra:
                    raise file_fault(member.file, f"there are more bytes than its {n_rows} rows have")


def _read(member: ArrayFile, stream: IO[bytes], start: int, count: int) -> np.ndarray:
    wanted = count * member.row_bytes
    # The streams of a group are open side by side: a fault is blamed on its own file here.
    with reading(member.file):
        data = stream.read(wanted)
        while len(data) < wanted:
            more = stream.read(wanted - len(data))
            if not more:
                row = start + len(data) // max(1, member.row_bytes)
                message = f"the file is cut off in row {row + 1} of {member.shape[0]}"
                raise file_fault(member.file, message, hint="fetch it again")
            data += more
    return np.frombuffer(data, member.dtype).reshape(count, *member.shape[1:])


def _whole_column(member: ArrayFile, values: np.ndarray, start: int) -> pa.Array:
    try:
        return _column(values)
    except UnicodeError as error:
        bad = [start + index + 1 for index, value in enumerate(values) if not _is_text(value)]
        rows = listed([str(row) for row in bad[:MOST_NAMED]], len(bad))
        message = f"array {member.column!r} holds what is not UTF-8 text in row{'s' * (len(bad) > 1)} {rows}"
        raise file_fault(member.file, message) from error


def _is_text(value: bytes | str) -> bool:
    try:
        value.decode("utf-8") if isinstance(value, bytes) else value.encode("utf-8")
    except UnicodeError:
        return False
    return True


def _column(values: np.ndarray) -> pa.Array:
    """Native byte order; labels and other single integers become int64, texts become strings."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "S":
        return pa.array(np.char.decode(values, "utf-8").astype(object), pa.string())
    if values.dtype.kind == "U":
        return pa.array(values.astype(object), pa.string())
    if values.ndim == 1:
        return pa.array(values.astype(np.int64) if values.dtype.kind in "iu" else values)
    return tensor_array(values.astype(np.uint8) if values.dtype.kind == "b" else values)


def _check(array: ArrayFile) -> None:
    if not array.shape:
        raise file_fault(array.file, f"array {array.column!r} is a single value, expected rows")
    if array.dtype.kind not in "biufSU" or (array.dtype.kind in "SU" and len(array.shape) > 1):
        raise file_fault(
            array.file,
            f"array {array.column!r} holds {array.dtype}, expected numbers, bools or one text a row",
            hint="save it with a plain dtype such as float32",
        )
    if 0 in array.shape[1:]:
        raise file_fault(array.file, f"array {array.column!r} has shape {array.shape}: its rows are empty")
    if array.row_bytes > LARGEST_ROW_BYTES:
        message = f"array {array.column!r} has shape {array.shape}: a row has more than {LARGEST_ROW_BYTES >> 20} MiB"
        raise file_fault(array.file, message, hint="is the header damaged?")


def _check_rows(members: Sequence[ArrayFile]) -> None:
    first = members[0]
    for member in members[1:]:
        if member.shape[0] != first.shape[0]:
            counts = f"{member.shape[0]} rows, but {first.column!r} of {first.file} has {first.shape[0]}"
            raise file_fault(member.file, f"array {member.column!r} has {counts}")
