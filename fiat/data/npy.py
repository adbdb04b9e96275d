"""Find the arrays in `.npy` and `.npz` files without reading them, and without ever unpickling.

Source: the format is described in NumPy's `numpy.lib.format` (versions 1.0 to 3.0).
"""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np

from fiat.data.arrays import ArrayFile
from fiat.data.stream import SourceFile, file_fault, open_bytes
from fiat.errors import SpecError


def npy_arrays(files: Sequence[SourceFile]) -> list[ArrayFile]:
    """The arrays of `.npy` files (columns by file name) and `.npz` files (columns by member name).

    Raises:
        SpecError: a file that is not of this format, or an array in Fortran order.
    """
    arrays = []
    for file in files:
        if file.name.lower().endswith(".npz"):
            arrays += [_member(file, name) for name in _members(file)]
        else:
            path = PurePosixPath(file.name)
            with open_bytes(file) as stream:
                shape, dtype, offset = _header(stream, file.name)
            arrays.append(ArrayFile(str(path.parent), path.stem, file.name, dtype, shape, _opener(file, offset)))
    return arrays


def _members(file: SourceFile) -> list[str]:
    try:
        with zipfile.ZipFile(file.path) as packed:
            return [name for name in packed.namelist() if name.endswith(".npy")]
    except FileNotFoundError as error:
        raise file_fault(file.name, "there is no such file") from error
    except (zipfile.BadZipFile, OSError) as error:
        raise file_fault(file.name, f"not a sound .npz file: {error}") from error


def _member(file: SourceFile, name: str) -> ArrayFile:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        try:
            with zipfile.ZipFile(file.path) as packed, packed.open(name) as stream:
                stream.read(offset)
                yield stream  # type: ignore[misc]  # ZipExtFile reads bytes; typeshed does not call it BinaryIO
        except (zipfile.BadZipFile, EOFError) as error:
            raise file_fault(file.name, f"member {name!r} is damaged: {error}") from error

    try:
        with zipfile.ZipFile(file.path) as packed, packed.open(name) as stream:
            shape, dtype, offset = _header(stream, f"{file.name}:{name}")  # type: ignore[arg-type]  # as above
    except zipfile.BadZipFile as error:
        raise file_fault(file.name, f"member {name!r} is damaged: {error}") from error
    return ArrayFile(file.name, name.removesuffix(".npy"), file.name, dtype, shape, opened)


def _opener(file: SourceFile, offset: int):  # type: ignore[no-untyped-def]  # replaced below
    raise NotImplementedError


def _header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype, int]:
    raise SpecError(name)
