"""Find the arrays in `.npy` and `.npz` files without reading them, and without ever unpickling.

Source: `numpy.lib.format` in NumPy's reference describes the format, versions 1.0 to 3.0.
"""

import ast
import errno
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

import numpy as np

from fiat.data.arrays import ArrayFile
from fiat.data.stream import SourceFile, file_fault, open_bytes, reading
from fiat.errors import EnvironmentFault

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 64 * 1024


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype
    size_bytes: int


def npy_arrays(files: Sequence[SourceFile]) -> list[ArrayFile]:
    """The arrays of `.npy` files (columns by file name) and `.npz` files (columns by member name).

    Raises:
        SpecError: a file that is not of this format, holds something else, or an array in Fortran order.
    """
    arrays = []
    for file in files:
        if file.name.lower().endswith(".npz"):
            with _unpacking(file), zipfile.ZipFile(file.path) as packed:
                members = packed.namelist()
            others = [name for name in members if not name.endswith(".npy")]
            if others or not members:
                found = f"{others[0]!r}, which is no array" if others else "no array"
                raise file_fault(file.name, f"it holds {found}", hint="write it with np.savez(...)")
            arrays += [_array(file, member) for member in members]
        else:
            arrays.append(_array(file, ""))
    return arrays


def _array(file: SourceFile, member: str) -> ArrayFile:
    with _values(file, member, 0) as stream:
        header = _read_header(stream, file.name, member or "the array")

    def opened() -> AbstractContextManager[IO[bytes]]:
        return _values(file, member, header.size_bytes)

    path = PurePosixPath(file.name)
    group = file.name if member else str(path.parent)
    column = member.removesuffix(".npy") if member else path.name.removesuffix(".gz").removesuffix(".npy")
    return ArrayFile(group, column, file.name, header.dtype, header.shape, opened)


@contextmanager
def _values(file: SourceFile, member: str, skip_bytes: int) -> Iterator[IO[bytes]]:
    if member:
        with _unpacking(file), zipfile.ZipFile(file.path) as packed, packed.open(member) as stream:
            stream.read(skip_bytes)
            yield stream
    else:
        with open_bytes(file) as stream:
            stream.read(skip_bytes)
            yield stream


@contextmanager
def _unpacking(file: SourceFile) -> Iterator[None]:
    """Faults of a zip file as ours: what its directory says leads anywhere once it is damaged."""
    try:
        with reading(file.name):
            yield
    except (RuntimeError, ValueError, EnvironmentFault) as error:
        cause = error.__cause__ if isinstance(error, EnvironmentFault) else None
        if isinstance(cause, OSError) and cause.errno != errno.EINVAL:
            raise
        raise file_fault(file.name, f"a damaged file: {cause or error}", hint="fetch it again") from error


def _read_header(stream: IO[bytes], name: str, what: str) -> _Header:
    start = stream.read(8)
    if len(start) < 8 or not start.startswith(_MAGIC) or start[6] not in (1, 2, 3):
        raise file_fault(name, f"{what} is not of the .npy format")
    width, layout = (2, "<H") if start[6] == 1 else (4, "<I")
    raw = stream.read(width)
    (length,) = struct.unpack(layout, raw) if len(raw) == width else (0,)
    text = stream.read(length) if 0 < length <= _LONGEST_HEADER else b""
    try:
        fields = ast.literal_eval(text.decode("utf-8" if start[6] == 3 else "latin-1"))
        shape, dtype = tuple(int(size) for size in fields["shape"]), np.dtype(fields["descr"])
        fortran = bool(fields["fortran_order"]) and len(shape) > 1
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise file_fault(name, f"the header of {what} can't be read", hint="fetch it again") from error
    if min(shape, default=1) < 0:
        raise file_fault(name, f"{what} has the impossible shape {shape}")
    if dtype.hasobject:
        raise file_fault(name, f"{what} holds Python objects, which are never unpickled", hint="save numbers")
    if fortran:
        raise file_fault(name, f"{what} is in Fortran order", hint="save it with np.ascontiguousarray(...)")
    return _Header(shape, dtype, 8 + width + length)
