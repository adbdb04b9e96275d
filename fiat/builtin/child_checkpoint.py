"""Checkpoints of a training: what `run.checkpoint`, `run.restore` and `run.best` do."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from fiat.builtin.child_checkpoint_choice import Choice, Chosen
from fiat.builtin.child_checkpoint_entry import Entry, Keeping
from fiat.builtin.child_checkpoint_index import CheckpointFolder, digest_of
from fiat.builtin.child_checkpoint_reads import Reads
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
        reads: what this process reads of the checkout; None when nobody looks.
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
        reads: Reads | None = None,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._folder = CheckpointFolder(folder)
        self._keeping = keeping
        self._every_s = every_s
        self._rank = rank
        self._choice = Choice(rank, size)
        self._reads = reads
        self._say = say
        self._clock = clock
        self._saved_at = clock()
        # Open from the start: another worker may write one and remove these before this one has read them.
        self._found: list[tuple[Entry, BinaryIO]] | None = [
            (entry, file) for entry in self._folder.entries() if (file := self._open(entry))
        ]

    def meet(self, store: Any) -> None:
        """All workers are there, and share this store of torch's."""
        self._choice.meet(store, self.folder, [entry.file for entry in self._entries()])

    def part(self) -> None:
        """This worker's function has ended; the first one stays until the others have what they asked it."""
        self._choice.part()

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
        reads = self._reads.take() if self._reads else {}
        write = partial(write_state, Restored(state_of(state), step, metrics), reads)
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
        if self._reads:
            self._reads.adopt(found[1].reads)
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
            found = next(filter(None, map(self._fitting, ordered(self._entries()))), None)
            taken.extend([found] if found else [])
            return found[0].file if found else ""

        chosen = self._choice.of(what, choose, lambda name: self._open(Entry(name)))
        found = self._as_the_first(chosen) if chosen.name and not taken else None
        self._choice.got(chosen)
        return taken[0] if taken else found

    def _as_the_first(self, chosen: Chosen) -> Found:
        """What the first worker took; what is seen here may be older than that."""
        entry = next((one for one in self._entries() if one.file == chosen.name), Entry(chosen.name))
        found = self._whole(entry, self._opened(entry)) or self._whole(entry, self._choice.fetch(chosen))
        if found is None:
            raise SpecError(
                f"worker {self._rank} can't read {chosen.name}, which worker 0 goes on from",
                hint="the disk that holds the checkpoints may be failing: look at its log, and run again",
            )
        return found

    def _fitting(self, entry: Entry) -> Found | None:
        """A checkpoint that is whole, and of this work."""
        found = self._whole(entry, self._opened(entry))
        changed = self._reads.changed(found[1].reads) if found and self._reads else ""
        if not changed:
            return found
        self._folder.unfit.add(entry.file)
        self._say(f"{entry} was made with another {changed} and is passed over")
        return None

    def _whole(self, entry: Entry, file: BinaryIO | None) -> Found | None:
        """What is in a file, if it has arrived on the disk as it was."""
        if file is None:
            return None
        try:
            if digest_of(file) == entry.digest:
                return entry, read_state(entry, file)
            self._folder.unfit.add(entry.file)
            self._say(f"{entry} is damaged and is passed over")
        except OSError as error:
            self._say(f"{entry} can't be read and is passed over: {error.strerror or error}")
        finally:
            if all(file is not held for _, held in self._found or ()):
                file.close()
        return None

    def _entries(self) -> list[Entry]:
        return self._folder.entries() if self._found is None else [entry for entry, _ in self._found]

    def _opened(self, entry: Entry) -> BinaryIO | None:
        """Its file, from the beginning."""
        for one, file in self._found or ():
            if one.file == entry.file:
                file.seek(0)
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
