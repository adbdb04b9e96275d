"""Requests of one form on their way to the log: their columns side by side, so that one more costs next to nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from fiat.serving.log_pipe import BLOCK_BYTES

AnyArray = np.ndarray[Any, np.dtype[Any]]
RUN = 1
"""Kind of the entry that `Run.entry` gives."""
_TEXTS = "OUS"
_USUAL_BYTES = 48


class _Part(NamedTuple):
    """One input or output of all requests of a run.

    Attributes:
        name: of it.
        is_input: or an output.
        dtype: of its arrays.
        tail: their shape behind the rows.
        columns: that are kept of a matrix; None keeps all.
        is_text: whether it has texts.
        data: bytes of each request, or the texts of all.
    """

    name: str
    is_input: bool
    dtype: np.dtype[Any]
    tail: tuple[int, ...]
    columns: AnyArray | None
    is_text: bool
    data: list[Any]


class Run:
    """Requests of one version that have the same inputs and outputs.

    Args:
        version: name of the version.
        digest: of its package.
        inputs: of the first request.
        outputs: of it.
        kept: input to the columns of it that are kept, None for all; others are not kept.
        answers: outputs that are kept.

    Attributes:
        size_bytes: about what it has.
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
        self._version, self._digest = version, digest
        self._n_inputs, self._n_outputs = len(inputs), len(outputs)
        wanted = [name for name in inputs if name in kept]
        known = [name for name in wanted if _has(inputs[name], kept[name])]
        # Others that come have what this one lacks.
        self._is_alone = len(known) < len(wanted)
        self._parts = [_part(name, inputs[name], kept[name]) for name in known]
        self._parts += [_part(name, outputs[name], None, is_input=False) for name in answers]
        self._row_bytes = sum(part.dtype.itemsize * math.prod(part.tail) for part in self._parts)
        self._moments: list[int] = []
        self._ids: list[str] = []
        self._latencies: list[int] = []
        self._n_rows: list[int] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        """How many requests it has."""
        return len(self._ids)

    def take_many(
        self,
        moments_us: Sequence[int],
        ids: Sequence[str],
        latencies_us: Sequence[int],
        inputs: Sequence[Mapping[str, AnyArray]],
        outputs: Sequence[Mapping[str, AnyArray]],
    ) -> bool:
        """Take many requests at once, in a fifth of the time of `take`; False, and none is taken, when one is unlike."""
        if self._is_alone or not (
            _are_alike(inputs, self._n_inputs) and _are_alike(outputs, self._n_outputs)
        ):
            return False
        if not "".join(ids).isascii():
            return False
        n_rows: list[int] | None = None
        found: list[bytes | list[str]] = []
        for part in self._parts:
            joined = _joined(part, inputs if part.is_input else outputs)
            if joined is None or (n_rows is not None and joined[1] != n_rows):
                return False
            found.append(joined[0])
            n_rows = joined[1]
        self._put(found)
        self._note(moments_us, ids, latencies_us, n_rows if n_rows is not None else [1] * len(ids))
        return True

    def take(
        self,
        moment_us: int,
        request_id: str,
        latency_us: int,
        inputs: Mapping[str, AnyArray],
        outputs: Mapping[str, AnyArray],
    ) -> bool:
        """Take one more request; False when it is of another form, or its texts are unusual: it needs a run of its own."""
        if self._is_alone or not request_id.isascii():
            return False
        if len(inputs) != self._n_inputs or len(outputs) != self._n_outputs:
            return False
        n_rows, found = -1, []
        for name, is_input, dtype, tail, columns, is_text, _ in self._parts:
            array = inputs.get(name) if is_input else outputs.get(name)
            if array is None or array.dtype is not dtype:
                return False
            shape = array.shape
            if not shape or shape[1:] != tail or (shape[0] != n_rows and n_rows >= 0):
                return False
            n_rows = shape[0]
            if columns is not None:
                array = array[:, columns]
            data = _texts(array) if is_text else array.tobytes()
            if data is None:
                return False
            found.append(data)
        self._put(found)
        self._note((moment_us,), (request_id,), (latency_us,), (n_rows if n_rows >= 0 else 1,))
        return True

    def take_any(
        self,
        moment_us: int,
        request_id: str,
        latency_us: int,
        inputs: Mapping[str, AnyArray],
        outputs: Mapping[str, AnyArray],
    ) -> None:
        """Take the only request of this run, whatever it has."""
        n_rows = -1
        for part in self._parts:
            array = inputs[part.name] if part.is_input else outputs[part.name]
            if n_rows < 0:
                n_rows = len(array) if array.ndim else 1
            kept = array if part.columns is None else array[:, part.columns]
            part.data[:] = kept.ravel().tolist() if part.is_text else [kept.tobytes()]
        self._note((moment_us,), (request_id,), (latency_us,), (n_rows if n_rows >= 0 else 1,))

    def entry(self) -> tuple[object, ...]:
        """All of it, for msgpack: kind, moments, ids, version, digest, latencies, inputs, answers, rows of each request.

        Inputs and answers are (name, NumPy character or `O` for texts, shape of a row, bytes or a list of texts).
        """
        inputs = [_told(part) for part in self._parts if part.is_input]
        answers = [_told(part) for part in self._parts if not part.is_input]
        notes = self._moments, self._ids, self._version, self._digest, self._latencies
        return (RUN, *notes, inputs, answers, self._n_rows)

    def _put(self, found: Iterable[Any]) -> None:
        for part, data in zip(self._parts, found, strict=True):
            if part.is_text:
                part.data.extend(data)
                self.size_bytes += sum(map(len, data))
            else:
                part.data.append(data)

    def _note(
        self,
        moments_us: Sequence[int],
        ids: Sequence[str],
        latencies_us: Sequence[int],
        n_rows: Sequence[int],
    ) -> None:
        self._moments += moments_us
        self._ids += ids
        self._latencies += latencies_us
        self._n_rows += n_rows
        self.size_bytes += _USUAL_BYTES * len(ids) + self._row_bytes * sum(n_rows)


