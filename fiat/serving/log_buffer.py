"""What a server keeps of requests and answers until the log writer has it: microseconds a request, bounded, never waiting.

Runs in the server's event loop and in no other thread. Requests are kept as they are at first, and then copied and
packed many at a time (`log_run.py`); every 256 KiB, and whenever `flush` is called, they go to the pipe. What is not in the
pipe is lost when the server crashes: up to half a second where the server calls `flush` twice a second.

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

from fiat.serving.log_pipe import BLOCK_BYTES, LogPipe
from fiat.serving.log_run import Run, held_bytes
from fiat.serving.release import LogPlan

MODEL, LABEL = 0, 2
"""Kinds of entries beside RUN: the first item of each. Every entry is msgpack behind its length, 4 bytes little-endian."""
ANSWERS = ("label", "probabilities")
"""Outputs that are kept where a model has them: its class and the shares that scores come from."""
_PERSON = b"fiat.log"
_ALL = 1 << 64
_MOST_TOGETHER = 1024
_SHARE_BYTES = BLOCK_BYTES // 64
"""What a request counts at least, so that 64 are held at most: memory that comes back soon is still in the cache."""
_BYTES_A_CHARACTER = 4
"""What a byte of a body becomes in arrays, about: `1,` is a number of 8 bytes."""
_Arrays = Mapping[str, np.ndarray]
_Taken = tuple[float, str, str, str, _Arrays, _Arrays, int]
"""Moment, request id, version, digest, inputs, outputs, latency."""


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
        self.pack(entry, n_items)
        return True

    def pack(self, entry: object, n_items: int) -> None:
        """Pack one entry for which there is room."""
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
        self._taken: list[_Taken] = []
        self._left_bytes = 0
        self._runs: dict[tuple[str, str], Run] = {}
        pipe.draw_from(self.spill)

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
        self.spill()
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
        wire_bytes: int | None = None,
    ) -> bool:
        """Write one answered request down: once a request, in the event loop. Takes about a microsecond.

        Arrays of 256 KiB and 64 requests at most are held for half a second at most, and must not be changed. Requests of
        versions that were not learned are kept without their inputs.

        Args:
            request_id: what labels will name.
            version: name of the version that answered.
            digest: of its package.
            inputs: input to its array `(n_rows, ...)`, as the client sent them; texts are objects.
            outputs: output to its array `(n_rows, ...)`: those in ANSWERS, or all when there is none of them.
            latency_us: microseconds from the first byte to the answer.
            wire_bytes: size of the bodies of request and answer, which says how much their arrays hold; None looks at each.

        Returns:
            False when it was dropped for lack of room; True when it is kept, or not of the sample.
        """
        if self._most < _ALL and not self.is_sampled(request_id):
            return True
        if self._left_bytes <= 0 and not self._find_room():
            self._pipe.dropped += 1
            return False
        self._taken.append((self._clock(), request_id, version, digest, inputs, outputs, latency_us))
        if wire_bytes is None:
            self._left_bytes -= _SHARE_BYTES + held_bytes(inputs, outputs)
        else:
            self._left_bytes -= _SHARE_BYTES + _BYTES_A_CHARACTER * wire_bytes
        if self._left_bytes <= 0:
            self._sort_in()
        return True

    def spill(self) -> None:
        """Pack all that was taken."""
        self._sort_in()
        for key in tuple(self._runs):
            self._end(key)
        self._pipe.gathered_bytes = 0
        self._find_room()

    def _find_room(self) -> bool:
        """Look how much may be taken until what was taken is copied, and the pipe is looked at again."""
        self._left_bytes = min(BLOCK_BYTES, self._pipe.room_bytes)
        return self._left_bytes > 0

    def _sort_in(self) -> None:
        """Copy what was taken. Many in a row, as that takes a third of the time of one now and then."""
        taken, self._taken = self._taken, []
        if taken:
            versions, digests = {item[2] for item in taken}, {item[3] for item in taken}
            if len(versions) == len(digests) == 1:
                self._sort_many((versions.pop(), digests.pop()), taken)
            else:
                by_version: dict[tuple[str, str], list[_Taken]] = {}
                for item in taken:
                    by_version.setdefault((item[2], item[3]), []).append(item)
                for key, items in by_version.items():
                    self._sort_many(key, items)
        gathered = 0
        for key, run in tuple(self._runs.items()):
            if run.size_bytes >= BLOCK_BYTES or len(run) >= _MOST_TOGETHER:
                self._end(key)
            else:
                gathered += run.size_bytes
        self._pipe.gathered_bytes = gathered
        self._find_room()

    def _sort_many(self, key: tuple[str, str], items: Sequence[_Taken]) -> None:
        """Copy some of one version, all at once where they are of one form."""
        run = self._runs.get(key)
        if run is None:
            run = self._begin(key, items[0])
        moments_s, ids, _, _, inputs, outputs, latencies_us = zip(*items, strict=True)
        if run.take_many([int(moment * 1e6) for moment in moments_s], ids, latencies_us, inputs, outputs):
            self._runs[key] = run
        else:
            for item in items:
                self._sort_one(key, item)

    def _sort_one(self, key: tuple[str, str], item: _Taken) -> None:
        """Copy one that came among others of another form."""
        moment_us, (_, request_id, _, _, inputs, outputs, latency_us) = int(item[0] * 1e6), item
        run = self._runs.get(key)
        if run is not None:
            if run.take(moment_us, request_id, latency_us, inputs, outputs):
                return
            self._end(key)
        run = self._begin(key, item)
        if run.take(moment_us, request_id, latency_us, inputs, outputs):
            self._runs[key] = run
        else:
            run.take_any(moment_us, request_id, latency_us, inputs, outputs)
            self._pack(run)

    def _begin(self, key: tuple[str, str], item: _Taken) -> Run:
        (version, digest), inputs, outputs = key, item[4], item[5]
        known = self._known.get(digest)
        named = [name for name in ANSWERS if name in outputs] or list(outputs)
        answers = [name for name in named if name not in self._hidden]
        return Run(version, digest, inputs, outputs, {} if known is None else known.kept, answers)

    def _end(self, key: tuple[str, str]) -> None:
        self._pack(self._runs.pop(key))

    def _pack(self, run: Run) -> None:
        try:
            self._packer.pack(run.entry(), len(run))
        except (ValueError, TypeError, OverflowError):
            # What can't be written, such as half a character in an id, is one request more that is missing.
            self._pipe.dropped += len(run)

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
