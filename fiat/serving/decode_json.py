"""A tensor's data from JSON: flat or nested lists to an array, checked against what the graph takes."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from fiat.serving.refusal import BadRequest, shown
from fiat.serving.requests import AnyArray
from fiat.serving.tensors import BYTES, ServedTensor, element_count

SMALL_BYTES = 1 << 16
MOST_ELEMENTS = 1 << 31
_BLANK = b" \t\r\n"


def fit_shape(tensor: ServedTensor, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that the graph is given for the one that a client says: `(n)` becomes `(n, 1)` where it takes that.

    Raises:
        BadRequest: it is not one that the graph takes.
    """
    sizes, wanted = tuple(shape), tensor.shape
    if len(sizes) + 1 == len(wanted) and wanted[-1] == 1 and len(sizes) == 1:
        sizes = (*sizes, 1)
    if len(sizes) != len(wanted) or any(
        size < 0 or expected not in (-1, size) for size, expected in zip(sizes, wanted, strict=True)
    ):
        raise BadRequest(
            f"input {shown(tensor.name)} has the shape {shown(list(shape))}, expected {list(wanted)}"
        )
    if element_count([size for size in sizes if size]) > MOST_ELEMENTS:
        raise BadRequest(f"input {shown(tensor.name)} has the shape {shown(list(shape))}, which is too large")
    return sizes


class JsonData:
    """Reads JSON data of one tensor; made once a model.

    `null` is NaN in floating-point tensors and the empty text in BYTES: what the graph takes for a missing value.
    """

    def __init__(self, tensor: ServedTensor) -> None:
        self._tensor = tensor
        kind = tensor.dtype.kind
        item: Any = {"f": float | None, "b": bool, "O": str | None}.get(kind, int)
        self._kinds: list[Any] = []
        for _ in range(max(1, len(tensor.shape))):
            item = list.__class_getitem__(item)
            self._kinds.append(item)
        self._decoders = [msgspec.json.Decoder(kind) for kind in self._kinds]

    def read(self, raw: bytes, shape: Sequence[int]) -> AnyArray:
        """The array `fit_shape(shape)`.

        Args:
            raw: text of a JSON value.
            shape: as the client said it.

        Raises:
            BadRequest: it doesn't fit the shape or the datatype.
        """
        sizes = fit_shape(self._tensor, shape)
        count = element_count(shape)
        self._check_size(raw, count)
        nested = count > 0 and raw[1 : 1 + SMALL_BYTES].lstrip(_BLANK)[:1] == b"["
        depth = self._depth(shape, nested=nested)
        try:
            values = self._decoders[depth - 1].decode(raw) if count else []
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self._refused(f"can't be read: {error}") from error
        return self._array(self._flat(values, shape, depth)).reshape(sizes)

    def convert(self, value: object, shape: Sequence[int]) -> AnyArray:
        """The array `fit_shape(shape)` of JSON that was read already.

        Raises:
            BadRequest: it doesn't fit the shape or the datatype.
        """
        sizes = fit_shape(self._tensor, shape)
        nested = isinstance(value, list) and bool(value) and isinstance(value[0], list)
        depth = self._depth(shape, nested=nested)
        try:
            values = msgspec.convert(value, self._kinds[depth - 1])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self._refused(f"can't be read: {error}") from error
        return self._array(self._flat(values, shape, depth)).reshape(sizes)

    def _check_size(self, raw: bytes, count: int) -> None:
        """Refuse what can't fit before memory is spent on it: every number but the last has a comma behind it."""
        if count == 0:
            if raw.translate(None, _BLANK + b"[],") or raw[:1] != b"[":
                raise self._refused("has values, but its shape has none")
        elif self._tensor.datatype != BYTES:
            found = raw.count(b",") + 1
            if found != count and len(raw) > SMALL_BYTES:
                raise self._refused(f"has {found} values, but its shape needs {count}")
        elif len(raw) < 3 * count:
            raise self._refused(f"has fewer values than the {count} that its shape needs")

    def _depth(self, shape: Sequence[int], *, nested: bool) -> int:
        if nested and len(shape) < 2:
            raise self._refused(f"is nested deeper than its shape {shown(list(shape))}")
        return len(shape) if nested else 1

    def _flat(self, values: list[Any], shape: Sequence[int], depth: int) -> list[Any]:
        if depth > 1 and len(values) != shape[0]:
            raise self._refused(
                f"has {len(values)} rows, but its shape {shown(list(shape))} needs {shape[0]}"
            )
        for size in shape[1:depth]:
            if any(len(item) != size for item in values):
                raise self._refused(f"is nested otherwise than its shape {shown(list(shape))}")
            values = list(chain.from_iterable(values))
        count = element_count(shape)
        if len(values) != count:
            raise self._refused(f"has {len(values)} values, but its shape {shown(list(shape))} needs {count}")
        return values

    def _array(self, values: list[Any]) -> AnyArray:
        dtype = self._tensor.dtype
        if dtype.kind == "O":
            texts = np.empty(len(values), object)
            texts[:] = ["" if item is None else item for item in values] if None in values else values
            return texts
        if dtype.kind in "iu" and values:
            limits = np.iinfo(dtype)
            for value in (min(values), max(values)):
                if not limits.min <= value <= limits.max:
                    raise self._refused(f"has the value {shown(value)}, which is out of range")
        if dtype.kind != "f":
            return np.array(values, dtype)
        wide = np.array(values, np.float64)
        with np.errstate(over="ignore"):
            floats = wide.astype(dtype)
        infinite = np.isinf(floats)
        if infinite.any():
            raise self._refused(f"has the value {wide[infinite][0]}, which is out of range")
        return floats

    def _refused(self, words: str) -> BadRequest:
        return BadRequest(f"input {shown(self._tensor.name)} ({self._tensor}) {words}")
