"""Runs the requests of one version: at once where they are, or together with whoever else waits, on a thread of its own.

Nobody is ever delayed to make a batch larger: the thread takes what waits when it becomes free. A cheap model with nobody
waiting runs right in the event loop, because the way to a thread and back would take longer than the run.
"""

import asyncio
import logging
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from fiat.serving.limits import Refused
from fiat.serving.session import AnyArray, Feed, RunFault, Session
from fiat.serving.turn import Turn

LOG = logging.getLogger("fiat.serving")
INLINE_S = 0.0002
"""A run that should take less is not worth a thread."""
_Key = tuple[tuple[str, Any, tuple[int, ...]], ...]
Outputs = dict[str, AnyArray]


class _Waiting(Turn[Outputs]):
    """A request that waits for its run.

    Attributes:
        feed: of the model.
        n_rows: of it.
        key: requests of the same key can be joined.
        deadline: time of the event loop.
    """

    __slots__ = ("deadline", "feed", "key", "n_rows")

    def __init__(self, feed: Feed, n_rows: int, key: _Key, deadline: float) -> None:
        super().__init__()
        self.feed, self.n_rows, self.key, self.deadline = feed, n_rows, key, deadline


class Batcher:
    """Runs one version's requests. Everything but `_work` belongs to the event loop.

    Args:
        session: of the version.
        batch_rows: most rows in a joined run; 1 joins nothing.
        name: of the thread.
        count_run: called in the thread or the loop after each run.
    """

    def __init__(
        self, session: Session, *, batch_rows: int, name: str, count_run: Callable[[], None] = lambda: None
    ) -> None:
        self._session = session
        self._batch_rows = batch_rows if session.joinable else 1
        self._name = name
        self._count_run = count_run
        self._waiting: deque[_Waiting] = deque()
        self._work_comes = threading.Condition()
        self._running: Sequence[_Waiting] = ()
        self._options: ort.RunOptions | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False
        # One timer for all who wait: one each takes longer than joining their rows.
        self._looks_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def runs_inline(self, n_rows: int) -> bool:
        """Whether a request can run right here: nobody waits and it is cheap."""
        return not self._waiting and not self._running and self._session.cost.of(n_rows) <= INLINE_S

    def run_inline(self, feed: Feed, n_rows: int) -> Outputs:
        """Run a request in the event loop.

        Raises:
            RunFault: the model did not answer.
        """
        outputs = self._session.run(feed, n_rows)
        self._count_run()
        return outputs

    async def run(self, feed: Feed, n_rows: int, deadline: float) -> Outputs:
        """Run a request in the thread, together with others that wait.

        Args:
            feed: input name to array `(n_rows, ...)`.
            n_rows: of it.
            deadline: time of the event loop.

        Raises:
            RunFault: the model did not answer.
            Refused: it took too long.
        """
        item = _Waiting(feed, n_rows, self._key_of(feed), deadline)
        with self._work_comes:
            self._waiting.append(item)
            if self._thread is None:
                loop = asyncio.get_running_loop()
                thread = threading.Thread(target=self._work, args=(loop,), name=self._name, daemon=True)
                thread.start()
                self._thread = thread  # not before: one that can't be started is tried again
            self._work_comes.notify()
        if deadline < self._looks_s:
            self._look_at(deadline)
        return await item

    def close(self) -> None:
        """Let the thread end when everybody who waits was answered."""
        with self._work_comes:
            self._is_closed = True
            self._work_comes.notify()

    def _key_of(self, feed: Feed) -> _Key:
        if self._batch_rows == 1:
            return ()
        return tuple((name, array.dtype, array.shape[1:]) for name, array in feed.items())

    def _look_at(self, when_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_s = when_s
        # Weak: a version that is gone must not stay in memory until a time-out that nobody waits for.
        self._timer = asyncio.get_running_loop().call_at(when_s, _look_again, weakref.ref(self))

    def look(self) -> None:
        """Refuse those whose time is over, and look again when the next one's is."""
        now_s = max(asyncio.get_running_loop().time(), self._looks_s)
        self._timer, self._looks_s = None, math.inf
        with self._work_comes:
            asked = [item for item in (*self._running, *self._waiting) if not item.is_done]
            late = [item for item in asked if item.deadline <= now_s]
            if late:
                self._waiting = deque(item for item in self._waiting if item.deadline > now_s)
        for item in late:
            _end(item, Refused(503, "the model did not answer in time: try again later"))
        with self._work_comes:
            if late and self._options is not None and all(item.is_done for item in self._running):
                # Nobody wants the answer any more: those who wait need the thread.
                self._options.terminate = True
        left = [item.deadline for item in asked if not item.is_done]
        if left and min(left) < self._looks_s:
            self._look_at(min(left))

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._work_comes:
                self._running, self._options = (), None
                while not self._waiting:
                    if self._is_closed:
                        # Who chose this version before it was swapped and waited for its turn still comes.
                        self._thread = None
                        return
                    self._work_comes.wait()
                batch = self._running = self._take()
                options = self._options = ort.RunOptions()
            results = self._run_batch(batch, options)
            try:
                loop.call_soon_threadsafe(_tell, batch, results)
            except RuntimeError:
                return  # the event loop is closed: nobody waits any more
            del batch, results  # their arrays are not held while nothing comes

    def _take(self) -> list[_Waiting]:
        first = self._waiting.popleft()
        batch, rows = [first], first.n_rows
        while (
            self._waiting
            and rows + self._waiting[0].n_rows <= self._batch_rows
            and self._waiting[0].key == first.key
        ):
            item = self._waiting.popleft()
            batch.append(item)
            rows += item.n_rows
        return batch

    def _run_batch(self, batch: list[_Waiting], options: ort.RunOptions) -> list[Outputs | RunFault]:
        if len(batch) == 1:
            return [self._run_one(batch[0], options)]
        n_rows = sum(item.n_rows for item in batch)
        try:
            feed = {name: np.concatenate([item.feed[name] for item in batch]) for name in batch[0].feed}
            outputs = self._session.run(feed, n_rows, options)
        except (RunFault, MemoryError):
            # One bad row must not take the others with it.
            return [self._run_one(item, options) for item in batch]
        self._count_run()
        if any(len(array) != n_rows for array in outputs.values()):
            return [self._run_one(item, options) for item in batch]
        return _split(outputs, [item.n_rows for item in batch])

    def _run_one(self, item: _Waiting, options: ort.RunOptions) -> Outputs | RunFault:
        try:
            outputs = self._session.run(item.feed, item.n_rows, options)
        except RunFault as error:
            return error
        self._count_run()
        return outputs


def _look_again(found: weakref.ref[Batcher]) -> None:
    batcher = found()
    if batcher is not None:
        batcher.look()


def _split(outputs: Outputs, sizes: list[int]) -> list[Outputs | RunFault]:
    parts: list[Outputs | RunFault] = []
    start = 0
    for size in sizes:
        parts.append({name: array[start : start + size] for name, array in outputs.items()})
        start += size
    return parts


def _tell(batch: Sequence[_Waiting], results: Sequence[Outputs | RunFault]) -> None:
    for item, result in zip(batch, results, strict=True):
        if not item.is_done:
            _end(item, result)


def _end(item: _Waiting, result: Outputs | RunFault | Refused) -> None:
    try:
        if isinstance(result, RunFault | Refused):
            item.fail(result)
        else:
            item.tell(result)
    except Exception:
        # What one connection does with its answer must not keep the others from theirs.
        LOG.exception("an answer could not be sent")
