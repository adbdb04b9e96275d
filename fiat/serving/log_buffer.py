"""What a server keeps of requests and answers until the log writer has it: microseconds a request, bounded, never waiting.

Runs in the server's event loop and in no other thread. Each request is packed at once behind those of its form
(`log_run.py`); every 256 KiB, and whenever `flush` is called, they go to the pipe. What is not in the pipe is lost when the
server crashes: up to half a second where the server calls `flush` twice a second.

A server makes a `LogPipe`, and over it a `PredictionLog` and a `LabelLog`; it calls `learn` for each version that it loads,
`offer` for each answered request and for `POST /fiat/labels`, and `LogPipe.flush` on its tick of half a second.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from fiat.serving.log_pipe import BLOCK_BYTES, LogPipe
from fiat.serving.log_run import Run
from fiat.serving.release import LogPlan

MODEL, LABEL = 0, 2
"""Kinds of entries beside RUN: the first item of each. Every entry is msgpack behind its length, 4 bytes little-endian."""
ANSWERS = ("label", "probabilities")
"""Outputs that are kept where a model has them: its class and the shares that scores come from."""
_PERSON = b"fiat.log"
_ALL = 1 << 64
_MOST_TOGETHER = 1024
_WEIGHED_BYTES = 1 << 13
"""How much a run may grow until somebody looks again whether there is room."""


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

    def put(self, entry: object, n_items: int) -> bool:
        """Pack one entry; False when there is no room and it is dropped."""
        if self._pipe.is_full:
            self._pipe.dropped += n_items
            return False
        self.append(msgspec.msgpack.encode(entry), n_items)
        return True

    def append(self, packed: bytes | bytearray, n_items: int) -> None:
        """Hand on one packed entry for which there is room."""
        buffer = self._pipe.waiting
        buffer += len(packed).to_bytes(4, "little")
        buffer += packed
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
        self._has_room = True
        self._runs: dict[str, Run] = {}
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
    ) -> bool:
        """Write one answered request down: once a request, in the event loop. Takes about a microsecond.

        Nothing of it is held. Requests of versions that were not learned are kept without their inputs.

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
        if not self._has_room and not self._find_room():
            self._pipe.dropped += 1
            return False
        moment_us = int(self._clock() * 1e6)
        run = self._runs.get(digest)
        try:
            if (
                run is None
                or run.version != version
                or not run.take(moment_us, request_id, latency_us, inputs, outputs)
            ):
                self._end(digest)
                run = self._begin(version, digest, inputs, outputs)
                if run.is_alone or not run.take(moment_us, request_id, latency_us, inputs, outputs):
                    run.take_any(moment_us, request_id, latency_us, inputs, outputs)
                    self._packer.append(run.entry(), len(run))
                    return True
                # Not before: others must not be held against the form of one that is alone or could not be written.
                self._runs[digest] = run
        except (ValueError, TypeError, OverflowError):
            # What can't be written, such as half a character in an id, is one request more that is missing.
            self._pipe.dropped += 1
            return True
        if len(run.packed) >= run.weigh_at:
            self._weigh(digest, run)
        return True

    def spill(self) -> None:
        """Hand on all that was packed."""
        for digest in tuple(self._runs):
            self._end(digest)
        self._find_room()

    def _find_room(self) -> bool:
        """Look whether more may be taken."""
        self._pipe.gathered_bytes = sum(len(run.packed) for run in self._runs.values())
        self._has_room = not self._pipe.is_full
        return self._has_room

    def _weigh(self, digest: str, run: Run) -> None:
        """Look how much a run has become, and when to look again."""
        if len(run.packed) >= BLOCK_BYTES or len(run) >= _MOST_TOGETHER:
            self._end(digest)
        self._find_room()
        run.weigh_at = len(run.packed) + min(_WEIGHED_BYTES, max(0, self._pipe.room_bytes))

    def _begin(
        self, version: str, digest: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
    ) -> Run:
        """A run for requests of this form."""
        known = self._known.get(digest)
        named = [name for name in ANSWERS if name in outputs] or list(outputs)
        answers = [name for name in named if name not in self._hidden]
        return Run(version, digest, inputs, outputs, {} if known is None else known.kept, answers)

    def _end(self, digest: str) -> None:
        run = self._runs.pop(digest, None)
        if run is not None and len(run):
            self._packer.append(run.entry(), len(run))

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
    return len(data).to_bytes(4, "little") + data
