"""Watch what user code reads in the checkout, so that undeclared reads become dependencies of its result."""

# An audit hook runs at every open: functions of os.path cost a tenth of Path's.
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH116, PTH117, PTH120, PTH206

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote

_SKIPPED = {".git", ".fiat", "__pycache__", ".venv", "site-packages", "node_modules"}
_WRITES = os.O_WRONLY | os.O_RDWR
Stamp = tuple[int, int]
_LIBRARIES = (sys.prefix, sys.base_prefix)
_LOADERS = (os.path.dirname(importlib.__file__),)
_OURS = str(Path(__file__).parent.parent)


class Watch:
    """Collects reads by an audit hook; a hook can't be removed, so it is started once a process.

    What the process itself made (a file that it created or emptied, also under a name that it took later) is nothing that
    it depends on. A file that was opened to be read and written counts as read when it is the same at the end.

    Args:
        root: the checkout; reads elsewhere are not collected.
        ignored: declared inputs and outputs.
    """

    def __init__(self, root: Path, ignored: tuple[str, ...]) -> None:
        self._root = os.path.realpath(root) + os.sep
        own = (sys.prefix, sys.base_prefix, _OURS)
        self._ignored = tuple(os.path.realpath(path) for path in (*ignored, *own))
        self._opened: dict[str, None] = {}
        self._changeable: dict[str, Stamp | None] = {}
        self._made: set[str] = set()
        self._listed: dict[str, None] = {}

    def start(self) -> None:
        """Begin to watch."""
        sys.addaudithook(self._hook)

    @property
    def count(self) -> int:
        """Grows when there may be more to be seen."""
        return len(self._opened) + len(self._changeable) + len(sys.modules)

    def seen(self) -> Mapping[str, list[str]]:
        """Paths relative to the root: files `read`, files looked for and `absent`, folders `listed`."""
        read: set[str] = set()
        absent: set[str] = set()
        same = [path for path, stamp in tuple(self._changeable.items()) if stamp and stamp == _stamp(path)]
        for path in (*self._opened, *same):
            name = self._relative(path)
            if name and not os.path.isdir(path):
                (read if os.path.isfile(path) else absent).add(name)
        for module in list(sys.modules.values()):
            source = getattr(module, "__file__", None)
            name = self._relative(source) if isinstance(source, str) else None
            if name:
                read.add(name)
        listed = {self._relative(path) or "." for path in tuple(self._listed) if self._wanted(path)}
        return {"read": sorted(read), "absent": sorted(absent), "listed": sorted(listed)}

    def made(self) -> list[str]:
        """Files relative to the root that this process made: who shares its work does not depend on them."""
        return sorted({name for path in tuple(self._made) if (name := self._relative(path))})

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)):
                name = os.fsdecode(path) if os.path.isabs(path) else _absolute(path)
                self._open(name, flags if isinstance(flags, int) else 0)
        elif event in ("os.listdir", "os.scandir") and not _by_import():
            path = arguments[0]
            if path is None or isinstance(path, (str, bytes)):
                self._listed[_absolute(path or ".")] = None
        elif event == "os.rename" and _absolute(arguments[0]) in self._made:
            self._make(_absolute(arguments[1]))
        elif event == "sqlite3.connect" and (database := _database(arguments[0])):
            self._open(database, os.O_RDWR | os.O_CREAT)

    def _open(self, name: str, flags: int) -> None:
        if not flags & _WRITES:
            if name not in self._made:
                self._opened[name] = None
            return
        if flags & os.O_TRUNC or (flags & os.O_CREAT and not os.path.exists(name)):
            self._make(name)
        if flags & os.O_RDWR and name not in self._made and name not in self._changeable:
            self._changeable[name] = _stamp(name)

    def _make(self, name: str) -> None:
        """From here on what is there comes from this process, unless that read it before."""
        if name not in self._opened or not os.path.exists(name):
            self._opened.pop(name, None)
            self._made.add(name)

    def _relative(self, path: str) -> str | None:
        """Path relative to the root; None for what is not the checkout's own."""
        real = os.path.realpath(path)
        if not real.startswith(self._root) or not self._wanted(real):
            return None
        return real[len(self._root) :]

    def _wanted(self, path: str) -> bool:
        real = os.path.realpath(path)
        if not (real + os.sep).startswith(self._root):
            return False
        inner = (real + os.sep)[len(self._root) :]
        if _SKIPPED.intersection(inner.split(os.sep)):
            return False
        return not any(real == place or real.startswith(place + os.sep) for place in self._ignored)


def _absolute(path: str | bytes | os.PathLike[str]) -> str:
    return os.path.abspath(os.fsdecode(path))


def _stamp(path: str) -> Stamp | None:
    """Size and time of the last change; None for what is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _database(said: object) -> str | None:
    """The file of an SQLite database; None for one in memory.

    Source: SQLite, Uniform Resource Identifiers: `file:` and a path, and parameters behind a question mark.
    """
    if not isinstance(said, (str, bytes, os.PathLike)):
        return None
    name = os.fsdecode(said)
    if name.startswith("file:"):
        name = unquote(name.removeprefix("file:").removeprefix("//").partition("?")[0])
    return None if name in ("", ":memory:") else _absolute(name)


def _by_import() -> bool:
    """Whether the import system, package metadata or our own code lists the folder, and not the user's code."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(("<frozen importlib", *_LOADERS, _OURS)):
            return True
        if not name.startswith(("<frozen", *_LIBRARIES)):
            return False
        frame = frame.f_back
    return True
