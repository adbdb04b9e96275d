"""What a server keeps of requests and answers until the log writer has it: microseconds a request, bounded, never waiting.

Runs in the server's event loop and in no other thread. Requests are packed at once, so that no array of the server is held;
every 64 KiB, and whenever `flush` is called, what is packed goes to the writer's pipe. What is packed but not in the pipe is
lost when the server crashes: up to half a second where the server calls `flush` twice a second.

A server makes a `LogPipe`, and over it a `PredictionLog` and a `LabelLog`; it calls `learn` for each version that it loads,
`offer` for each answered request and for `POST /fiat/labels`, and `LogPipe.flush` on its tick of half a second.
"""

import hashlib
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from fiat.serving.log_pipe import LogPipe
from fiat.serving.release import LogPlan

MODEL, PREDICTION, LABEL = 0, 1, 2
"""Kinds of entries: the first item of each. Every entry is msgpack behind its length, 4 bytes little-endian."""
ANSWERS = ("label", "probabilities")
"""Outputs that are kept where a model has them: its class and the shares that scores come from."""
_PERSON = b"fiat.log"
_ALL = 1 << 64

Packed = tuple[str, str, tuple[int, ...], object]
"""Name, NumPy character (`O` for texts), shape, and bytes (or a flat list of texts)."""


@dataclass(frozen=True)
class _Known:
    """What is kept of a version's requests.

    Attributes:
        kept: input to the columns of it that are kept, None for all of it; inputs that are not there are never kept.
    """

    kept: Mapping[str, np.ndarray | None]


@dataclass(frozen=True)
class Label:
    """A label that came later.

    Attributes:
        request_id: of the request that it belongs to.
        label: class or number.
        row: row in the request.
    """

    request_id: str
    label: str | float | bool
    row: int = 0


class _Packer:
    """Packs entries and hands them on."""

    def __init__(self, pipe: LogPipe) -> None:
        self._pipe = pipe
        self._encoder = msgspec.msgpack.Encoder()

    def put(self, entry: object, n_items: int) -> bool:
        """Pack one entry; False when there is no room and it is dropped."""
        if self._pipe.is_full:
            self._pipe.dropped += n_items
            return False
        buffer = self._pipe.waiting
        start = len(buffer)
        buffer += b"\0\0\0\0"
        try:
            self._encoder.encode_into(entry, buffer, -1)
        except BaseException:
            del buffer[start:]  # half an entry would make rubbish of all that come after it
            raise
        struct.pack_into("<I", buffer, start, len(buffer) - start - 4)
        self._pipe.count(n_items)
        return True


class PredictionLog:
    """Writes down requests and their answers.

    Args:
        pipe: to the writer.
        plan: what is kept.
        clock: seconds since 1970.
    """

    def __init__(self, pipe: LogPipe, plan: LogPlan, *, clock: Callable[[], float] = time.time) -> None:
        self._pipe, self._plan, self._clock = pipe, plan, clock
        self._packer = _Packer(pipe)
        self._hidden = frozenset(plan.redact)
        self._most = round(plan.sample_ratio * _ALL)
        self._known: dict[str, _Known] = {}

    @property
    def dropped(self) -> int:
        """Predictions and labels that were not written down because the buffer was full or the writer died."""
        return self._pipe.dropped

    def learn(self, digest: str, *, inputs: Sequence[str], features: Sequence[str], layout: str) -> None:
        """Make a version known, before its first request is offered.

        Args:
            digest: of its package.
            inputs: names of the model's inputs in order.
            features: data columns in order, as its signature has them.
            layout: `matrix`, `tensor` or `columns`, as its signature has it.
        """
        names: dict[str, list[str]] = {}
        kept: dict[str, np.ndarray | None] = {}
        if layout == "matrix" and len(inputs) == 1:
            chosen = [place for place, name in enumerate(features) if name not in self._hidden]
            names[inputs[0]] = [features[place] for place in chosen]
            kept[inputs[0]] = None if len(chosen) == len(features) else np.array(chosen, np.intp)
        else:
            paired = features if len(features) == len(inputs) else inputs
            for given, name in zip(inputs, paired, strict=True):
                if not {given, name} & self._hidden:
                    names[given], kept[given] = [name], None
        self._known[digest] = _Known(kept)
        self._pipe.announce(digest, _frame([MODEL, digest, names, layout]))

    def offer(
        self,
        request_id: str,
        version: str,
        digest: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Mapping[str, np.ndarray],
        latency_us: int,
    ) -> bool:
        """Write one answered request down: once a request, in the event loop. Takes about 2 microseconds.

        Nothing is held of the arrays. Requests of versions that were not learned are kept without their inputs.

        Args:
            request_id: what labels will name.
            version: name of the version that answered.
            digest: of its package.
            inputs: input to its array `(n_rows, ...)`, as the client sent them; texts are objects.
            outputs: output to its array `(n_rows, ...)`: those in ANSWERS, or all when there is none of them.
            latency_us: microseconds from the first byte to the answer.

        Returns:
            False when it was dropped for lack of room; True when it is kept, or not of the sample.
        """
        if self._most < _ALL and not self.is_sampled(request_id):
            return True
        known = self._known.get(digest)
        packed_inputs = [] if known is None else _pack_inputs(inputs, known.kept)
        named = [(name, outputs[name]) for name in ANSWERS if name in outputs] or list(outputs.items())
        answers = [_pack(name, array) for name, array in named if name not in self._hidden]
        moment = int(self._clock() * 1e6)
        entry = (PREDICTION, moment, request_id, version, digest, latency_us, packed_inputs, answers)
        return self._packer.put(entry, 1)

    def is_sampled(self, request_id: str) -> bool:
        """Whether requests of this id are kept: the same in every worker and after every restart."""
        digest = hashlib.blake2b(request_id.encode("utf-8", "surrogatepass"), digest_size=8, person=_PERSON)
        return int.from_bytes(digest.digest(), "little") < self._most


class LabelLog:
    """Writes down labels that come later, through the same pipe.

    Args:
        pipe: to the writer.
        clock: seconds since 1970.
    """

    def __init__(self, pipe: LogPipe, *, clock: Callable[[], float] = time.time) -> None:
        self._packer, self._clock = _Packer(pipe), clock

    def offer(self, labels: Iterable[Label]) -> bool:
        """Write labels down, all or none.

        Returns:
            False when there was no room: none of them is kept, and the client should send them again.
        """
        rows = [(item.request_id, item.row, item.label) for item in labels]
        if not rows:
            return True
        return self._packer.put((LABEL, int(self._clock() * 1e6), rows), len(rows))


def _frame(entry: object) -> bytes:
    data = msgspec.msgpack.encode(entry)
    return struct.pack("<I", len(data)) + data


def _pack_inputs(inputs: Mapping[str, np.ndarray], kept: Mapping[str, np.ndarray | None]) -> list[Packed]:
    packed = []
    for name, array in inputs.items():
        if name in kept:
            columns = kept[name]
            packed.append(_pack(name, array if columns is None else array[:, columns]))
    return packed


def _pack(name: str, array: np.ndarray) -> Packed:
    kind = array.dtype.char
    if kind in "OUS":
        return name, "O", array.shape, array.ravel().tolist()
    return name, kind, array.shape, array.tobytes()
