"""The folder of a training's checkpoints: which there are, and how one more comes in whole or not at all.

A checkpoint is one file whose name holds its number and the SHA-256 of its bytes; `index.json` says what is known of
each. Whoever is killed leaves at most a draft, which nobody reads and the next writer removes.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Literal

from fiat.builtin.child_checkpoint_entry import Entry, Keeping, is_checkpoint

INDEX, LOCK = "index.json", ".lock"
_PART = ".part-"
_CHUNK_BYTES = 1 << 20


class HashingFile:
    """What is written to a file goes through a digest on its way.

    Attributes:
        fault: what the disk said when it refused, None when it did not.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.fault: OSError | None = None
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Write all of the data; gives their size in bytes.

        Raises:
            OSError: the disk refused.
        """
        self._hash.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.fault = error
            raise

    def flush(self) -> None:
        """Nothing is held here."""

    def hexdigest(self) -> str:
        """SHA-256 of everything so far."""
        return self._hash.hexdigest()


class CheckpointFolder:
    """Reads and writes one folder. Several processes may do so at once: each write is under a lock.

    Args:
        folder: where; it is made when it is missing.

    Attributes:
        folder: where.
        unfit: names of checkpoints that were found to be damaged or of other work: they take nobody's place, and go with
            the next write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unfit: set[str] = set()

    def entries(self) -> list[Entry]:
        """All that are there, older ones first. What the index does not know is taken by its name."""
        there = {name for name in self._names() if is_checkpoint(name)}
        known = {entry.file: entry for entry in _read_index(self.folder / INDEX) if entry.file in there}
        newest = max((entry.number for entry in known.values()), default=0)
        others = [Entry(name) for name in there - known.keys()]
        # An index may be lost, and one from before a loss of power come back: what is newer than all in it counts.
        found = [*known.values(), *(entry for entry in others if entry.number > newest)]
        return sorted(found, key=lambda entry: entry.number)

    def open(self, entry: Entry) -> BinaryIO | None:
        """The file of a checkpoint; None when it is gone.

        Raises:
            OSError: the disk refused.
        """
        with suppress(FileNotFoundError):
            return (self.folder / entry.file).open("rb")
        return None

    def add(
        self,
        write: Callable[[HashingFile], object],
        suffix: Literal["pt", "pkl"],
        about: Callable[[str], Entry],
        keeping: Keeping,
    ) -> Entry:
        """Write one more, and remove those that do not stay.

        Args:
            write: writes its bytes.
            suffix: of its name: what wrote it.
            about: gives the entry of a file name.
            keeping: which stay.

        Raises:
            OSError: the disk refused; nothing has changed then.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():  # who finds a draft without a lock takes it for a dead writer's
            descriptor, draft = tempfile.mkstemp(prefix=_PART, dir=self.folder)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            with open(descriptor, "wb") as file:
                hashing = HashingFile(file)
                write(hashing)
                file.flush()
                os.fsync(descriptor)
                with self._locked():
                    return self._take(Path(draft), f"{hashing.hexdigest()}.{suffix}", about, keeping)
        finally:
            Path(draft).unlink(missing_ok=True)

    def _take(self, draft: Path, name: str, about: Callable[[str], Entry], keeping: Keeping) -> Entry:
        entries = self.entries()
        number = 1 + max((entry.number for entry in entries), default=0)
        entry = about(f"{number:08}-{name}")
        # First the index: what it names and is not there is nothing, but without its metrics one can't be the best.
        _write_index(self.folder / INDEX, [*entries, entry])
        draft.rename(self.folder / entry.file)
        _sync(self.folder)
        kept = keeping.kept([*(one for one in entries if one.file not in self.unfit), entry])
        self._remove_all_but({one.file for one in kept})
        return entry

    def _remove_all_but(self, kept: set[str]) -> None:
        for name in self._names():
            path = self.folder / name
            stale = name not in kept if is_checkpoint(name) else name.startswith(_PART) and _is_dead(path)
            if stale:
                with suppress(OSError):  # the new one is in; this one is tried again with the next
                    path.unlink()

    def _names(self) -> list[str]:
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.listdir(self.folder)
        return []

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with suppress(OSError):  # a disk without locks has one writer: ours
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def digest_of(file: BinaryIO) -> str:
    """SHA-256 of a file from its beginning; it stands at its beginning afterwards."""
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _read_index(path: Path) -> list[Entry]:
    """What the index says; nothing when it is missing or damaged: the names of the files say enough."""
    try:
        document = json.loads(path.read_text("utf-8"))
        return [
            Entry(str(item["file"]), item["step"], dict(item["metrics"]), float(item["saved_at"]))
            for item in document["checkpoints"]
            if is_checkpoint(str(item["file"]))
        ]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _write_index(path: Path, entries: Sequence[Entry]) -> None:
    draft = path.with_name(f"{_PART}{INDEX}")
    document = {"format": 1, "checkpoints": [asdict(entry) for entry in entries]}
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


def _is_dead(draft: Path) -> bool:
    """Whether nobody writes it any more: a writer holds its lock, which the kernel gives back at their death."""
    try:
        with draft.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
