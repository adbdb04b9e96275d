"""Files and folders by the digest of their content, in a cache that DVC reads.

Layout: `cache/files/md5/ab/cdef...` holds a file's content under its MD5; a folder is a JSON list of its
files under `<md5>.dir`. Objects are read-only and whole from the moment they have their name: a kill or a
power cut leaves nothing or all. A folder's list comes after its files.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from fiat.errors import EnvironmentFault
from fiat.run.model import Artifact
from fiat.store.faults import disk_faults
from fiat.store.locks import FileLock
from fiat.store.objects import Objects
from fiat.store.place import Placer
from fiat.store.trees import DIR, TreeFile, is_digest, read_tree, write_tree
from fiat.store.walk import WalkRules, odd_kind, resolve_link, unreadable, walk_files

_PARALLEL_FROM = 17
_THREADS = 8

_T = TypeVar("_T")
_R = TypeVar("_R")


class Artifacts:
    """The content-addressed cache of one `.fiat` folder.

    Safe to use from several processes and threads at once.

    Args:
        root: the `.fiat` folder, or that of a scope, on one file system with the steps' work folders.
        beneath: folder of a cache to read what is not here from; it is never written to.

    Attributes:
        cache: the folder that DVC knows as its cache.
        lock: shared by whoever puts something, alone for whoever sweeps.
    """

    def __init__(self, root: Path, beneath: Path | None = None) -> None:
        self.cache = root / "cache"
        self._objects = Objects(root)
        self._beneath = None if beneath is None else Objects(beneath)
        self._placer = Placer()
        self.lock = FileLock(root / "cache.lock")
        self._trees: dict[str, tuple[TreeFile, ...]] = {}

    def put(self, path: Path, *, move: bool = True) -> Artifact:
        """Keep a file or folder, durably.

        Links inside are kept as the content they lead to. Empty folders and execute bits are not kept, as in
        DVC.

        Args:
            path: a step's output.
            move: it may be used up (what is left of it is for the caller to remove); else it is copied.

        Raises:
            SpecError: it does not exist, can't be read, changes meanwhile, holds something that is neither
                file nor folder, or a link that leads out of it.
            EnvironmentFault: the disk is full, read-only or broken; nothing of it was kept under its name.
        """
        top = str(path)
        resolved = os.path.realpath(top)
        caches = [self._objects, *([self._beneath] if self._beneath else [])]
        inside = (resolved, *(os.path.realpath(one.folder) for one in caches))
        rules = WalkRules(inside=inside, noun="output")
        try:
            mode = os.lstat(top).st_mode
        except OSError as error:
            raise unreadable(error, top, "output") from error
        if stat.S_ISLNK(mode):
            # The link itself leads out of the output unless it leads into the cache (an input handed on).
            rules = WalkRules(inside=rules.inside[1:], noun="output")
            mode = Path(resolve_link(top, rules)).stat().st_mode
        with self.lock.shared():
            if stat.S_ISREG(mode):
                digest, size_bytes = self._objects.take(top, move=move)
                self._objects.sync([digest])
                return Artifact(digest, size_bytes)
            if not stat.S_ISDIR(mode):
                raise odd_kind(top, mode, "output")
            return self._put_folder(top, rules, move=move)

    def object_path(self, digest: str) -> Path:
        """Where the object lies, for reading: a file's content, or a folder's list.

        Raises:
            EnvironmentFault: this is no digest.
        """
        return Path(self._path(_checked(digest)))

    def files(self, digest: str) -> tuple[TreeFile, ...]:
        """The files of a folder, sorted by path.

        Raises:
            EnvironmentFault: the folder is gone or damaged.
        """
        known = self._trees.get(_checked(digest))
        if known is None:
            try:
                with open(self._path(digest), "rb") as file:
                    known = read_tree(file.read())
            except (OSError, ValueError) as error:
                raise _gone(digest) from error
            self._trees = {**dict(list(self._trees.items())[-15:]), digest: known}
        return known

    def file_path(self, digest: str, path: str) -> Path:
        """Where the content of one file of a folder lies, for reading without making the folder.

        Raises:
            EnvironmentFault: the folder is gone, or has no such file.
        """
        for file in self.files(digest):
            if file.path == path:
                return Path(self._path(file.digest))
        raise EnvironmentFault(f"artifact {digest[:12]} has no file {path}", hint="run its spec again")

    def check(self, digest: str) -> bool:
        """Whether an artifact is there and unchanged since it was kept. Costs one `stat` a file.

        What changed is hashed again, and removed when it is damaged; its result then has to be made again.

        Raises:
            EnvironmentFault: the disk refused.
        """
        return self._is_whole(digest, rehash=False)

    def verify(self, digest: str) -> bool:
        """Like `check`, but reads everything: finds also what a failing disk changed on its own.

        Raises:
            EnvironmentFault: the disk refused.
        """
        return self._is_whole(digest, rehash=True)

    def materialize(self, digest: str, target: Path) -> None:
        """Put a file or folder at `target`, which does not exist yet, for the user's code.

        A clone that shares the disk's blocks where the file system can (XFS, Btrfs); a copy up to 1 MiB;
        beyond that a symbolic link to the read-only object, because copies of large data cost more than
        steps. Who writes through that link all the same (as root) changes the object's time, so `check` finds
        it out; a hard link would have let the object's mode be changed, too.

        Raises:
            EnvironmentFault: an object is gone, or the disk refused.
        """
        with disk_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if not digest.endswith(DIR):
                self._place(_checked(digest), str(target))
                return
            target.mkdir()
            folders = {""}
            for file in self.files(digest):
                folder = file.path.rpartition("/")[0]
                if folder not in folders:
                    (target / folder).mkdir(parents=True, exist_ok=True)
                    folders.add(folder)
                self._place(file.digest, f"{target}/{file.path}")

    def _place(self, digest: str, target: str) -> None:
        try:
            content = self._placer.place(self._path(digest), target)
        except FileNotFoundError as error:
            raise _gone(digest) from error
        # What is read anyway is compared as well: a disk that rots leaves the object's time as it was.
        if content is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != digest:
            self._has_whole(digest, rehash=True)
            raise _gone(digest)

    def _path(self, digest: str) -> str:
        if self._beneath is not None and not self._objects.has(digest) and self._beneath.has(digest):
            return self._beneath.path(digest)
        return self._objects.path(digest)

    def _has_whole(self, digest: str, *, rehash: bool) -> bool:
        if self._objects.is_whole(digest, rehash=rehash):
            return True
        return self._beneath is not None and self._beneath.is_whole(digest, rehash=rehash, mend=False)

    def _put_folder(self, top: str, rules: WalkRules, *, move: bool) -> Artifact:
        walk = walk_files(top, rules)
        found = walk.files
        # With links one file may stand at two paths: the first must not take it away from the second.
        move = move and not walk.has_links
        kept = _map(lambda name: self._objects.take(f"{top}/{name}", move=move), [name for name, _ in found])
        files = [(name, digest) for (name, _), (digest, _) in zip(found, kept, strict=True)]
        self._objects.sync([digest for _, digest in files])
        digest = self._objects.write(write_tree(files), DIR)
        self._objects.sync([digest])
        return Artifact(digest, sum(size_bytes for _, size_bytes in kept), len(files))

    def _is_whole(self, digest: str, *, rehash: bool) -> bool:
        if not self._has_whole(_checked(digest), rehash=rehash):
            return False
        if not digest.endswith(DIR):
            return True
        contents = {file.digest for file in self.files(digest)}
        return all(_map(lambda one: self._has_whole(one, rehash=rehash), contents, parallel=rehash))


def _map(work: Callable[[_T], _R], items: Iterable[_T], *, parallel: bool = True) -> list[_R]:
    """Threads help here: reading, hashing and flushing let the others go on."""
    listed = list(items)
    if not parallel or len(listed) < _PARALLEL_FROM:
        return [work(item) for item in listed]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, listed, chunksize=1))


def _checked(digest: str) -> str:
    if not is_digest(digest):
        raise EnvironmentFault(f"{digest!r} is no digest of an artifact", hint="the store was edited by hand")
    return digest


def _gone(digest: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"artifact {digest[:12]} is gone from the cache or damaged",
        hint="run its spec again: it is made again",
    )
