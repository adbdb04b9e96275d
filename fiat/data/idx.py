"""Find the arrays in idx files, the format of MNIST.

`<prefix>-images-idx3-ubyte.gz` and `<prefix>-labels-idx1-ubyte.gz` of one prefix become the columns `image` and `label`;
any other name is its column's name.

Source: "The IDX file format" on the MNIST page of Y. LeCun: two zero bytes, a type byte, the number of axes, their
lengths as big-endian 32-bit integers, then the values, big-endian, last axis fastest.
"""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePosixPath
from typing import IO

import numpy as np

from fiat.data.arrays import ArrayFile
from fiat.data.stream import SourceFile, file_fault, open_bytes

IDX_NAME = re.compile(r"(?:(?P<prefix>.+?)[-.])?(?P<column>[^-.]+)[-.]idx\d-\w+(?:\.gz)?")
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_COLUMNS = {"images": "image", "labels": "label"}


def idx_arrays(files: Sequence[SourceFile]) -> list[ArrayFile]:
    """The arrays of idx files, images before labels.

    Raises:
        SpecError: a wrong magic number, a cut header, or images without their labels' file of the same prefix.
    """
    arrays = [_array(file) for file in files]
    order = list(_COLUMNS.values())
    return sorted(
        arrays,
        key=lambda array: (array.group, order.index(array.column) if array.column in order else len(order)),
    )


def _array(file: SourceFile) -> ArrayFile:
    path = PurePosixPath(file.name)
    match = IDX_NAME.fullmatch(path.name)
    column = match["column"] if match else path.name.split(".")[0]
    prefix = (match["prefix"] or "") if match else ""
    with open_bytes(file) as stream:
        start = stream.read(4)
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
            shown = start.hex(" ") or "nothing"
            raise file_fault(file.name, f"not an idx file: it starts with {shown}, expected 00 00 08 ..")
        axes = start[3]
        raw = stream.read(4 * axes)
        if not axes or len(raw) < 4 * axes:
            raise file_fault(file.name, "the header of the idx file is cut off", hint="fetch it again")
    shape = struct.unpack(f">{axes}I", raw)
    group = f"{path.parent}/{prefix}"
    dtype = np.dtype(_TYPES[start[2]])
    return ArrayFile(
        group, _COLUMNS.get(column, column), file.name, dtype, shape, _opener(file, 4 + 4 * axes)
    )


def _opener(file: SourceFile, header_bytes: int) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with open_bytes(file) as stream:
            stream.read(header_bytes)
            yield stream

    return opened
