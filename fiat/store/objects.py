"""Single objects of the cache: where each lies, how one comes there whole, and how a changed one is found out."""

# Paths are plain text in this file: with 50,000 files the making of Path objects would cost more than the work.
# ruff: noqa: PTH101, PTH103, PTH105, PTH108, PTH110, PTH116, PTH120

import hashlib
import itertools
import os
import stat
from contextlib import suppress
from pathlib import Path

from fiat.errors import SpecError
from fiat.store.faults import disk_faults
from fiat.store.trees import DIR, hash_bytes

READ_ONLY = 0o444
CHUNK_BYTES = 1 << 20
_FIRST_MARK_S = 946_684_800  # 2000-01-01; marks reach eight years from there, long before any real write


class Objects:
    """The folder `cache/files/md5/ab/cdef...` in DVC 3's layout.

    An object gets the **mark** of its digest as modification time: a moment between 2000 and 2008 that
    follows from the digest. Whoever writes into the object moves that time to the present, so a bare `stat`
    tells that it changed, without a table that could be lost, for every process that shares the cache, and
    with no moment in which a change could hide behind the clock's grain. What came without a mark (by `dvc
    fetch`, or a restored backup) is hashed once and then marked.

    Args:
        root: the `.fiat` folder.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "cache" / "files" / "md5"
        self.drafts = root / "tmp"
        self._count = itertools.count()
        self._prefix = str(self.folder) + "/"

    def path(self, digest: str) -> str:
        """Where the object of this digest lies or would lie."""
        return f"{self._prefix}{digest[:2]}/{digest[2:]}"

    def has(self, digest: str) -> bool:
        """Whether there is an object of this name, whole or not."""
        return os.path.exists(self.path(digest))

    def draft(self) -> str:
        """A name beside the cache that no other process or thread uses; `gc` removes it when the process is dead."""
        return f"{self.drafts}/{os.getpid()}-{next(self._count)}-{os.urandom(4).hex()}"

    def take(self, path: str, *, move: bool) -> tuple[str, int]:
        """Make a file an object.

        Args:
            path: a regular file, or a link to one.
            move: the file may be used up: it becomes the object itself when that is safe.

        Returns:
            (digest, size in bytes).

        Raises:
            SpecError: the file changes while it is read.
            EnvironmentFault: the disk refused.
        """
        with disk_faults(self.folder):
            before = os.lstat(path)
            # A second name of the file, or a link, would let somebody write into the cache.
            if move and stat.S_ISREG(before.st_mode) and before.st_nlink == 1 and self._may_move(before):
                digest = hash_file(path)
                after = os.lstat(path)
                if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                    raise SpecError(
                        f"the output {path} changes while it is stored",
                        hint="a process of the step is still writing; let the step wait for it",
                    )
                self._settle(path, digest)
                return digest, after.st_size
            draft = self.draft()
            try:
                digest, size_bytes = _copy_hashing(path, draft)
                self._settle(draft, digest)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(draft)
            if move:
                os.unlink(path)
            return digest, size_bytes

    def write(self, content: bytes, suffix: str = "") -> str:
        """Make some bytes an object; gives its digest with the suffix (`.dir`).

        Raises:
            EnvironmentFault: the disk refused.
        """
        digest = hash_bytes(content) + suffix
        with disk_faults(self.folder):
            draft = self.draft()
            try:
                with open(draft, "wb") as file:
                    file.write(content)
                self._settle(draft, digest)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(draft)
        return digest

    def is_whole(self, digest: str, *, rehash: bool = False, mend: bool = True) -> bool:
        """Whether the object is there and holds what its name says; a damaged one is removed.

        Args:
            digest: of a file, or of a folder's list with `.dir`.
            rehash: read it all, instead of trusting its mark.
            mend: remove a damaged one, mark a good one; False to leave everything as it is.

        Raises:
            EnvironmentFault: the disk refused.
        """
        path = self.path(digest)
        try:
            facts = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not rehash and facts.st_mtime == mark_of(digest) and stat.S_ISREG(facts.st_mode):
            return True
        with disk_faults(Path(path)):
            try:
                intact = hash_file(path) == digest.removesuffix(DIR)
            except (FileNotFoundError, IsADirectoryError):
                return False
            if not mend:
                return intact
            if intact:
                with suppress(
                    PermissionError
                ):  # another user's object stays unmarked: hashed again each time
                    self._mark(path, digest)
                return True
            with suppress(FileNotFoundError):
                if os.stat(path).st_ino == facts.st_ino:  # else somebody has just put a good one there
                    os.unlink(path)
            return False

    def sync(self, digests: list[str]) -> None:
        """Flush the folders' entries of these new objects to the disk.

        Raises:
            EnvironmentFault: the disk refused.
        """
        for prefix in sorted({digest[:2] for digest in digests}):
            folder = f"{self._prefix}{prefix}"
            with disk_faults(Path(folder)):
                _flush(folder)

    def _settle(self, draft: str, digest: str) -> None:
        """Give a complete draft its name; what bears the name already and is whole stays."""
        path = self.path(digest)
        if os.path.exists(path) and self.is_whole(digest):
            with suppress(PermissionError, FileNotFoundError):
                self._mark(path, digest)  # moves its change time, so that `gc` sees that it is wanted again
                os.unlink(draft)
                return
        self._mark(draft, digest)
        _flush(draft)
        try:
            os.replace(draft, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.replace(draft, path)
            _flush(str(self.folder))

    def _mark(self, path: str, digest: str) -> None:
        os.chmod(path, READ_ONLY)
        mark = mark_of(digest)
        os.utime(path, (mark, mark))

    def _may_move(self, facts: os.stat_result) -> bool:
        mine = os.geteuid() in (0, facts.st_uid)
        return mine and facts.st_dev == os.stat(self.drafts).st_dev


def mark_of(digest: str) -> int:
    """The modification time of the object of this digest, in seconds; even, for file systems that round to two."""
    return _FIRST_MARK_S + int(digest[:7], 16) // 2 * 2


def hash_file(path: str) -> str:
    """MD5 of a file's content, 32 hex digits.

    Raises:
        OSError: it can't be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(descriptor, CHUNK_BYTES)
        if len(content) < CHUNK_BYTES:
            # Nearly always the whole file; a second read only confirms the end.
            rest = os.read(descriptor, CHUNK_BYTES)
            if not rest:
                return hash_bytes(content)
            content += rest
        md5 = hashlib.md5(content, usedforsecurity=False)
        while content := os.read(descriptor, CHUNK_BYTES):
            md5.update(content)
        return md5.hexdigest()
    finally:
        os.close(descriptor)


def _copy_hashing(path: str, draft: str) -> tuple[str, int]:
    md5 = hashlib.md5(usedforsecurity=False)
    size_bytes = 0
    with open(path, "rb", buffering=0) as source, open(draft, "xb", buffering=0) as target:
        while content := source.read(CHUNK_BYTES):
            md5.update(content)
            size_bytes += len(content)
            view = memoryview(content)
            while view:
                view = view[target.write(view) :]
    return md5.hexdigest(), size_bytes


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
