"""Digests of the checkout's files and folders without reading what did not change.

A file is taken for unchanged when its size, its two times in nanoseconds and its inode are as they were when
it was hashed, and it was at rest by then: what changed within two seconds of being hashed is hashed again the
next time, so that an edit in the same tick of the clock is seen.
"""

# Paths are plain text in this file: with 50,000 files the making of Path objects would cost more than the work.
# ruff: noqa: PTH100, PTH116

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from fiat.store.objects import hash_file
from fiat.store.statfile import FileFacts, facts_of, read_header, read_table, sign, write_file
from fiat.store.trees import digest_tree, write_tree
from fiat.store.walk import FoundFile, WalkRules, odd_kind, resolve_link, unreadable, walk_files

SKIPPED_FOLDERS = frozenset({".git", ".fiat", "__pycache__"})
RESTING_NS = 2_000_000_000
_SAVE_AFTER_BYTES = 64 << 20
_MOST_SINGLE_FILES = 200_000
_THREADS = 8
_PARALLEL_FROM = 32

Rows = dict[str, tuple[FileFacts, str]]


class Digester:
    """Digests files and folders as DVC does, and remembers what they looked like.

    Not for several threads at once; several processes may share the folder.

    Args:
        folder: where it remembers, such as `.fiat/stats`.
        root: the checkout: a link inside it may lead anywhere in it, but not out of it.
        now: the clock, aware.
    """

    def __init__(self, folder: Path, root: Path, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._root = os.path.realpath(root)
        self._now = now
        self._single: Rows | None = None
        self._unsaved_bytes = 0

    def digest(self, path: Path) -> str:
        """Digest of a file (32 hex digits) or of a folder (`.dir` behind them), the same as DVC's.

        Folders named `.git`, `.fiat` and `__pycache__` are passed over.

        Raises:
            SpecError: it does not exist, can't be read, is neither file nor folder, or holds a link that
                leads out.
        """
        top = os.path.abspath(path)
        found = self._look(top)
        if stat.S_ISDIR(found.st_mode):
            return self._digest_folder(top)
        return self._digest_single([(top, found)])[top]

    def digest_files(self, paths: Iterable[Path], *, missing: str | None = None) -> dict[Path, str]:
        """Digest of each file.

        Args:
            paths: files, no folders.
            missing: what stands for a file that does not exist; None makes it an error.

        Raises:
            SpecError: as `digest`.
        """
        found: list[FoundFile] = []
        tops: dict[Path, str] = {}
        for path in paths:
            top = os.path.abspath(path)
            if missing is not None and not os.path.lexists(top):
                continue
            tops[path] = top
            found.append((top, self._look(top)))
        digests = self._digest_single(found)
        return {path: digests[tops[path]] if path in tops else str(missing) for path in paths}

    def save(self) -> None:
        """Remember single files for the next process. Folders are remembered at once."""
        if self._single is not None and self._unsaved_bytes:
            rows = dict(list(self._single.items())[-_MOST_SINGLE_FILES:])
            write_file(self._folder / "files", "", "", rows)
            self._unsaved_bytes = 0

    def _look(self, top: str) -> os.stat_result:
        """Stat of what a path means; a link inside the checkout must stay inside."""
        try:
            found = os.lstat(top)
            if not stat.S_ISLNK(found.st_mode):
                if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
                    return found
                raise odd_kind(top, found.st_mode, "data")
            if top.startswith(self._root + "/"):
                return os.stat(resolve_link(top, WalkRules(inside=(self._root,))))
            return os.stat(top)
        except OSError as error:
            raise unreadable(error, top, "data") from error

    def _digest_single(self, found: list[FoundFile]) -> dict[str, str]:
        if self._single is None:
            self._single = read_table(self._folder / "files")
        rows = self._refresh(found, self._single, lambda name: name)
        changed = [name for name, row in rows.items() if self._single.get(name) != row]
        self._single.update(rows)
        self._unsaved_bytes += sum(rows[name][0][0] + 1 for name in changed)
        if self._unsaved_bytes > _SAVE_AFTER_BYTES:
            self.save()
        return {name: digest for name, (_, digest) in rows.items()}

    def _digest_folder(self, top: str) -> str:
        rules = WalkRules(inside=(self._root, os.path.realpath(top)), skip=SKIPPED_FOLDERS)
        found = walk_files(top, rules).files
        memory = self._folder / hashlib.blake2b(os.fsencode(top), digest_size=16).hexdigest()
        header = read_header(memory)
        signature = sign(found)
        if header is not None and header.signature == signature:
            return header.digest
        rows = self._refresh(found, read_table(memory), lambda name: f"{top}/{name}")
        digest = digest_tree(write_tree((name, md5) for name, (_, md5) in rows.items()))
        at_rest = all(facts != _NEVER for facts, _ in rows.values())
        write_file(memory, signature if at_rest else "", digest, rows)
        return digest

    def _refresh(
        self, found: list[FoundFile], known: Mapping[str, tuple[FileFacts, str]], place: Callable[[str], str]
    ) -> Rows:
        """Facts and MD5 of each file, hashing those that are new or changed."""
        rows: Rows = {}
        stale: list[FoundFile] = []
        for name, looked in found:
            row = known.get(name)
            if row is not None and row[0] == facts_of(looked):
                rows[name] = row
            else:
                rows[name] = _PENDING
                stale.append((name, looked))
        hashed_at_ns = int(self._now().timestamp() * 1e9)
        digests = _hash_all([place(name) for name, _ in stale])
        for (name, looked), digest in zip(stale, digests, strict=True):
            rows[name] = (facts_of(looked) if _was_at_rest(looked, hashed_at_ns) else _NEVER, digest)
        return rows


# Facts that no file has: a file with these is hashed the next time.
_NEVER: FileFacts = (0, 0, 0, 0)
_PENDING: tuple[FileFacts, str] = (_NEVER, "")


def _was_at_rest(found: os.stat_result, hashed_at_ns: int) -> bool:
    # Nobody can set back the inode's time, so it alone tells; the content's time is for file systems without
    # one.
    if found.st_ctime_ns > hashed_at_ns - RESTING_NS:
        return False
    return abs(hashed_at_ns - found.st_mtime_ns) > RESTING_NS


def _hash_all(paths: list[str]) -> list[str]:
    if len(paths) < _PARALLEL_FROM:
        return [_hash(path) for path in paths]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(_hash, paths))


def _hash(path: str) -> str:
    try:
        return hash_file(path)
    except OSError as error:
        raise unreadable(error, path, "data") from error