def held_bytes(inputs: Mapping[str, AnyArray], outputs: Mapping[str, AnyArray]) -> int:
    """About what the arrays of a request hold; a block for each that has texts, since nobody knows their length."""
    size = sum([array.nbytes for array in outputs.values()])
    for array in inputs.values():
        size += array.nbytes if array.dtype.char != "O" else BLOCK_BYTES
    return size


def _part(name: str, array: AnyArray, columns: AnyArray | None, *, is_input: bool = True) -> _Part:
    return _Part(name, is_input, array.dtype, array.shape[1:], columns, array.dtype.char in _TEXTS, [])


def _has(array: AnyArray, columns: AnyArray | None) -> bool:
    """Whether it has these columns: where it is narrower, nobody knows which of them may be kept."""
    return columns is None or (array.ndim > 1 and bool(np.all(columns < array.shape[1])))


def _are_alike(given: Sequence[Mapping[str, AnyArray]], wanted: int) -> bool:
    return list(map(len, given)).count(wanted) == len(given)


def _joined(
    part: _Part, given: Iterable[Mapping[str, AnyArray]]
) -> tuple[bytes | list[str], list[int]] | None:
    """Data of many requests and the rows of each; None when one is of another form."""
    try:
        arrays = list(map(itemgetter(part.name), given))
        # It refuses other dtypes, other shapes behind the rows, and arrays without rows.
        whole = np.concatenate(arrays, dtype=part.dtype, casting="no")
    except (KeyError, TypeError, ValueError):
        return None
    if whole.shape[1:] != part.tail:
        return None
    if part.columns is not None:
        whole = whole[:, part.columns]
    data = _texts(whole) if part.is_text else whole.tobytes()
    return None if data is None else (data, list(map(len, arrays)))


def _texts(array: AnyArray) -> list[str] | None:
    """Texts of a request; None for those that might not be written, which must not take others with them."""
    texts: list[str] = array.ravel().tolist()
    try:
        return texts if "".join(texts).isascii() else None
    except TypeError:
        return None


def _told(part: _Part) -> tuple[object, ...]:
    tail = part.tail if part.columns is None else (len(part.columns), *part.tail[1:])
    if part.is_text:
        return part.name, "O", tail, part.data
    return part.name, part.dtype.char, tail, b"".join(part.data)
