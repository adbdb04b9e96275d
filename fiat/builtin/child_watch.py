"""Watch what user code reads in the checkout, so that undeclared reads become dependencies of its result."""

# An audit hook runs at every open: functions of os.path cost a tenth of Path's.
# ruff: noqa: PTH100, PTH112, PTH113, PTH117, PTH120, PTH206

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

_SKIPPED = {".git", ".fiat", "__pycache__", ".venv", "site-packages", "node_modules"}
_WRITES = os.O_WRONLY | os.O_RDWR
_LIBRARIES = (sys.prefix, sys.base_prefix)
_LOADERS = (os.path.dirname(importlib.__file__),)
_OURS = str(Path(__file__).parent.parent)


class Watch:
    """Collects reads by an audit hook; a hook can't be removed, so it is started once a process.

    Args:
        root: the checkout; reads elsewhere are not collected.
        ignored: declared inputs and outputs.
    """

    def __init__(self, root: Path, ignored: tuple[str, ...]) -> None:
        self._root = os.path.realpath(root) + os.sep
        own = (sys.prefix, sys.base_prefix, _OURS)
        self._ignored = tuple(os.path.realpath(path) for path in (*ignored, *own))
        self._opened: dict[str, None] = {}
        self._listed: dict[str, None] = {}

    def start(self) -> None:
        """Begin to watch."""
        sys.addaudithook(self._hook)

    def seen(self) -> Mapping[str, list[str]]:
        """Paths relative to the root: files `read`, files looked for and `absent`, folders `listed`."""
        read: set[str] = set()
        absent: set[str] = set()
        for path in tuple(self._opened):
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

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)) and not (isinstance(flags, int) and flags & _WRITES):
                self._opened[os.fsdecode(path) if os.path.isabs(path) else _absolute(path)] = None
        elif event in ("os.listdir", "os.scandir") and not _by_import():
            path = arguments[0]
            if path is None or isinstance(path, (str, bytes)):
                self._listed[_absolute(path or ".")] = None

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


def _absolute(path: str | bytes) -> str:
    return os.path.abspath(os.fsdecode(path))


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
