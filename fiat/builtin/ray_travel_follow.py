"""What goes home while a job runs on another node: lines of its logs, its checkpoints; and the wish to end it comes back."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from fiat.builtin.ray_travel_parcel import (
    CHECKPOINTS,
    Item,
    files_of,
    hash_file,
    in_chunks,
    is_named_by_content,
)
from fiat.builtin.ray_travel_paths import Moves
from fiat.builtin.ray_travel_remote import send_large
from fiat.data.dvc_carry import Carrier

PATIENCE_S = 120.0
_TICK_S = 0.2
_CHECKPOINTS_S = 1.0
_LINES_BYTES = 4 << 20
_WINDOW = 4
Stamp = tuple[int, int]


@dataclass
class Tail:
    """A log here, and where its lines go."""

    here: Path
    home: str
    offset: int = 0

    def read(self, *, all_of_it: bool) -> bytes:
        """What is new: whole lines, or at the end everything."""
        try:
            with open(self.here, "rb") as file:
                file.seek(self.offset)
                chunk = file.read(_LINES_BYTES)
        except OSError:
            return b""
        if not all_of_it and len(chunk) < _LINES_BYTES:
            chunk = chunk[: chunk.rfind(b"\n") + 1]
        self.offset += len(chunk)
        return chunk


@dataclass
class Home:
    """Where the things of one job go.

    Attributes:
        desk: the actor beside the store.
        base: scratch folder of the job at home.
        cancel: file at home whose existence cancels the job.
        back: from our paths to those at home.
        checkpoints: the folder here; None when it may have none.
        ledger: of a study: the folder here and the one at home; the logs of its trials are in there.
        carrier: how large files travel; None when only in pieces.
        tails: logs that are told; the first one is the job's.
    """

    desk: Any
    base: str
    cancel: str
    back: Moves
    checkpoints: Path | None = None
    ledger: tuple[Path, str] | None = None
    carrier: Carrier | None = None
    tails: list[Tail] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Add a sentence of ours to the job's log."""
        ray.get(self.desk.hear.remote([(self.tails[0].home, f"[fiat] {sentence}\n".encode())], self.cancel))


class Follower:
    """A thread that does it until it is told that the job has ended.

    Args:
        home: where things go.
        cancel: called when the job shall end.
    """

    def __init__(self, home: Home, cancel: Callable[[], None]) -> None:
        self._home = home
        self._cancel = cancel
        self._ended = threading.Event()
        self._stamps: dict[Path, dict[str, Stamp]] = {}
        self._digests: dict[tuple[str, int, int], str] = {}
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="fiat-follower", daemon=True)

    def start(self) -> None:
        """Begin; what is there now is known at home."""
        self._stamps = self._look()
        self._thread.start()

    def stop(self) -> None:
        """Leave off; what was not sent yet stays here."""
        self._ended.set()
        self._thread.join()

    def finish(self) -> None:
        """Send what is left.

        Raises:
            Exception: what cut the way home.
        """
        self._ended.set()
        self._thread.join()
        if self.fault is not None:
            raise self.fault

    def _run(self) -> None:
        looked_at = time.monotonic()
        try:
            while True:
                ended = self._ended.wait(_TICK_S)
                self._hear(all_of_it=ended)
                if ended or time.monotonic() - looked_at >= _CHECKPOINTS_S:
                    self._send_checkpoints()
                    looked_at = time.monotonic()
                if ended:
                    return
        except Exception as error:
            self.fault = error
            self._cancel()

    def _hear(self, *, all_of_it: bool) -> None:
        home = self._home
        if home.ledger is not None:
            here, there = home.ledger
            known = {tail.here for tail in home.tails}
            home.tails += [
                Tail(path, f"{there}/{path.name}") for path in here.glob("*.log") if path not in known
            ]
        while True:
            said = [
                (tail.home, self._told(lines))
                for tail in home.tails
                if (lines := tail.read(all_of_it=all_of_it))
            ]
            if ray.get(home.desk.hear.remote(said, home.cancel), timeout=PATIENCE_S):
                self._cancel()
            if not (said and all_of_it):
                return

    def _told(self, lines: bytes) -> bytes:
        return self._home.back.text(lines.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )

    def _send_checkpoints(self) -> None:
        """Each folder by itself: those of other trials may be written on other nodes."""
        for here, stamps in self._look().items():
            if stamps == self._stamps.get(here):
                continue
            try:
                items = sorted(files_of(here, CHECKPOINTS, self._digest), key=_index_last)
                send_items(self._home, here, self._home.back.text(str(here)), items, alone=True)
            except FileNotFoundError:
                continue  # one was removed meanwhile: the next look sees the folder as it is then
            self._stamps[here] = stamps

    def _look(self) -> dict[Path, dict[str, Stamp]]:
        """Size and time of what lies in the folder for checkpoints, and in each one in it."""
        top = self._home.checkpoints
        if top is None:
            return {}
        folders = [top, *(path for path in top.rglob("*") if path.is_dir() and not path.is_symlink())]
        return {folder: stamps for folder in folders if (stamps := dict(_stamps(folder)))}

    def _digest(self, path: Path) -> str:
        about = path.stat()
        stamp = (str(path), about.st_size, about.st_mtime_ns)
        if stamp not in self._digests:
            self._digests[stamp] = hash_file(path)
        return self._digests[stamp]


def send_items(home: Home, here: Path, there: str, items: Sequence[Item], *, alone: bool = False) -> None:
    """Bring files home, each whole or not at all.

    Args:
        home: of the job.
        here: the folder that they lie in.
        there: the folder at home that they come into.
        items: the files, in the order in which they get their names.
        alone: see `Desk.settle`.

    Raises:
        OSError: the disk refused.
        RayError: the way is cut.
    """
    draft, missing = ray.get(
        home.desk.offer.remote(home.base, list(items), there if alone else None), timeout=PATIENCE_S
    )
    wanted = [item for item in items if item.digest in missing]
    arrived, fault = send_large(home.desk, home.carrier, draft, here, wanted)
    if fault:
        home.note(f"goes in pieces, since the way by the remote failed: {fault}")
    missing -= arrived
    sources = {item.digest: here / item.path for item in items if item.digest in missing}
    pending: list[Any] = []
    for chunk in in_chunks([item for item in items if item.digest in missing]):
        contents = [_part(sources[piece.digest], piece.offset, piece.size_bytes) for piece in chunk]
        pending.append(home.desk.write.remote(draft, chunk, contents))
        if len(pending) >= _WINDOW:
            ray.get(pending.pop(0), timeout=PATIENCE_S)
    ray.get(pending, timeout=PATIENCE_S)
    ray.get(home.desk.settle.remote(draft, there, list(items), alone=alone))


def _part(path: Path, offset: int, size_bytes: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        content = file.read(size_bytes)
    if len(content) != size_bytes:
        raise FileNotFoundError(f"{path} became shorter")
    return content


def _stamps(folder: Path) -> Iterator[tuple[str, Stamp]]:
    for path in folder.iterdir():
        with suppress(OSError):
            if not path.name.startswith(".") and path.is_file():
                about = path.stat()
                yield path.name, (about.st_size, about.st_mtime_ns)


def _index_last(item: Item) -> tuple[bool, str]:
    """An index that names others comes after them."""
    return (not is_named_by_content(item.path), item.path)
