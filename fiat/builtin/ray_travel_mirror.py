"""Checkpoints on a node that does not see the store: what changes among them goes home while the job runs.

User code writes into the folder as it likes, with its own names and in its own order: no link is followed, a large file goes
when nothing has changed in it for a moment, and one that changes while it is sent is sent again.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from fiat.builtin.job_death import size_text
from fiat.builtin.ray_travel_beneath import open_beneath, plain_files
from fiat.builtin.ray_travel_parcel import CHECKPOINTS, Item, Torn, hash_bytes, hash_open, is_named_by_content
from fiat.builtin.ray_travel_send import Source

_SMALL_BYTES = 4 << 20
_AT_ONCE = 32
Stamp = tuple[int, int, int]
Send = Callable[[Sequence[Item], Mapping[str, Source], Sequence[str]], None]


class Mirror:
    """The folder of one job, or of the trials of a study. What is there at first is known at home.

    Args:
        folder: user code may write into it.
        send: brings files home, see `send_checkpoints`.
        note: adds a sentence to the job's log.
        most_bytes: most that the job may write; None is no limit.
    """

    def __init__(
        self, folder: Path, send: Send, note: Callable[[str], None], most_bytes: int | None = None
    ) -> None:
        self._folder = folder
        self._bring = send
        self._note = note
        self._most_bytes = most_bytes
        self._told = False
        self._known = self._seen = self._look()

    def send(self, *, all_of_it: bool = False) -> None:
        """Send what is new or changed, and tell what is gone.

        Args:
            all_of_it: nothing changes any more.

        Raises:
            RayError: the way home is cut.
            OSError: the disk at home refused.
        """
        seen, now = self._seen, self._look()
        self._seen = now
        gone = [name for name in self._known if name not in now]
        changed = [
            name
            for name, stamp in now.items()
            if self._known.get(name) != stamp and (all_of_it or _is_still(name, stamp, seen))
        ]
        if not (gone or changed) or self._is_too_much(now.values()):
            return
        for names in _batches(changed, now):
            self._send(names, now, ())
        if gone:
            self._send((), now, gone)

    def _send(self, names: Sequence[str], now: dict[str, Stamp], gone: Sequence[str]) -> None:
        """Send some of the files; those that are not as they were when they were seen come with the next look."""
        items: list[Item] = []
        sources: dict[str, Source] = {}
        with ExitStack() as opened:
            for name in names:
                with suppress(OSError):
                    items.append(self._item(name, now[name], sources, opened))
            with suppress(Torn):
                self._bring(items, sources, gone)
                self._known = self._known | {item.path: now[item.path] for item in items}
                self._known = {name: stamp for name, stamp in self._known.items() if name not in gone}

    def _item(self, name: str, stamp: Stamp, sources: dict[str, Source], opened: ExitStack) -> Item:
        """List one file.

        Raises:
            OSError: it is gone, or another one by now.
        """
        file = opened.enter_context(open_beneath(self._folder, name))
        about = os.fstat(file.fileno())
        if _stamp(about) != stamp:
            raise FileNotFoundError(name)
        if about.st_size <= _SMALL_BYTES:  # one moment of a file that is written all the time is a whole one
            content = file.read(_SMALL_BYTES)
            digest = hash_bytes(content)
            sources[digest] = content
            return Item(CHECKPOINTS, name, digest, len(content), bool(about.st_mode & 0o100))
        digest = hash_open(file)
        if _stamp(os.fstat(file.fileno())) != stamp:
            raise FileNotFoundError(name)
        sources[digest] = file
        return Item(CHECKPOINTS, name, digest, about.st_size, bool(about.st_mode & 0o100))

    def _look(self) -> dict[str, Stamp]:
        return {name: _stamp(about) for name, about in plain_files(self._folder)}

    def _is_too_much(self, stamps: Iterable[Stamp]) -> bool:
        """Whether it is more than the job may write: a file with holes takes no room here, but much at home."""
        size_bytes = sum(stamp[0] for stamp in stamps)
        most = self._most_bytes
        if most is None or size_bytes <= most:
            return False
        if not self._told:
            self._told = True
            self._note(
                f"its checkpoints stay here: they are {size_text(size_bytes)}, more than its limit of {size_text(most)}"
            )
        return True


def _is_still(name: str, stamp: Stamp, seen: Mapping[str, Stamp]) -> bool:
    """Whether it is worth the way: small, whole by its name, or as it was at the last look."""
    return stamp[0] <= _SMALL_BYTES or is_named_by_content(name) or seen.get(name) == stamp


def _batches(names: Sequence[str], now: dict[str, Stamp]) -> Iterator[list[str]]:
    """What is named by its content first, then large files one by one, and small ones last, as an index of the others is."""
    named = sorted(filter(is_named_by_content, names))
    others = sorted(name for name in names if not is_named_by_content(name))
    small = [name for name in others if now[name][0] <= _SMALL_BYTES]
    for start in range(0, len(named), _AT_ONCE):
        yield named[start : start + _AT_ONCE]
    yield from ([name] for name in others if now[name][0] > _SMALL_BYTES)
    for start in range(0, len(small), _AT_ONCE):
        yield small[start : start + _AT_ONCE]


def _stamp(about: os.stat_result) -> Stamp:
    return about.st_size, about.st_mtime_ns, about.st_ino
