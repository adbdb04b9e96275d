"""Checkpoints of a training: what `run.checkpoint`, `run.restore` and `run.best` do."""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from fiat.builtin.child_checkpoint_choice import Choice
from fiat.builtin.child_checkpoint_entry import Entry, Keeping
from fiat.builtin.child_checkpoint_index import CheckpointFolder, digest_of
from fiat.builtin.child_checkpoint_state import (
    Envelope,
    Restored,
    read_state,
    state_of,
    suffix_now,
    write_state,
)
from fiat.builtin.child_random import set_random_state
from fiat.errors import SpecError

Found = tuple[Entry, Envelope]


class Checkpoints:
    """Those of one training, in one of its processes.

    Args:
        folder: where they are.
        keeping: which stay.
        every_s: shortest time between two.
        rank: number of this worker; only the first one writes.
        size: how many workers there are; all of them go on from the same checkpoint.
        say: writes a sentence to the step's log.
        clock: seconds that only grow.

    Attributes:
        folder: where they are.
    """

    def __init__(
        self,
        folder: Path,
        keeping: Keeping,
        *,
        every_s: float = 0.0,
        rank: int = 0,
        size: int = 1,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._folder = CheckpointFolder(folder)
        self._keeping = keeping
        self._every_s = every_s
        self._rank = rank
        self._choice = Choice(rank, size)
        self._say = say
        self._clock = clock
        self._saved_at = clock()
        # Open from the start: another worker may write one and remove these before this one has read them.
        self._found: list[tuple[Entry, BinaryIO]] | None = [
            (entry, file) for entry in self._folder.entries() if (file := self._open(entry))
        ]

    def save(self, state: object, step: int | None, metrics: Mapping[str, float]) -> bool:
        """Write one more when it is time for it; gives whether it did.

        Args:
            state: anything that can be pickled, or a function without arguments that makes it.
            step: position in the training.
            metrics: of the model as it is now.

        Raises:
            SpecError: the state can't be pickled, or lacks the metric that the best are kept by.
        """
        self._let_go()
        wanted = self._keeping.metric
        if wanted and wanted not in metrics:
            raise SpecError(
                f"run.checkpoint was given no {wanted}, which train.checkpoint keeps the best by",
                hint=f"write run.checkpoint(state, step, {wanted}=...)",
            )
        if self._rank or (self._every_s and self._clock() - self._saved_at < self._every_s):
            return False
        write = partial(write_state, state_of(state), step, metrics)
        try:
            self._folder.add(
                write, suffix_now(), lambda name: Entry(name, step, metrics, time.time()), self._keeping
            )
        except OSError as error:
            # What was trained so far is worth more than what insures it.
            said = error.strerror or error
            self._say(f"a checkpoint could not be written: {said}; training goes on without it")
            return False
        self._saved_at = self._clock()
        return True

    def newest(self) -> tuple[Entry, Restored] | None:
        """The newest one that is whole; random numbers go on as they stood there.

        Raises:
            SpecError: it can't be unpickled, or other workers have another one.
        """
        found = self._chosen("restore", lambda entries: entries[::-1])
        if found is None:
            return None
        set_random_state(found[1].random)
        return found[0], found[1].restored

    def best(self) -> tuple[Entry, Restored] | None:
        """The best one that is whole by the metric; the newest when no metric was named. Raises: as `newest`."""
        by_metric = self._keeping.best if self._keeping.metric else lambda entries: entries[::-1]
        found = self._chosen("best", by_metric)
        return None if found is None else (found[0], found[1].restored)

    def _chosen(self, what: str, ordered: Callable[[list[Entry]], list[Entry]]) -> Found | None:
        """The first one in this order that is whole; the one that the first worker took when there are several."""
        taken: list[Found] = []

        def choose() -> str:
            found = self._first_whole(ordered(self._entries()))
            taken.extend([found] if found else [])
            return found[0].file if found else ""

        name = self._choice.of(what, choose)
        if taken or not name:
            return taken[0] if taken else None
        found = self._first_whole(entry for entry in self._entries() if entry.file == name)
        if found is None:
            raise SpecError(
                f"worker {self._rank} can't read {name}, which worker 0 goes on from",
                hint="all workers must see the folder of checkpoints; run again",
            )
        return found

    def _entries(self) -> list[Entry]:
        return self._folder.entries() if self._found is None else [entry for entry, _ in self._found]

    def _first_whole(self, entries: Iterable[Entry]) -> Found | None:
        for entry in entries:
            file = self._opened(entry)
            if file is None:
                continue
            try:
                if digest_of(file) == entry.digest:
                    return entry, read_state(entry, file)
                self._say(f"{entry} is damaged and is passed over")
            except OSError as error:
                self._say(f"{entry} can't be read and is passed over: {error.strerror or error}")
            finally:
                if self._found is None:
                    file.close()
        return None

    def _opened(self, entry: Entry) -> BinaryIO | None:
        for one, file in self._found or ():
            if one == entry:
                return file
        return self._open(entry)

    def _open(self, entry: Entry) -> BinaryIO | None:
        try:
            return self._folder.open(entry)
        except OSError as error:
            self._say(f"{entry} can't be read and is passed over: {error.strerror or error}")
            return None

    def _let_go(self) -> None:
        for _, file in self._found or ():
            file.close()
        self._found = None
