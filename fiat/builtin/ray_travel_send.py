"""The way home from a node that does not see the store: whom to send to, and how files get there."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError

from fiat.builtin.ray_desk_door import WORDS, patiently
from fiat.builtin.ray_travel_parcel import Item, Piece, Torn, in_chunks
from fiat.builtin.ray_travel_paths import Moves
from fiat.builtin.ray_travel_remote import send_large
from fiat.data.dvc_carry import Carrier

PATIENCE_S = 120.0
"""For an answer to something short."""
BULK_PATIENCE_S = 1800.0
"""For an answer that takes reading or writing large files, maybe behind others."""
_WINDOW = 4
Source = Path | BufferedReader | bytes


@dataclass
class Tail:
    """A log here, and where its lines go."""

    here: Path
    home: str
    offset: int = 0

    def read(self, most_bytes: int, *, all_of_it: bool) -> bytes:
        """What is new: whole lines, or at the end everything."""
        try:
            with open(self.here, "rb") as file:
                file.seek(self.offset)
                chunk = file.read(most_bytes)
        except OSError:
            return b""
        if not all_of_it and len(chunk) < most_bytes:
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
        scratch: folder here that user code does not see.
        checkpoints: the folder here and the one at home; None when it may have none.
        ledger: of a study: the folder here and the one at home; the logs of its trials are in there.
        carrier: how large outputs travel; None when only in pieces.
        most_bytes: most that the job may write; None is no limit.
        tails: logs that are told; the first one is the job's.
    """

    desk: Any
    base: str
    cancel: str
    back: Moves
    scratch: Path
    checkpoints: tuple[Path, str] | None = None
    ledger: tuple[Path, str] | None = None
    carrier: Carrier | None = None
    most_bytes: int | None = None
    tails: list[Tail] = field(default_factory=list)

    def begin(self, started: Path) -> None:
        """Say that the job has begun; `started` is the file at home that says so."""
        begin = self.desk.begin.options(concurrency_group=WORDS)
        patiently(lambda: ray.get(begin.remote(str(started)), timeout=PATIENCE_S), PATIENCE_S)

    def say(self, said: Sequence[tuple[str, bytes]]) -> bool:
        """Add to logs at home, and ask whether the job shall end. A desk that is killed meanwhile may write twice."""
        hear = self.desk.hear.options(concurrency_group=WORDS)
        return patiently(
            lambda: bool(ray.get(hear.remote(said, self.cancel), timeout=PATIENCE_S)), PATIENCE_S
        )

    def note(self, sentence: str) -> None:
        """Add a sentence of ours to the job's log."""
        self.say([(self.tails[0].home, f"[fiat] {sentence}\n".encode("utf-8", "backslashreplace"))])


def send_outputs(home: Home, here: Path, items: Sequence[Item]) -> None:
    """Bring home what a job has made, each file whole or not at all.

    Args:
        home: of the job.
        here: its scratch folder, in which nothing runs any more.
        items: what is in there.

    Raises:
        OSError: the disk refused.
        RayError: the way is cut.
    """
    patiently(partial(_send_outputs, home, here, items), PATIENCE_S)


def _send_outputs(home: Home, here: Path, items: Sequence[Item]) -> None:
    draft, missing = ray.get(home.desk.offer.remote(home.base, list(items)), timeout=BULK_PATIENCE_S)
    sources = {item.digest: here / item.path for item in items if item.digest in missing}
    wanted = list({item.digest: item for item in items if item.digest in missing}.values())
    arrived, fault = send_large(home.desk, home.carrier, draft, home.scratch, sources, wanted)
    if fault:
        home.note(f"goes in pieces, since the way by the remote failed: {fault}")
    _send_pieces(home, draft, sources, [item for item in wanted if item.digest not in arrived])
    ray.get(home.desk.settle.remote(draft, home.base, list(items)), timeout=BULK_PATIENCE_S)


def send_checkpoints(
    home: Home, there: str, items: Sequence[Item], sources: Mapping[str, Source], gone: Sequence[str]
) -> None:
    """Bring home what changed among the checkpoints, in pieces: what is sent to a remote is never removed there.

    Args:
        home: of the job.
        there: the folder at home.
        items: the files, in the order in which they get their names.
        sources: digest to content.
        gone: paths of those that were removed here.

    Raises:
        Torn: one changed meanwhile, or the desk was killed: they are to be sent again.
        RayError: the way is cut.
    """
    try:
        draft, missing = ray.get(
            home.desk.offer.remote(home.base, list(items), there), timeout=BULK_PATIENCE_S
        )
        try:
            _send_pieces(home, draft, sources, [item for item in items if item.digest in missing])
        except Torn:
            ray.get(home.desk.drop.remote(draft), timeout=BULK_PATIENCE_S)
            raise
        settled = home.desk.settle.remote(draft, there, list(items), list(gone), kept=True)
        ray.get(settled, timeout=BULK_PATIENCE_S)
    except ActorUnavailableError:
        raise Torn("the desk was killed while they were sent") from None


def _send_pieces(home: Home, draft: str, sources: Mapping[str, Source], items: Sequence[Item]) -> None:
    pending: list[Any] = []
    for chunk in in_chunks(items):
        contents = [part_of(sources[piece.digest], piece) for piece in chunk]
        pending.append(home.desk.write.remote(draft, chunk, contents))
        if len(pending) >= _WINDOW:
            ray.get(pending.pop(0), timeout=BULK_PATIENCE_S)
    ray.get(pending, timeout=BULK_PATIENCE_S)


def part_of(source: Source, piece: Piece) -> bytes:
    """A part of a content.

    Raises:
        Torn: it is shorter than it was.
        OSError: the disk refused.
    """
    if isinstance(source, Path):
        with open(source, "rb") as file:
            return part_of(file, piece)
    if isinstance(source, bytes):
        content = source[piece.offset : piece.offset + piece.size_bytes]
    else:
        content = os.pread(source.fileno(), piece.size_bytes, piece.offset)
    if len(content) != piece.size_bytes:
        raise Torn("a file became shorter while it was sent")
    return content
