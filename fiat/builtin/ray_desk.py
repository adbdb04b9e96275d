"""The desk of a Ray: an actor beside the store that hands out what jobs on other nodes need and takes what they make.

It is there only for a Ray that was not started by us, whose nodes may not see the store's folder. All nodes of one
Ray trust each other: whoever has its token can run anything on any of them.
"""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from fiat.builtin.ray_travel_parcel import (
    CHECKPOINTS,
    ROOT,
    WORK,
    Item,
    Parcel,
    Piece,
    Torn,
    checked_path,
    checkpoint_items,
    code_items,
    hash_file,
    is_named_by_content,
    object_digest,
    root_of,
    scratch_items,
    scratch_of,
)
from fiat.data.dvc_carry import Carrier
from fiat.ports.compute import Job

DISTRIBUTION = "fiat-ml"
_HANDED_ON_BYTES = 1 << 20
_ARRIVING = ".arriving-"
_PLACES = 8


class Desk:
    """Reads and writes beside the store. Its methods are called from other nodes, several at once."""

    def __init__(self, python: str) -> None:
        """Nothing is read yet.

        Args:
            python: the interpreter that jobs name.
        """
        self._python = python
        self._build = version(DISTRIBUTION)
        self._known: dict[str, dict[Path, tuple[int, int]]] = {}
        self._hashed: dict[tuple[int, ...], str] = {}
        self._given: dict[str, frozenset[str]] = {}
        self._carrier: Carrier | None = None

    def equip(self, carrier: Carrier) -> None:
        """Be told how large files travel: by the store's remote."""
        self._carrier = carrier.here(os.environ)

    def pack(self, job: Job) -> Parcel:
        """List what a job needs.

        Raises:
            OSError: the disk refused, or the job is over.
        """
        notes: list[str] = []
        base, root = scratch_of(job), root_of(job)
        items = [*code_items(root, self._digest, notes), *scratch_items(base, job.work_dir, self._digest)]
        folders = {ROOT: str(root), WORK: str(base)}
        if job.checkpoints is not None:
            folders[CHECKPOINTS] = str(job.checkpoints)
            items += checkpoint_items(job.checkpoints, self._digest)
        self._given[str(base)] = frozenset(item.digest for item in items if item.place == WORK)
        return Parcel(tuple(items), folders, self._python, self._build, self._carrier, tuple(notes))

    def read(self, pieces: Sequence[Piece]) -> list[bytes]:
        """Parts of files that were listed.

        Raises:
            Torn: one of them has changed since, or is gone.
            OSError: the disk refused.
        """
        return [self._read(piece) for piece in pieces]

    def push(self, digests: Sequence[str]) -> frozenset[str]:
        """Send objects of the store to its remote, for a node to fetch them there.

        Returns:
            The digests of those that are there now: only what lies in a cache that DVC knows can be sent.

        Raises:
            EnvironmentFault: DVC or the remote refused.
            Torn: one of them is gone.
            OSError: the disk refused.
        """
        caches: dict[Path, list[str]] = {}
        for digest in digests:
            path = self._place_of(digest)
            if object_digest(path):
                caches.setdefault(path.parents[3], []).append(digest)
        for cache, held in caches.items():
            assert self._carrier is not None  # noqa: S101 - the parcel said so
            with tempfile.TemporaryDirectory() as scratch:
                self._carrier.carry("push", sorted(held), cache=cache, scratch=Path(scratch))
        return frozenset(digest for held in caches.values() for digest in held)

    def fetch(self, draft: str, digests: Sequence[str]) -> None:
        """Fetch what was offered and lies in the remote now.

        Raises:
            EnvironmentFault: DVC or the remote refused.
            OSError: the disk refused.
        """
        assert self._carrier is not None  # noqa: S101 - the parcel said so
        cache = Path(draft) / "cache"
        self._carrier.carry("fetch", sorted(digests), cache=cache, scratch=Path(draft))
        for digest in digests:
            place = cache / "files" / "md5" / digest[:2] / digest[2:]
            if place.exists():  # what is missing does not arrive whole, and `settle` says so
                place.replace(Path(draft) / _name(digest))

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

    def offer(self, base: str, items: Sequence[Item], kept: str | None = None) -> tuple[str, frozenset[str]]:
        """Make room for files that come.

        Args:
            base: scratch folder of their job.
            items: the files.
            kept: the folder that they come into, when it holds earlier ones of theirs.

        Returns:
            A draft folder for them, and the digests of those whose content must be sent: what the job was given itself
            needs not, nor what is there already under a name that says what it is.
        """
        draft = Path(base) / f"{_ARRIVING}{os.urandom(8).hex()}"
        draft.mkdir(mode=0o700)
        given = self._given.get(base, frozenset())
        missing = set()
        for item in items:
            there = kept is not None and _is_there(Path(kept), item)
            if item.digest and not there and not (item.digest in given and self._hand_on(item, draft)):
                missing.add(item.digest)
        return str(draft), frozenset(missing)

    def write(self, draft: str, pieces: Sequence[Piece], contents: Sequence[bytes]) -> None:
        """Take parts of files that were offered."""
        for piece, content in zip(pieces, contents, strict=True):
            fd = os.open(Path(draft) / _name(piece.digest), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            with open(fd, "r+b", buffering=0) as file:
                file.seek(piece.offset)
                file.write(content)

    def settle(self, draft: str, target: str, items: Sequence[Item], *, alone: bool = False) -> None:
        """Give offered files their names, in their order, each whole or not at all.

        Args:
            draft: where their contents are; it is removed.
            target: the folder that they come into.
            items: the files and folders.
            alone: what else is in the target goes away, and all is flushed: they are checkpoints.

        Raises:
            Torn: something did not arrive as it was offered.
            OSError: the disk refused.
        """
        left = Counter(item.digest for item in items)
        for item in items:
            left[item.digest] -= 1
            place = Path(target) / checked_path(item.path)
            if not item.digest:
                place.mkdir(parents=True, exist_ok=True)
            elif not (alone and _is_there(Path(target), item)):
                _settle_file(Path(draft), place, item, flush=alone, again=left[item.digest] > 0)
        if alone:
            _flush(Path(target))
            _remove_others(Path(target), {item.path for item in items})
        shutil.rmtree(draft, ignore_errors=True)

    def _read(self, piece: Piece) -> bytes:
        with self._place_of(piece.digest).open("rb") as file:
            file.seek(piece.offset)
            content = file.read(piece.size_bytes)
        if len(content) != piece.size_bytes:
            raise Torn("a file is shorter than it was")
        return content

    def _digest(self, path: Path) -> str:
        real = Path(os.path.realpath(path))
        about = real.stat()
        stamp = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        digest = object_digest(real) or self._hashed.get(stamp) or hash_file(real)
        self._hashed[stamp] = digest
        places = self._known.setdefault(digest, {})
        places.pop(real, None)
        places[real] = (about.st_size, about.st_mtime_ns)
        for old in list(places)[:-_PLACES]:
            places.pop(old, None)
        return digest

    def _place_of(self, digest: str) -> Path:
        """Where a content still is: scratch folders of other jobs, which had it too, come and go.

        Raises:
            Torn: nowhere.
        """
        for path, stamp in reversed(tuple(self._known.get(digest, {}).items())):
            with suppress(OSError):
                about = path.stat()
                if (about.st_size, about.st_mtime_ns) == stamp:
                    return path
        raise Torn("a file changed or went while its job was on its way")

    def _hand_on(self, item: Item, draft: Path) -> bool:
        """Use what the job was given in place of what it gives back, if that is the same."""
        place = draft / item.digest
        if place.is_symlink() or place.exists():
            return True
        with suppress(OSError, Torn):
            path = self._place_of(item.digest)
            if item.size_bytes > _HANDED_ON_BYTES and object_digest(path):
                place.symlink_to(path)
            else:
                shutil.copyfile(path, place)
            return True
        return False


def _name(digest: str) -> str:
    if not digest.isalnum():
        raise ValueError(f"{digest!r} is no digest")
    return digest


def _is_there(folder: Path, item: Item) -> bool:
    """Whether a file that is named by its content has come already."""
    with suppress(OSError):
        return is_named_by_content(item.path) and (folder / item.path).stat().st_size == item.size_bytes
    return False


def _settle_file(draft: Path, place: Path, item: Item, *, flush: bool, again: bool) -> None:
    source = draft / _name(item.digest)
    if not item.size_bytes and not source.exists():
        source.touch()
    if source.stat().st_size != item.size_bytes or not (
        source.is_symlink() or hash_file(source) == item.digest
    ):
        raise Torn(f"{item.path} did not arrive whole")
    place.parent.mkdir(parents=True, exist_ok=True)
    if again:  # the same content stands at several paths
        copy = draft / f"{item.digest}.copy"
        shutil.copyfile(source, copy, follow_symlinks=False)
        source = copy
    if not source.is_symlink():
        source.chmod(0o755 if item.executable else 0o644)
        if flush:
            _flush(source)
    source.replace(place)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_others(folder: Path, kept: set[str]) -> None:
    for path in folder.iterdir():
        if path.name not in kept and not path.name.startswith(".") and path.is_file():
            path.unlink(missing_ok=True)
