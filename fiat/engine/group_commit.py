"""Write many callers' deliveries in one transaction: an fsync costs as much for one as for a hundred."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, TypeVar

from fiat.errors import EnvironmentFault

Item = TypeVar("Item")
Answer = TypeVar("Answer")
AT_ONCE = 200


@dataclass
class _Waiting(Generic[Item, Answer]):
    """What one caller wants written."""

    items: Sequence[Item]
    answer: "Future[list[Answer]]" = field(default_factory=Future)


class GroupCommit(Generic[Item, Answer]):
    """One thread writes whatever waits; callers wait until theirs is durable.

    Args:
        write: writes items in one transaction and gives an answer for each.
    """

    def __init__(self, write: Callable[[Sequence[Item]], list[Answer]]) -> None:
        self._write = write
        self._waiting: SimpleQueue[_Waiting[Item, Answer] | None] = SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def put(self, items: Sequence[Item]) -> list[Answer]:
        """Write items; returns when they are durable.

        Raises:
            FiatError: what `write` raised for them.
            EnvironmentFault: it is closed: nothing is written any more.
        """
        waiting: _Waiting[Item, Answer] = _Waiting(items)
        with self._door:
            if self._closed:
                raise EnvironmentFault("the runner is stopping", hint="send it again")
            self._waiting.put(waiting)
        return waiting.answer.result()

    def close(self) -> None:
        """Write what waits and end."""
        with self._door:
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            group = [first]
            while sum(len(one.items) for one in group) < AT_ONCE and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    self._waiting.put(None)
                    break
                group.append(following)
            self._commit(group)

    def _commit(self, group: list[_Waiting[Item, Answer]]) -> None:
        try:
            answers = self._write([item for one in group for item in one.items])
        except Exception as error:
            if len(group) == 1 or isinstance(error, EnvironmentFault):
                # The disk or the server is at fault, and may take long to say so: nobody is made to hear it one by one.
                for one in group:
                    one.answer.set_exception(error)
                return
            # One of them may be at fault: each alone, so that it takes nobody with it.
            for one in group:
                self._commit([one])
            return
        start = 0
        for one in group:
            one.answer.set_result(answers[start : start + len(one.items)])
            start += len(one.items)
