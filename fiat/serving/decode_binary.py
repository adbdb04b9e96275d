"""A tensor's data from bytes: little-endian, row-major, texts with their length before them.

Source: https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

import struct
from collections.abc import Sequence

import numpy as np

from fiat.serving.decode_json import fit_shape
from fiat.serving.refusal import BadRequest, shown
from fiat.serving.requests import AnyArray
from fiat.serving.tensors import BYTES, ServedTensor, element_count

_LENGTH = struct.Struct("<I")


def read_binary(tensor: ServedTensor, data: bytes, shape: Sequence[int]) -> AnyArray:
    """The array of a tensor that was sent as bytes.

    Args:
        tensor: what the graph takes.
        data: its bytes and no others; a slice of its own, so that numbers in it are aligned.
        shape: as the client said it.

    Raises:
        BadRequest: the bytes don't fit the shape, or are no texts.
    """
    sizes = fit_shape(tensor, shape)
    count = element_count(sizes)
    if tensor.datatype == BYTES:
        texts = np.empty(count if 4 * count <= len(data) else 0, object)
        if len(texts) != count:
            raise _size_refused(tensor, data, shape, f"at least {4 * count}")
        texts[:] = _texts(tensor, data, count)
        return texts.reshape(sizes)
    expected = count * tensor.dtype.itemsize
    if len(data) != expected:
        raise _size_refused(tensor, data, shape, str(expected))
    if tensor.datatype == "BOOL":
        return np.frombuffer(data, np.uint8).astype(np.bool_).reshape(sizes)
    return np.frombuffer(data, tensor.dtype.newbyteorder("<")).reshape(sizes)


def read_raw(tensor: ServedTensor, data: bytes) -> AnyArray:
    """The array of the only input when the body is nothing but its bytes; a text is the whole body.

    The sizes of all axes but one must be known: that one follows from the number of bytes. Rows do when all others are
    fixed; else there is one row.

    Raises:
        BadRequest: the shape can't be known, or the bytes don't fit it.
    """
    if tensor.datatype == BYTES:
        if any(size not in (-1, 1) for size in tensor.shape):
            raise BadRequest(f"input {shown(tensor.name)} ({tensor}) is not one text: send its shape in JSON")
        texts = np.empty((1,) * len(tensor.shape), object)
        texts.reshape(-1)[0] = _text(tensor, data)
        return texts
    shape = list(tensor.shape)
    free = [axis for axis, size in enumerate(shape) if size == -1]
    if len(free) > 1 and free[0] == 0:
        shape[0] = 1
        free = free[1:]
    if len(free) > 1:
        raise BadRequest(
            f"input {shown(tensor.name)} ({tensor}) has more than one free size: send its shape in JSON"
        )
    if free:
        shape[free[0]] = 1
        size_bytes = element_count(shape) * tensor.dtype.itemsize
        if size_bytes == 0 or len(data) % size_bytes:
            raise BadRequest(
                f"input {shown(tensor.name)} ({tensor}) has {len(data)} bytes, expected a multiple of {size_bytes}"
            )
        shape[free[0]] = len(data) // size_bytes
    return read_binary(tensor, data, shape)


def _texts(tensor: ServedTensor, data: bytes, count: int) -> list[str]:
    texts, place, end = [], 0, len(data)
    for _ in range(count):
        start = place + 4
        if start > end:
            break
        place = start + _LENGTH.unpack_from(data, place)[0]
        if place > end:
            break
        texts.append(_text(tensor, data[start:place]))
    if len(texts) != count or place != end:
        raise BadRequest(
            f"input {shown(tensor.name)} ({tensor}) has {len(data)} bytes, which are not {count} texts with their"
            " lengths before them"
        )
    return texts


def _text(tensor: ServedTensor, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"input {shown(tensor.name)} ({tensor}) holds a text that is no UTF-8: {error.reason}"
        ) from error


def _size_refused(tensor: ServedTensor, data: bytes, shape: Sequence[int], expected: str) -> BadRequest:
    return BadRequest(
        f"input {shown(tensor.name)} ({tensor}) has {len(data)} bytes, but its shape {shown(list(shape))} needs"
        f" {expected}"
    )
