"""A checkpoint as bytes: written by torch where it is loaded, else by pickle, and read back."""

import importlib
import inspect
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, Literal, TypeGuard

from fiat.builtin.child_checkpoint_entry import Entry
from fiat.builtin.child_checkpoint_index import HashingFile
from fiat.builtin.child_random import random_state
from fiat.errors import SpecError

_HINT = "hand over numbers, arrays, tensors and state_dict()s; no lambda, open file or generator"


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


@dataclass(frozen=True)
class Envelope:
    """Everything that a checkpoint holds.

    Attributes:
        restored: what the code hands over and is given back.
        random: where the random generators stood.
        reads: see `fiat.builtin.child_checkpoint_reads`.
    """

    restored: Restored
    random: Mapping[str, Any]
    reads: Mapping[str, str]


def suffix_now() -> Literal["pt", "pkl"]:
    """What a checkpoint is written by in this process."""
    return "pt" if "torch" in sys.modules else "pkl"


def state_of(given: object) -> object:
    """The state, made now where a function was given; a module can be called too, but is a state itself."""
    return given() if _makes(given) else given


def write_state(restored: Restored, reads: Mapping[str, str], file: HashingFile) -> None:
    """Write a state, where the random generators stand, and what its process has read.

    Raises:
        SpecError: it can't be pickled.
        OSError: the disk refused.
    """
    document = {
        "state": restored.state,
        "step": restored.step,
        "metrics": dict(restored.metrics),
        "random": random_state(),
        "reads": dict(reads),
    }
    try:
        if suffix_now() == "pt":
            sys.modules["torch"].save(document, file)
        else:
            pickle.dump(document, file, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise SpecError(
            f"the state that run.checkpoint was given can't be saved: {error}", hint=_HINT
        ) from None
    except RuntimeError:
        if file.fault is not None:  # torch hides what the disk said
            raise file.fault from None
        raise


def read_state(entry: Entry, file: BinaryIO) -> Envelope:
    """Read a checkpoint; tensors come to the CPU.

    Raises:
        SpecError: the code can't read its own checkpoint back.
        OSError: the disk refused.
    """
    try:
        if entry.file.endswith(".pt"):
            torch: Any = importlib.import_module("torch")
            document = torch.load(file, map_location="cpu", weights_only=False)
        else:
            document = pickle.load(file)  # noqa: S301 - this very code wrote it, see `resume_key`
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise SpecError(
            f"{entry} can't be read back: {type(error).__name__}: {error}",
            hint="keep state_dict()s and numbers in it, or classes that stand at the top of a module",
        ) from error
    restored = Restored(document["state"], document["step"], document["metrics"])
    return Envelope(restored, document["random"], document["reads"])


def _makes(state: object) -> TypeGuard[Callable[[], object]]:
    return inspect.isroutine(state) or isinstance(state, partial)
