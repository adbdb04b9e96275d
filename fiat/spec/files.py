"""Which file a spec is, and reading it without following anything out of the checkout."""

import difflib
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Protocol

from fiat.errors import SpecError, Where
from fiat.spec.yaml_events import FORBIDDEN, MAX_BYTES

SPEC_NAME = "spec.yaml"
_LISTED = 20


class SpecFiles(Protocol):
    """Where a spec and what it brings in are read from: a checkout on disk, or a commit that is nowhere on disk."""

    def read(self, path: Path) -> tuple[bytes, str]:
        """Content of a file, and how it is called in errors.

        Raises:
            SpecError: it is not there, or nothing that a spec may be read from.
        """
        ...

    def is_there(self, path: Path) -> bool:
        """Whether there is anything at all at a path."""
        ...

    def options(self, folder: Path) -> tuple[str, ...]:
        """Names, without `.yaml`, of the YAML files in a folder, sorted; empty when it is no folder."""
        ...


class DiskFiles:
    """The files of a checkout.

    Args:
        root: its top; nothing outside it is read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: Path) -> tuple[bytes, str]:
        """See `read_spec_file`."""
        return read_spec_file(path, root=self._root)

    def is_there(self, path: Path) -> bool:
        """Symlinks are not followed."""
        return os.path.lexists(path)

    def options(self, folder: Path) -> tuple[str, ...]:
        """Names of a folder that is no symlink."""
        if folder.is_symlink() or not folder.is_dir():
            return ()
        return tuple(sorted(entry.stem for entry in folder.iterdir() if entry.suffix == ".yaml"))


def find_root(path: Path) -> Path:
    """The checkout root of a spec: git's top level, else the nearest parent with `.fiat`, else its folder.

    Args:
        path: the spec's file or folder; it need not exist.
    """
    here = _lexical(path)
    folders = [here, *here.parents]
    if not here.is_dir():
        folders = folders[1:]
    for marker in (".git", ".fiat"):
        for folder in folders:
            if os.path.lexists(folder / marker):
                return folder
    return folders[0]


def spec_file(name: str | Path) -> Path:
    """The file that a spec is named by: itself, or `spec.yaml` in a folder.

    Raises:
        SpecError: there is no such spec; the hint names those that are near.
    """
    path = Path(name)
    _check_characters(str(name))
    if path.is_dir() and not path.is_symlink():
        inside = path / SPEC_NAME
        if os.path.lexists(inside):
            return inside
        raise SpecError(f"the folder {path} has no {SPEC_NAME}", hint=_near(path))
    if os.path.lexists(path):
        return path
    raise SpecError(f"there is no spec {path}", hint=_near(path))


def read_spec_file(path: Path, *, root: Path) -> tuple[bytes, str]:
    """Content of a regular file inside the checkout, and its path there as people see it.

    Raises:
        SpecError: a symlink on the way, a way out of the root, a submodule, other capitals than on disk,
            more than 256 KiB, or anything that is no regular file. No message holds any of the content.
    """
    _check_characters(str(path))
    root = _lexical(root)
    absolute = _lexical(path)
    try:
        relative = PurePosixPath(absolute.relative_to(root).as_posix())
    except ValueError:
        raise SpecError(f"{path} is outside the checkout {root}") from None
    shown = str(relative)
    folder = root
    for part in relative.parts[:-1]:
        folder = folder / part
        _check_part(folder, shown, folder_wanted=True)
    _check_part(absolute, shown, folder_wanted=False)
    return _read_regular(absolute, shown), shown


def _read_regular(path: Path, shown: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise SpecError(f"can't read {shown}: {error.strerror}", where=Where(shown)) from None
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise SpecError(f"{shown} is not a regular file", where=Where(shown))
        content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            size = max(state.st_size, len(content))
            message = f"the file has {size:,} bytes, at most {MAX_BYTES:,} are read"
            raise SpecError(message, where=Where(shown))
    return content


def _check_part(path: Path, shown: str, *, folder_wanted: bool) -> None:
    where = Where(shown)
    try:
        state = path.lstat()
    except OSError:
        raise SpecError(f"there is no file {shown}", hint=_near(path), where=where) from None
    if stat.S_ISLNK(state.st_mode):
        raise SpecError(
            f"{path.name} in {shown} is a symlink, which a spec can't be read through", where=where
        )
    if folder_wanted:
        if not stat.S_ISDIR(state.st_mode):
            raise SpecError(f"{path.name} in {shown} is not a folder", where=where)
        if os.path.lexists(path / ".git"):
            raise SpecError(f"{path.name} in {shown} is another repository (a submodule)", where=where)
    elif not stat.S_ISREG(state.st_mode):
        raise SpecError(f"{shown} is not a regular file", where=where)
    if all(path.name != other.name for other in path.parent.iterdir()):
        raise SpecError(f"{path.name} in {shown} is spelled with other capitals on disk", where=where)


def _check_characters(text: str) -> None:
    if FORBIDDEN.search(text) or "\n" in text or "\r" in text or "\t" in text:
        raise SpecError(f"the path {text[:200]!a} holds control or direction characters")


def _lexical(path: Path) -> Path:
    """Absolute without looking at symlinks, so that none is followed unseen."""
    return Path(os.path.normpath(path.absolute()))


def _near(path: Path) -> str:
    """Specs near a path that is missing, as a hint."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    found = sorted(
        {
            candidate.parent if candidate.name == SPEC_NAME else candidate
            for pattern in (f"*/{SPEC_NAME}", f"specs/*/{SPEC_NAME}", SPEC_NAME)
            for candidate in list(folder.glob(pattern))[:_LISTED]
        }
    )
    names = [str(name) for name in found]
    nearest = difflib.get_close_matches(str(path), names, n=1)
    if nearest:
        return f"did you mean {nearest[0]}?"
    return f"specs here: {', '.join(names[:5])}" if names else "`fiat init` writes one to start from"
