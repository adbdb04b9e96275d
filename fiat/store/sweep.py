"""Removing files of the `.fiat` folder that nothing remembered needs."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fiat.store.faults import disk_faults
from fiat.store.trees import DIR, is_digest
from fiat.store.work import remove_tree


@dataclass(frozen=True)
class Sweep:
    """What stays.

    Attributes:
        root: the `.fiat` folder.
        objects: digests of needed files and folder lists.
        artifacts: digests of needed files and folders as a whole.
        runs: ids of the runs that are remembered.
        before_s: seconds since 1970; what changed later stays whatever it is.
        dry_run: remove nothing.
    """

    root: Path
    objects: frozenset[str]
    artifacts: frozenset[str]
    runs: frozenset[str]
    before_s: float
    dry_run: bool


@dataclass(frozen=True)
class Swept:
    """How much of the cache went and stayed, and how many folders beside it went."""

    removed_objects: int
    removed_bytes: int
    kept_objects: int
    kept_bytes: int
    removed_folders: int


def sweep(plan: Sweep, abandoned: Iterable[Path]) -> Swept:
    """Remove unneeded objects, and folders that belong to nothing.

    Args:
        plan: what stays.
        abandoned: work folders of dead processes.

    Raises:
        EnvironmentFault: the disk refused.
    """
    counts = {True: [0, 0], False: [0, 0]}
    for digest, path in _objects(plan.root / "cache" / "files" / "md5"):
        with disk_faults(path), suppress(FileNotFoundError):
            facts = path.stat()
            # The change time: the modification time is the object's mark.
            unneeded = digest not in plan.objects and facts.st_ctime < plan.before_s
            if unneeded and not plan.dry_run:
                path.unlink()
            counts[unneeded][0] += 1
            counts[unneeded][1] += facts.st_size
    folders = [*abandoned, *_strays(plan)]
    for folder in folders:
        with disk_faults(folder), suppress(FileNotFoundError):
            if plan.dry_run:
                continue
            if folder.is_dir():
                remove_tree(folder)
            else:
                folder.unlink()
    (removed, removed_bytes), (kept, kept_bytes) = counts[True], counts[False]
    return Swept(removed, removed_bytes, kept, kept_bytes, len(folders))


def _objects(folder: Path) -> Iterator[tuple[str, Path]]:
    for prefix in _entries(folder):
        for path in _entries(prefix):
            digest = prefix.name + path.name
            if is_digest(digest):
                yield digest, path


def _strays(plan: Sweep) -> Iterator[Path]:
    """Logs of forgotten runs, packages and signatures that are no longer needed, drafts of dead processes."""
    packages = {digest.removesuffix(DIR) for digest in plan.artifacts}
    for path in _entries(plan.root / "runs"):
        if path.name not in plan.runs and _is_old(path, plan.before_s):
            yield path
    for path in _entries(plan.root / "packages"):
        if path.name not in packages and _is_old(path, plan.before_s):
            yield path
    for path in _entries(plan.root / "signatures"):
        if path.name.partition(".")[0] not in packages and _is_old(path, plan.before_s):
            yield path
    for path in _entries(plan.root / "tmp"):
        pid = path.name.partition("-")[0]
        if _is_old(path, plan.before_s) and not (pid.isdigit() and _lives(int(pid))):
            yield path


def _entries(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(folder.iterdir())
    return []


def _is_old(path: Path, before_s: float) -> bool:
    with suppress(FileNotFoundError):
        return path.lstat().st_ctime < before_s
    return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
