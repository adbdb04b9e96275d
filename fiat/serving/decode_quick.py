"""The common request in a third of the time: JSON that is right in everything, read with types made for one model.

It knows no reasons: whatever is unusual or wrong it leaves to `decode.py`, which reads the body again and finds the words.
"""

import math
import struct
from collections.abc import Callable
from functools import reduce
from itertools import chain
from operator import or_
from typing import Any

import msgspec
import numpy as np

from fiat.serving.requests import AnyArray
from fiat.serving.tensors import BYTES, ModelInfo, ServedTensor

QUICK_BYTES = 1 << 16
"""A longer body is first looked at, so that no memory is spent on data that can't fit."""
_CODES = dict(
    zip(
        ["FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"],
        "efdbhiqBHIQ",
        strict=True,
    )
)
_TABLES = ("raw", "columns")


class OutputText(msgspec.Struct, gc=False):
    """An output as a client asks for it."""

    name: str
    parameters: dict[str, Any] | None = None


class QuickMessage(msgspec.Struct, gc=False):
    """A request as a client writes it, its data read already."""

    inputs: list[Any]
    id: str | None = None
    outputs: list[OutputText] | None = None
    parameters: dict[str, Any] | None = None


class QuickReader:
    """Reads requests for one model; made once a version."""

    def __init__(self, info: ModelInfo) -> None:
        self._plans = {tensor.name: (tensor, _packer(tensor)) for tensor in info.inputs}
        self._flat = self._nested = None
        if info.inputs and all(tensor.shape and tensor.datatype != "BOOL" for tensor in info.inputs):
            item = _item_type(info)
            self._flat = _decoder(item)
            if all(len(tensor.shape) == 2 for tensor in info.inputs):
                self._nested = _decoder(list.__class_getitem__(item))

    def read(self, body: bytes) -> tuple[QuickMessage, dict[str, AnyArray], int] | None:
        """Message, arrays and rows of a request; None where that needs more care."""
        # Two brackets are nested data, for shapes are flat; within a text they only cost a second look.
        nested = b"[[" in body
        decoder = self._nested if nested else self._flat
        if decoder is None or len(body) > QUICK_BYTES:
            return None
        try:
            message = decoder.decode(body)
            arrays = {item.name: self._array(item, nested=nested) for item in message.inputs}
            if len(arrays) != len(self._plans) or len(message.inputs) != len(arrays):
                return None
            rows = len(next(iter(arrays.values())))
            if len(arrays) > 1 and any(len(array) != rows for array in arrays.values()):
                return None
        except (ValueError, KeyError, RecursionError, OverflowError, struct.error):
            return None
        return message, arrays, rows

    def _array(self, item: Any, *, nested: bool) -> AnyArray:
        """The array of an input.

        Raises:
            ValueError: it is not quite right.
        """
        tensor, pack = self._plans[item.name]
        shape, data, wanted = item.shape, item.data, tensor.shape
        if len(shape) == 1 and len(wanted) == 2 and wanted[1] == 1 and not nested:
            shape = [shape[0], 1]
        if item.datatype != tensor.datatype or item.parameters or len(shape) != len(wanted):
            raise ValueError
        count = 1
        for size, expected in zip(shape, wanted, strict=True):
            if size != expected and (expected != -1 or size < 0):
                raise ValueError
            count *= size
        if nested:
            if len(data) != shape[0] or any(len(row) != shape[1] for row in data):
                raise ValueError
            data = data[0] if len(data) == 1 else list(chain.from_iterable(data))
        if len(data) != count:
            raise ValueError
        return pack(count, data).reshape(shape)


def _packer(tensor: ServedTensor) -> Callable[[int, list[Any]], AnyArray]:
    if tensor.datatype == BYTES:
        return _pack_texts
    code, dtype = _CODES.get(tensor.datatype, ""), tensor.dtype
    is_float = dtype.kind == "f"

    def pack(count: int, data: list[Any]) -> AnyArray:
        if is_float and None in data:
            data = [math.nan if value is None else value for value in data]
        # The standard library checks ranges as it packs, and is quicker than NumPy with a list.
        return np.frombuffer(struct.pack(f"<{count}{code}", *data), dtype)

    return pack


def _pack_texts(count: int, data: list[Any]) -> AnyArray:
    texts = np.empty(count, object)
    for place, text in enumerate(data):
        if type(text) is not str and text is not None:
            raise ValueError
        texts[place] = text or ""
    return texts


def _item_type(info: ModelInfo) -> Any:
    """What a value may be. Missing ones are common in tables only, and looking for them takes time."""
    kinds: set[Any] = {{"f": float, "O": str}.get(tensor.dtype.kind, int) for tensor in info.inputs}
    if info.layout in _TABLES:
        kinds.add(type(None))
    return reduce(or_, sorted(kinds, key=str))


def _decoder(data: Any) -> Any:
    fields: list[Any] = [
        ("name", str),
        ("shape", list[int]),
        ("datatype", str),
        ("data", list.__class_getitem__(data)),
        ("parameters", dict[str, Any] | None, None),
    ]
    item = msgspec.defstruct("QuickInput", fields, gc=False)
    inputs: list[Any] = [("inputs", list.__class_getitem__(item))]
    rest: list[Any] = [
        ("id", str | None, None),
        ("outputs", list[OutputText] | None, None),
        ("parameters", dict[str, Any] | None, None),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("QuickMessage", inputs + rest, gc=False))
