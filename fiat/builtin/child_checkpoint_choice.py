"""Several workers take the same checkpoint: the first one chooses, the others ask what it chose.

Where a worker does not see the first one's folder (on nodes that share none each has its own, as it was at the start), the
first one hands the bytes over: through the store that torch's workers found each other by.
"""

import json
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from fiat.errors import SpecError

WAIT_S = 600.0
PART_BYTES = 4 << 20  # the store refuses messages of 8 MiB
_SIGN = ".met-"
_LAST_S, _LOOK_S = 600.0, 0.05


@dataclass(frozen=True)
class Chosen:
    """What the first worker chose.

    Attributes:
        name: of the checkpoint, empty for none.
        key: where its bytes are in the store.
        n_parts: how many parts they have; 0 when all workers have the file.
    """

    name: str
    key: str = ""
    n_parts: int = 0


class Choice:
    """What the first worker chose, each time it is asked.

    The first worker waits for nobody, so that it may be the only one that asks. Before workers have met each chooses for
    itself.

    Args:
        rank: number of this worker.
        size: how many there are.
        wait_s: how long the others wait for the first one.
    """

    def __init__(self, rank: int, size: int, wait_s: float = WAIT_S) -> None:
        self._rank = rank
        self._size = size
        self._wait_s = wait_s
        self._asked: dict[str, int] = {}
        self._store: Any = None
        self._apart: list[frozenset[str]] = []
        self._last = ""
        self._handed: deque[Chosen] = deque()

    def meet(self, store: Any, folder: Path, names: Iterable[str]) -> None:
        """All workers are there: learn who does not see the first one's folder, and what each of these has.

        Args:
            store: torch's.
            folder: of checkpoints, as this worker sees it.
            names: of the checkpoints that it can read.
        """
        self._store = store
        if self._rank:
            sign = json.loads(store.get("fiat/sign"))
            sees = bool(sign) and (folder / sign).exists()
            store.set(f"fiat/has/{self._rank}", json.dumps(None if sees else list(names)))
            return
        sign = _leave_sign(folder)
        store.set("fiat/sign", json.dumps(sign))
        answers = [json.loads(store.get(f"fiat/has/{rank}")) for rank in range(1, self._size)]
        self._apart = [frozenset(answer) for answer in answers if answer is not None]
        if sign:
            (folder / sign).unlink(missing_ok=True)

    def part(self) -> None:
        """This worker's function has ended.

        The first one, in whose process the store is, waits until the others have its last answer or have ended too.
        """
        if self._store is None:
            return
        with suppress(RuntimeError):  # the store is gone: whoever fails ends all
            if self._rank:
                self._store.set(f"fiat/over/{self._rank}", "over")
            elif self._last:
                self._await_others()

    def _await_others(self) -> None:
        end_s, waiting = time.monotonic() + _LAST_S, set(range(1, self._size))
        while waiting and time.monotonic() < end_s:
            for rank in tuple(waiting):
                if any(self._store.check([key]) for key in (f"{self._last}/got/{rank}", f"fiat/over/{rank}")):
                    waiting.remove(rank)
            time.sleep(_LOOK_S if waiting else 0)

    def got(self, chosen: Chosen) -> None:
        """This worker has what it asked for."""
        if self._rank and chosen.key:
            self._store.set(f"{chosen.key}/got/{self._rank}", "got")

    def of(self, what: str, choose: Callable[[], str], content: Callable[[str], BinaryIO | None]) -> Chosen:
        """The name that was chosen.

        Args:
            what: which question, such as `restore`.
            choose: gives the name; asked of the first worker only.
            content: gives the bytes of the checkpoint of that name; asked of the first worker only.

        Raises:
            SpecError: the first worker does not ask the same.
        """
        if self._store is None:
            return Chosen(choose())
        number = self._asked[what] = self._asked.get(what, 0) + 1
        key = f"fiat/{what}/{number}"
        if not self._rank:
            self._last = key
            chosen = self._handed_over(Chosen(choose(), key), content)
            self._store.set(key, json.dumps([chosen.name, chosen.n_parts]))
            return chosen
        if not self._comes(key):
            raise SpecError(
                f"worker {self._rank} called run.{what}, but worker 0 did not within {self._wait_s:.0f} s",
                hint=f"let all workers call run.{what}, or worker 0 alone",
            )
        name, n_parts = json.loads(self._store.get(key))
        return Chosen(name, key, n_parts)

    def fetch(self, chosen: Chosen) -> BinaryIO | None:
        """The bytes that the first worker handed over; None when it handed over none. Whoever has them closes them.

        Raises:
            SpecError: they are gone by now.
            OSError: the disk refused.
        """
        if not chosen.n_parts:
            return None
        file = tempfile.TemporaryFile()  # noqa: SIM115 - for whoever asked
        for number in range(chosen.n_parts):
            key = f"{chosen.key}/{number}"
            if not self._comes(key):
                raise SpecError(
                    f"worker {self._rank} asks for {chosen.name}, but what worker 0 took is gone by now",
                    hint="let all workers call run.restore and run.best as often as worker 0",
                )
            file.write(self._store.get(key))
        file.seek(0)
        return file

    def _handed_over(self, chosen: Chosen, content: Callable[[str], BinaryIO | None]) -> Chosen:
        """The choice, with its bytes in the store if somebody needs them; who is behind by two choices finds no bytes."""
        if not chosen.name or all(chosen.name in names for names in self._apart):
            return chosen
        file = content(chosen.name)
        if file is None:
            return chosen
        n_parts = 0
        with file:
            while part := file.read(PART_BYTES):
                self._store.set(f"{chosen.key}/{n_parts}", part)
                n_parts += 1
        chosen = replace(chosen, n_parts=n_parts)
        self._handed.append(chosen)
        while len(self._handed) > 2:
            old = self._handed.popleft()
            for number in range(old.n_parts):
                self._store.delete_key(f"{old.key}/{number}")
        return chosen

    def _comes(self, key: str) -> bool:
        """Whether it is in the store, or comes in time."""
        try:
            self._store.wait([key], timedelta(seconds=self._wait_s))
        except RuntimeError:
            return False
        return True


def _leave_sign(folder: Path) -> str:
    """Make a file that only whoever sees the same folder finds; gives its name, empty when there can be none."""
    name = f"{_SIGN}{os.urandom(8).hex()}"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
        return name
    return ""
