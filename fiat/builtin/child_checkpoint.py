"""Checkpoints of a training: what `run.checkpoint`, `run.restore` and `run.best` do."""

import importlib
import inspect
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeGuard

from fiat.builtin.child_checkpoint_index import CheckpointFolder, Entry, HashingFile, Keeping, digest_of
from fiat.builtin.child_random import random_state, set_random_state
from fiat.errors import SpecError


@dataclass(frozen=True)
class Restored:
    """A checkpoint that was read back.

    Attributes:
        state: what the code had handed to `run.checkpoint`; tensors are on the CPU.
        step: the step that it gave, None when it gave none.
        metrics: the metrics that it gave.
    """

    state: Any
    step: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


class Checkpoints:
    """Those of one training, in one of its processes.

    Args:
        folder: where they are.
        keeping: which stay.
        every_s: shortest time between two.
        rank: number of this worker; only the first one writes.
        say: writes a sentence to the step's log.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        folder: Path,
        keeping: Keeping,
        *,
        every_s: float = 0.0,
        rank: int = 0,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = CheckpointFolder(folder)
        self._keeping = keeping
        self._every_s = every_s
        self._rank = rank
        self._say = say
        self._clock = clock
        self._saved_at = clock()
        self._found: list[tuple[Entry, BinaryIO]] | None = [
            (entry, file) for entry in self._folder.entries() if (file := self._folder.open(entry))
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
        now = self._clock()
        if self._rank or (self._every_s and now - self._saved_at < self._every_s):
            return False
        made = state() if _makes(state) else state
        envelope = {"state": made, "step": step, "metrics": dict(metrics), "random": random_state()}
        torch = sys.modules.get("torch")
        suffix: Literal["pt", "pkl"] = "pkl" if torch is None else "pt"

        def write(file: HashingFile) -> None:
            if torch is None:
                pickle.dump(envelope, file, protocol=pickle.HIGHEST_PROTOCOL)
            else:
                torch.save(envelope, file)

        def about(name: str) -> Entry:
            return Entry(name, step, dict(metrics), time.time())

        try:
            self._folder.add(write, suffix, about, self._keeping)
        except OSError as error:
            # What was trained is worth more than the training's insurance.
            self._say(
                f"a checkpoint could not be written: {error.strerror or error}; training goes on without it"
            )
            return False
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise SpecError(
                f"the state that run.checkpoint was given can't be saved: {error}",
                hint="hand over numbers, arrays, tensors and state_dict()s; no lambda, open file or generator",
            ) from None
        self._saved_at = self._clock()
        return True

    def newest(self) -> tuple[Entry, Restored] | None:
        """The newest one that is whole; random numbers go on as they stood there."""
        found = self._first_whole(reversed(self._entries()))
        if found is None:
            return None
        entry, envelope = found
        set_random_state(envelope["random"])
        return entry, _restored(entry, envelope)

    def best(self) -> tuple[Entry, Restored] | None:
        """The best one that is whole by the metric; the newest when no metric was named."""
        entries = self._entries()
        ordered = self._keeping.best(entries) if self._keeping.metric else list(reversed(entries))
        found = self._first_whole(ordered)
        return None if found is None else (found[0], _restored(*found))

    def _entries(self) -> list[Entry]:
        return self._folder.entries() if self._found is None else [entry for entry, _ in self._found]

    def _first_whole(self, entries: Iterable[Entry]) -> tuple[Entry, Mapping[str, Any]] | None:
        for entry in entries:
            file = self._opened(entry)
            if file is None:
                continue
            try:
                if digest_of(file) != entry.digest:
                    self._say(f"{entry} is damaged: it is passed over")
                    continue
                return entry, _load(entry, file)
            except OSError as error:
                self._say(f"{entry} can't be read: {error.strerror or error}; it is passed over")
            finally:
                if self._found is None:
                    file.close()
        return None

    def _opened(self, entry: Entry) -> BinaryIO | None:
        """The file; those that were there at the start were opened then, and stay readable when they are removed."""
        for one, file in self._found or ():
            if one == entry:
                return file
        return self._folder.open(entry)

    def _let_go(self) -> None:
        for _, file in self._found or ():
            file.close()
        self._found = None


def _makes(state: object) -> TypeGuard[Callable[[], object]]:
    """Whether it is a function that makes the state; a module can be called too, but is a state itself."""
    return inspect.isroutine(state) or isinstance(state, partial)


def _restored(entry: Entry, envelope: Mapping[str, Any]) -> Restored:
    return Restored(envelope["state"], envelope["step"], envelope["metrics"])


def _load(entry: Entry, file: BinaryIO) -> Mapping[str, Any]:
    """Raises SpecError when the code can't read its own checkpoint back."""
    try:
        if entry.file.endswith(".pt"):
            torch = importlib.import_module("torch")
            return torch.load(file, map_location="cpu", weights_only=False)  # type: ignore[no-any-return]  # ours
        return pickle.load(file)  # type: ignore[no-any-return]  # noqa: S301 - this code wrote it, see the digest
    except OSError:
        raise
    except Exception as error:
        raise SpecError(
            f"{entry} can't be read back: {type(error).__name__}: {error}",
            hint="keep state_dict()s and numbers in it, or classes that stand at the top of a module",
        ) from error
