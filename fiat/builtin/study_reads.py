"""What the trials of a search read in the checkout, and whether it is still the same.

A search is known by its code as reading finds it. Code may be edited while the search runs, and trials may read files that
nobody could foresee: a trial counts for a later attempt only when all that it read is still as it was.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from fiat.builtin.ray_travel_parcel import hash_file

_ABSENT = "-"
_CHANGED = ""
_NOT_LISTED = {".git", ".fiat", "__pycache__", ".venv"}
_Stamp = tuple[int, int, int]


class Reads:
    """Digests of files, each made once as long as the file stays as it is.

    Args:
        root: the checkout.
        code: files that the search is known by, relative to the root or absolute, with their MD5.
    """

    def __init__(self, root: Path, code: Mapping[str, str]) -> None:
        self._root = root
        self._code = code
        self._known: dict[str, tuple[_Stamp, str]] = {}

    def edited(self) -> str:
        """The first file of the code that is not what the search is known by; empty when there is none."""
        return next((name for name, digest in self._code.items() if self._digest(name) != digest), "")

    def seen(self, observed: Mapping[str, object], since_s: float) -> dict[str, str]:
        """Digests of what a trial was seen to read, by name; with a slash behind it the names in a folder.

        Args:
            observed: see `child_watch.Watch.seen`.
            since_s: when the trial began, seconds since 1970: nobody knows what it read of a file that changed since.
        """
        found = {}
        for name in _names(observed.get("read")):
            with suppress(OSError):
                changed = (self._root / name).stat().st_mtime >= since_s
                found[name] = _CHANGED if changed else self._digest(name)
        for name in _names(observed.get("absent")):
            if self._digest(name) == _ABSENT:
                found[name] = _ABSENT
        for name in _names(observed.get("listed")):
            found[f"{name}/"] = self._digest(f"{name}/")
        return found

    def same(self, reads: Mapping[str, str]) -> bool:
        """Whether all is still as it was."""
        return all(digest != _CHANGED and self._digest(name) == digest for name, digest in reads.items())

    def _digest(self, name: str) -> str:
        path = self._root / name
        try:
            if name.endswith("/"):
                names = sorted(entry.name for entry in path.iterdir() if entry.name not in _NOT_LISTED)
                return hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
            about = path.stat()
            stamp = (about.st_size, about.st_mtime_ns, about.st_ino)
            if name not in self._known or self._known[name][0] != stamp:
                self._known[name] = stamp, hash_file(path)
        except OSError:
            return _ABSENT
        return self._known[name][1]


def _names(value: object) -> Iterator[str]:
    """Names within the root: the child says them, and may say anything."""
    for name in value if isinstance(value, list | tuple) else ():
        if isinstance(name, str) and not name.startswith("/") and ".." not in name.split("/"):
            yield name
