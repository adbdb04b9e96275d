"""Which files of the checkout made a checkpoint what it is: where one of them is another now, it is of other work.

Code that is found by its imports is part of what a folder of checkpoints is known by. What a program reads beside it (a
table of settings, a module whose name is a parameter) is only known once it has read it.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from fiat.builtin.child_watch import Watch

MOST_FILES = 1000
MOST_BYTES = 1 << 20
_ABSENT, _EDITED = "absent", "edited meanwhile"


class Reads:
    """What this process has read, and whether it is as it was for a checkpoint.

    Files are known by their content, those above 1 MiB by their size: code and settings are small. Of more than a
    thousand the first ones count.

    Args:
        root: the checkout.
        watch: what this process reads in it.
        now_s: seconds since 1970; what was changed after this was made is taken for edited.
    """

    def __init__(self, root: Path, watch: Watch, now_s: Callable[[], float] = time.time) -> None:
        self._root = root
        self._watch = watch
        self._began_s = now_s()
        self._count = -1
        self._known: dict[str, str] = {}
        self._adopted: Mapping[str, str] = {}

    def take(self) -> Mapping[str, str]:
        """Path relative to the root to what it was; of what was read since the last time as it is now."""
        count = self._watch.count
        if count != self._count and len(self._known) < MOST_FILES:
            self._count = count
            seen = self._watch.seen()
            for name in (*seen["read"], *seen["absent"]):
                if name not in self._known and len(self._known) < MOST_FILES:
                    self._known[name] = self._state(name, self._began_s)
        twice = {name for name, was in self._adopted.items() if self._known.get(name, was) != was}
        return {**self._adopted, **self._known, **dict.fromkeys(twice, _EDITED)}

    def adopt(self, reads: Mapping[str, str]) -> None:
        """This process goes on from a checkpoint that was made of these."""
        self._adopted = reads

    def changed(self, reads: Mapping[str, str]) -> str:
        """The first of these that is not as it was; empty when all are."""
        return next((name for name, was in reads.items() if self._state(name) != was), "")

    def _state(self, name: str, before_s: float | None = None) -> str:
        path = self._root / name
        try:
            about = path.stat()
            if before_s is not None and about.st_mtime >= before_s:
                return _EDITED  # what was read may have been something else
            if about.st_size > MOST_BYTES:
                return f"{about.st_size} bytes"
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            return _ABSENT
