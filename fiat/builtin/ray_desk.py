"""The desk of a Ray: an actor beside the store that hands out what jobs on other nodes need and takes what they make.

It is there only for a Ray that was not started by us, whose nodes may not see the store's folder. All nodes of one
Ray trust each other: whoever has its token can run anything on any of them. User code is not trusted: what it may
write, here and there, is read and written without following links.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from fiat.builtin.ray_desk_arrivals import digest_name, is_there, make_draft, settle_items, write_pieces
from fiat.builtin.ray_desk_files import KnownFiles
from fiat.builtin.ray_travel_build import Build, build_here
from fiat.builtin.ray_travel_parcel import (
    CHECKPOINTS,
    ROOT,
    WORK,
    Item,
    Parcel,
    Piece,
    Torn,
    checkpoint_items,
    code_items,
    is_code_name,
    object_digest,
    root_of,
    scratch_items,
    scratch_of,
)
from fiat.data.dvc_carry import Carrier
from fiat.ports.compute import Job

_HANDED_ON_BYTES = 1 << 20


class Desk:
    """Reads and writes beside the store. Its methods are called from other nodes, several at once."""

    def __init__(self, python: str) -> None:
        """Nothing is read yet.

        Args:
            python: the interpreter that jobs name.
        """
        self._python = python
        self._build = build_here()
        self._files = KnownFiles()
        self._given: dict[str, frozenset[str]] = {}
        self._carrier: Carrier | None = None
        self._sending = threading.Lock()

    def equip(self, carrier: Carrier) -> None:
        """Be told how large files travel: by the store's remote."""
        self._carrier = carrier.here(os.environ)

    def build(self) -> Build:
        """What is installed here, in words that any version understands."""
        return self._build

    def pack(self, job: Job, trial: str = "") -> Parcel:
        """List what a job needs.

        Args:
            job: what is to be run elsewhere.
            trial: the folder among its checkpoints that it needs; empty is all.

        Raises:
            OSError: the disk refused, or the job is over.
        """
        notes: list[str] = []
        base, root = scratch_of(job), root_of(job)
        digest = self._files.digest
        items = [*code_items(root, digest, notes), *scratch_items(base, job.work_dir, digest)]
        folders = {ROOT: str(root), WORK: str(base)}
        if job.checkpoints is not None:
            folders[CHECKPOINTS] = str(job.checkpoints)
            items += checkpoint_items(job.checkpoints, self._files.digest_beneath, trial)
        self._given[str(base)] = frozenset(item.digest for item in items if item.place == WORK)
        return Parcel(tuple(items), folders, self._python, self._carrier, tuple(notes))

    def read(self, pieces: Sequence[Piece]) -> list[bytes]:
        """Parts of files that were listed.

        Raises:
            Torn: one of them has changed since, or is gone.
            OSError: the disk refused.
        """
        return [self._files.read(piece) for piece in pieces]

    def push(self, digests: Sequence[str]) -> frozenset[str]:
        """Send objects of the store to its remote, for nodes to fetch them there; one push at a time.

        Returns:
            The digests of those that are there now: only what lies in a cache that DVC knows can be sent.

        Raises:
            EnvironmentFault: DVC or the remote refused.
            Torn: one of them is gone.
            OSError: the disk refused.
        """
        caches: dict[Path, list[str]] = {}
        for digest in digests:
            path = self._files.place(digest)
            if object_digest(path):
                caches.setdefault(path.parents[3], []).append(digest)
        # Several nodes ask for the same at once: those behind the first find it in the remote.
        with self._sending:
            for cache, held in caches.items():
                with tempfile.TemporaryDirectory() as scratch:
                    self._way().carry("push", sorted(held), cache=cache, scratch=Path(scratch))
        return frozenset(digest for held in caches.values() for digest in held)

    def fetch(self, draft: str, digests: Sequence[str]) -> None:
        """Fetch what was offered and lies in the remote now.

        Raises:
            EnvironmentFault: DVC or the remote refused.
            OSError: the disk refused.
        """
        cache = Path(draft) / "cache"
        self._way().carry("fetch", sorted(digests), cache=cache, scratch=Path(draft))
        for digest in digests:
            place = cache / "files" / "md5" / digest[:2] / digest[2:]
            if place.exists():  # what is missing does not arrive whole, and `settle` says so
                place.replace(Path(draft) / digest_name(digest))

    def begin(self, path: str) -> None:
        """Make the file that says that a job has begun."""
        Path(path).touch()

    def hear(self, said: Sequence[tuple[str, bytes]], cancel_path: str) -> bool:
        """Add to logs, and tell whether the job shall end.

        Args:
            said: log file and what comes to its end.
            cancel_path: the file that means so.

        Raises:
            OSError: the disk refused, or the job is over.
        """
        for path, lines in said:
            with open(path, "ab") as file:
                file.write(lines)
        cancel = Path(cancel_path)
        return cancel.exists() or not cancel.parent.is_dir()

    def has(self, root: str, names: Sequence[str]) -> tuple[str, ...]:
        """Which of these are files of a checkout; who asks may lie, and is told of nothing else."""
        return tuple(name for name in names if is_code_name(name) and (Path(root) / name).is_file())

    def offer(self, base: str, items: Sequence[Item], kept: str | None = None) -> tuple[str, frozenset[str]]:
        """Make room for files that come.

        Args:
            base: scratch folder of their job.
            items: the files.
            kept: the folder that they come into, when it holds earlier ones of theirs.

        Returns:
            A draft folder for them, and the digests of those whose content must be sent: what the job was given itself
            needs not, nor what is there already under a name that says what it is.

        Raises:
            OSError: the disk refused, or the job is over.
        """
        draft = make_draft(Path(base))
        given = self._given.get(base, frozenset())
        missing = set()
        for item in items:
            there = kept is not None and is_there(Path(kept), item)
            if item.digest and not there and not (item.digest in given and self._hand_on(item, draft)):
                missing.add(item.digest)
        return str(draft), frozenset(missing)

    def write(self, draft: str, pieces: Sequence[Piece], contents: Sequence[bytes]) -> None:
        """Take parts of files that were offered."""
        write_pieces(Path(draft), pieces, contents)

    def drop(self, draft: str) -> None:
        """Remove a draft folder of which nothing comes."""
        shutil.rmtree(draft, ignore_errors=True)

    def settle(
        self, draft: str, target: str, items: Sequence[Item], gone: Sequence[str] = (), *, kept: bool = False
    ) -> None:
        """Give offered files their names, see `settle_items`; the draft folder is removed, however that goes.

        Raises:
            Torn: something did not arrive as it was offered.
            OSError: the disk refused.
        """
        try:
            settle_items(Path(draft), Path(target), items, gone, kept=kept)
        finally:
            self.drop(draft)

    def _way(self) -> Carrier:
        if self._carrier is None:  # this process was started again, and nobody has told it yet
            raise Torn("the desk was started again and does not know the store's remote yet")
        return self._carrier

    def _hand_on(self, item: Item, draft: Path) -> bool:
        """Use what the job was given in place of what it gives back, if that is the same."""
        place = draft / item.digest
        if place.is_symlink() or place.exists():
            return True
        with suppress(OSError, Torn):
            path = self._files.place(item.digest)
            if item.size_bytes > _HANDED_ON_BYTES and object_digest(path):
                place.symlink_to(path)
            else:
                shutil.copyfile(path, place)
            return True
        return False
