"""Files that a spec names: found for a trusted user as they are, and for a stranger only where the operator grants it.

Whether a path may be read is judged by what it says (so that a refusal does not tell what exists) and by where it leads.
Nobody but the runner writes to a confined checkout, so what was judged stays what is opened.
"""

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import translate
from pathlib import Path
from re import compile as compile_pattern

from fiat.errors import SpecError
from fiat.ports.confinement import Confinement


def named_path(named: str, root: Path, policy: Confinement, key: str) -> Path:
    """The path that a spec names; nothing need be there.

    Args:
        named: as the spec says it, relative to `root` or absolute.
        root: the checkout.
        policy: what is granted.
        key: where it stands, such as `source.path`, for people.

    Raises:
        SpecError: confined, and it says or leads to something that is not granted.
    """
    path = root / named
    if not policy.confined:
        return path
    if "\0" in named:
        raise SpecError(f"{key}: {named!r} is no path")
    folders = [os.path.normpath(folder) for folder in policy.data_folders]
    if not _is_inside(os.path.normpath(path), [os.path.normpath(root), *folders]):
        raise _not_granted(os.path.normpath(named), policy, key)
    _check_target(path, root, policy, key)
    return path


def folder_files(folder: Path, root: Path, policy: Confinement, key: str) -> list[Path]:
    """All files below a folder but hidden ones and those in hidden folders, sorted; links to folders aren't followed.

    Args:
        folder: from `named_path`.
        root: the checkout.
        policy: what is granted.
        key: for people.

    Raises:
        SpecError: confined, and there is a link to a folder, or one that leads to something that is not granted.
    """
    files: list[Path] = []
    waiting = [folder]
    while waiting:
        for entry in _entries(waiting.pop()):
            path = Path(entry.path)
            if policy.confined and entry.is_symlink() and path.is_dir():
                # Digests follow it: a few links that cross each other are more paths than there is time.
                raise _link_to_folder(path, root, key)
            if not entry.name.startswith("."):
                (waiting if entry.is_dir(follow_symlinks=False) else files).append(path)
    return checked_files(sorted(files), root, policy, key)


def checked_files(paths: Sequence[Path], root: Path, policy: Confinement, key: str) -> list[Path]:
    """Those of the paths that are files.

    Raises:
        SpecError: confined, and one leads to something that is not granted.
    """
    for path in paths if policy.confined else ():
        _check_target(path, root, policy, key)
    return [path for path in paths if _is_file(path)]


def matching_files(pattern: str, root: Path, policy: Confinement, key: str) -> list[Path]:
    """The files that a pattern matches (`*`, `?`, `[...]`, `**` over folders), sorted.

    Hidden names only if asked for; `**` does not follow links.

    Raises:
        SpecError: confined, and it says or leads to something that is not granted.
    """
    parts = Path(pattern).parts
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if policy.confined and ".." in parts[fixed:]:
        raise SpecError(f"{key}: `..` behind a wildcard is not granted")
    start = named_path(str(Path(*parts[:fixed])), root, policy, key)
    found = _expand(start, parts[fixed:], follow=not policy.confined)
    links = [path for path in found if policy.confined and path.is_dir() and path.is_symlink()]
    if links:
        raise _link_to_folder(links[0], root, key)
    return checked_files(sorted(set(found)), root, policy, key)


def _expand(start: Path, parts: Sequence[str], *, follow: bool) -> list[Path]:
    """Paths that a pattern means; what was seen is not seen again, however many `**` lead there.

    A wildcard that meets a link to a folder ends there unless `follow`: two links to where they lie are endless ways.
    """
    found: list[Path] = []
    waiting, seen = [(start, 0)], {(start, 0)}
    while waiting:
        here, index = waiting.pop()
        if index == len(parts):
            found.append(here)
            continue
        for step in _steps(here, parts, index, follow=follow):
            if step not in seen:
                seen.add(step)
                waiting.append(step)
    return found


def _steps(here: Path, parts: Sequence[str], index: int, *, follow: bool) -> Iterator[tuple[Path, int]]:
    part, last = parts[index], index + 1 == len(parts)
    if part == "**":
        if here.is_dir():
            yield here, index + 1
        for entry in _entries(here):
            if not entry.name.startswith("."):
                if entry.is_dir(follow_symlinks=False):
                    yield here / entry.name, index
                elif last:
                    yield here / entry.name, index + 1
    elif glob.has_magic(part):
        matches = compile_pattern(translate(part)).match
        for entry in _entries(here):
            if matches(entry.name) and (part.startswith(".") or not entry.name.startswith(".")):
                ends = entry.is_symlink() and not follow and not last
                yield here / entry.name, len(parts) if ends else index + 1
    else:
        yield here / part, index + 1


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _check_target(path: Path, root: Path, policy: Confinement, key: str) -> None:
    places = [os.path.realpath(folder) for folder in (str(root), *policy.data_folders)]
    if not _is_inside(os.path.realpath(path), places):
        shown = _shown(path, root)
        raise SpecError(
            f"{key}: {shown} is a link that leads to what the operator does not grant",
            hint="put the file itself there",
        )


def _link_to_folder(path: Path, root: Path, key: str) -> SpecError:
    return SpecError(f"{key}: {_shown(path, root)} is a link to a folder", hint="name the folder itself")


def _not_granted(shown: str, policy: Confinement, key: str) -> SpecError:
    granted = ", ".join(policy.data_folders)
    hint = f"granted besides the checkout: {granted}" if granted else "paths lie in the checkout"
    return SpecError(f"{key}: the operator does not grant {shown}", hint=hint)


def _is_inside(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
