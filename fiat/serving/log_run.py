"""Requests of one form on their way to the log, packed one behind the other: what they have in common is told once."""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np

AnyArray = np.ndarray[Any, np.dtype[Any]]
RUN = 1
"""Kind of the entry that `Run.entry` gives."""
_TEXTS = "OUS"
_ENCODER = msgspec.msgpack.Encoder()
_MANY = b"\xdd\0\0\0\0"
"""Head of an array in msgpack, its length still to be told."""


class _Part(NamedTuple):
    """One input or output of all requests of a run.

    Attributes:
        name: of it.
        is_input: or an output.
        dtype: of its arrays.
        tail: their shape behind the rows.
        read: its bytes, or its texts in a list.
    """

    name: str
    is_input: bool
    dtype: np.dtype[Any]
    tail: tuple[int, ...]
    read: Callable[[AnyArray], bytes | list[Any]]


class Run:
    """Requests of one version that have the same inputs and outputs.

    Nothing of a request is held: objects that live on after their answer slow a server down as much as packing them does.

    Args:
        version: name of the version.
        digest: of its package.
        inputs: of the first request.
        outputs: of it.
        kept: input to the columns of it that are kept, None for all; others are not kept.
        answers: outputs that are kept.

    Attributes:
        version: see there.
        packed: what it has, for the log.
        weigh_at: size of `packed` at which whoever fills it looks how much that is.
        is_alone: its first request lacks what others have, so that there can't be a second one.
    """

    def __init__(
        self,
        version: str,
        digest: str,
        inputs: Mapping[str, AnyArray],
        outputs: Mapping[str, AnyArray],
        kept: Mapping[str, AnyArray | None],
        answers: Iterable[str],
    ) -> None:
        self.version = version
        self._n_inputs, self._n_outputs = len(inputs), len(outputs)
        wanted = [name for name in inputs if name in kept]
        known = [name for name in wanted if _has(inputs[name], kept[name])]
        self.is_alone = len(known) < len(wanted)
        given = [_part(name, inputs[name], kept[name]) for name in known]
        told = [_part(name, outputs[name], None, is_input=False) for name in answers]
        self._parts = given + told
        head = (
            RUN,
            version,
            digest,
            [_form(part, kept) for part in given],
            [_form(part, {}) for part in told],
        )
        # One item more than the head has: the requests, whose number is known in the end.
        self.packed = bytearray(bytes([0x90 + len(head) + 1]) + _ENCODER.encode(head)[1:] + _MANY)
        self._count_at = len(self.packed) - 4
        self._n = 0
        self.weigh_at = 0

    def __len__(self) -> int:
        """How many requests it has."""
        return self._n

    def take(
        self,
        moment_us: int,
        request_id: str,
        latency_us: int,
        inputs: Mapping[str, AnyArray],
        outputs: Mapping[str, AnyArray],
    ) -> bool:
        """Pack one more request; False when it is of another form and needs a run of its own.

        Raises:
            ValueError, TypeError, OverflowError: it can't be written, such as half a character in an id.
        """
        if len(inputs) != self._n_inputs or len(outputs) != self._n_outputs:
            return False
        n_rows = -1
        item: list[object] = [moment_us, request_id, latency_us, 1]
        for name, is_input, dtype, tail, read in self._parts:
            array = inputs.get(name) if is_input else outputs.get(name)
            if array is None or array.dtype is not dtype:
                return False
            shape = array.shape
            if not shape or shape[1:] != tail:
                return False
            if n_rows < 0:
                n_rows = item[3] = shape[0]
            elif shape[0] != n_rows:
                return False
            item.append(read(array))
        self._pack(item)
        return True

    def take_any(
        self,
        moment_us: int,
        request_id: str,
        latency_us: int,
        inputs: Mapping[str, AnyArray],
        outputs: Mapping[str, AnyArray],
    ) -> None:
        """Pack the only request of this run, whatever it has.

        Raises:
            ValueError, TypeError, OverflowError: it can't be written.
        """
        arrays = [inputs[part.name] if part.is_input else outputs[part.name] for part in self._parts]
        n_rows = len(arrays[0]) if arrays and arrays[0].ndim else 1
        data = [part.read(array) for part, array in zip(self._parts, arrays, strict=True)]
        self._pack([moment_us, request_id, latency_us, n_rows, *data])

    def entry(self) -> bytearray:
        """All of it as one item of msgpack; nothing can be added then. `columns_of` knows what is in it."""
        struct.pack_into(">I", self.packed, self._count_at, self._n)
        return self.packed

    def _pack(self, item: Sequence[object]) -> None:
        packed = self.packed
        start = len(packed)
        try:
            _ENCODER.encode_into(item, packed, -1)
        except BaseException:
            del packed[start:]  # half a request would make rubbish of all that come after it
            raise
        self._n += 1


def columns_of(entry: Sequence[Any]) -> tuple[Any, ...]:
    """Requests of an entry, column by column: kind, moments, ids, version, digest, latencies, inputs, answers, rows of each.

    Inputs and answers are (name, NumPy character or `O` for texts, shape of a row, bytes or a list of texts).
    """
    kind, version, digest, inputs, answers, items = entry
    moments, ids, latencies, n_rows, *data = zip(*items, strict=True)
    columns = [
        (name, code, tail, list(chain.from_iterable(parts)) if code == "O" else b"".join(parts))
        for (name, code, tail), parts in zip([*inputs, *answers], data, strict=True)
    ]
    told = columns[: len(inputs)], columns[len(inputs) :]
    return kind, list(moments), list(ids), version, digest, list(latencies), *told, list(n_rows)


def _part(name: str, array: AnyArray, columns: AnyArray | None, *, is_input: bool = True) -> _Part:
    is_text = array.dtype.char in _TEXTS
    whole = _texts if is_text else np.ndarray.tobytes
    read = whole if columns is None else _chosen(columns, whole)
    return _Part(name, is_input, array.dtype, array.shape[1:], read)


def _form(part: _Part, kept: Mapping[str, AnyArray | None]) -> tuple[str, str, tuple[int, ...]]:
    columns = kept.get(part.name)
    tail = part.tail if columns is None else (len(columns), *part.tail[1:])
    return part.name, part.dtype.char if part.dtype.char not in _TEXTS else "O", tail


def _has(array: AnyArray, columns: AnyArray | None) -> bool:
    """Whether it has these columns: where it is narrower, nobody knows which of them may be kept."""
    return columns is None or (array.ndim > 1 and bool(np.all(columns < array.shape[1])))


def _texts(array: AnyArray) -> list[Any]:
    texts: list[Any] = array.ravel().tolist()
    return texts


def _chosen(
    columns: AnyArray, whole: Callable[[AnyArray], bytes | list[Any]]
) -> Callable[[AnyArray], bytes | list[Any]]:
    return lambda array: whole(array[:, columns])
