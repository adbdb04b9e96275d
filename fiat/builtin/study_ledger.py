"""What a study remembers of its trials: a JSON file each, replaced as a whole, so that a kill loses none."""

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal

State = Literal["running", "done", "stopped", "failed"]
_SUFFIX = ".json"
_ABOUT = "study.about"
_LOCK = "study.lock"
_LOOK_S = 0.2
# Network disks whose files can't be locked: two runs of one search at a time are not kept apart there.
_WITHOUT_LOCKS = {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP}


@dataclass(frozen=True)
class Trial:
    """One combination of parameters, and how it went.

    Attributes:
        number: place in the order in which they were begun, from 1.
        params: the searched parameters that apply, name to value.
        state: `running` until it has ended by itself (`done`, `failed`) or was poor (`stopped`).
        values: what was searched by, in the order in which it came: (step of the curve or None, value).
        seconds: how long it ran.
        reason: why it failed; else empty.
        resumed: from what it went on; empty when it began anew.
        observed: what its code was seen to read, see `child_watch.Watch.seen`.
        reads: digests of that, see `study_reads.Reads.seen`.
        n_reports: how many values came, where not all of them are kept; else 0.
    """

    number: int
    params: Mapping[str, object]
    state: State = "running"
    values: tuple[tuple[int | None, float], ...] = ()
    seconds: float = 0.0
    reason: str = ""
    resumed: str = ""
    observed: Mapping[str, object] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    n_reports: int = 0

    @property
    def digest(self) -> str:
        """Which trial it is, by its parameters alone: 16 hex digits."""
        return digest_of(self.params)

    @property
    def value(self) -> float | None:
        """The last value; None while there is none."""
        return self.values[-1][1] if self.values else None


def digest_of(params: Mapping[str, object]) -> str:
    """16 hex digits for a combination of parameters."""
    text = json.dumps(params, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Ledger:
    """The trials of one study in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def held(self, cancelled: Event, waits: Callable[[], None]) -> Iterator[bool]:
        """Have it alone within: two runs of one search take turns, and the second finds what the first tried.

        Args:
            cancelled: ends the wait.
            waits: called once when somebody else has it.

        Yields:
            Whether it is ours; False when it was cancelled before.

        Raises:
            OSError: the disk refused.
        """
        with open(self._folder / _LOCK, "wb") as file:
            if not (ours := _lock(file.fileno())):
                waits()
            while not ours and not cancelled.wait(_LOOK_S):
                ours = _lock(file.fileno())
            yield ours

    def trials(self) -> list[Trial]:
        """All trials that are remembered, by number. What can't be read is no trial: it runs again."""
        found = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                said = json.loads(path.read_text("utf-8"))
                values = tuple((step, float(value)) for step, value in said.pop("values"))
                found.append(Trial(**said, values=values))
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                continue
        return sorted(found, key=lambda trial: trial.number)

    def write(self, trial: Trial) -> None:
        """Remember how a trial stands, in place of what was known of it.

        Raises:
            OSError: the disk refused.
        """
        self._replace(f"{trial.digest}{_SUFFIX}", asdict(trial))

    def about(self) -> Mapping[str, object]:
        """What the last attempt said of itself; empty when there was none."""
        try:
            found = json.loads((self._folder / _ABOUT).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_about(self, job: str, n_trials: int) -> None:
        """Say whose attempt works here.

        Args:
            job: its id.
            n_trials: how many trials there will be in all.

        Raises:
            OSError: the disk refused.
        """
        self._replace(_ABOUT, {"job": job, "n_trials": n_trials})

    def _replace(self, name: str, document: Mapping[str, object]) -> None:
        path = self._folder / name
        temporary = path.with_suffix(".part")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
    return True
