"""Objects of a repository, read one after the other from a single `git cat-file --batch`."""

import os
import selectors
import subprocess
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from fiat.errors import EnvironmentFault, SpecError
from fiat.git.hardened import LOCAL_TIMEOUT_S, Surroundings, end_git, start_git
from fiat.git.refs import check_oid

LONGEST_TARGET_BYTES = 4096
_CHUNK_BYTES = 1 << 20
_WINDOW = 128


class Unreadable(EnvironmentFault):
    """An object of the mirror is missing or damaged."""


class TooLarge(Exception):
    """An object has more bytes than the caller wants; it was passed over.

    Attributes:
        size_bytes: its size.
    """

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.size_bytes = size_bytes


class ObjectReader:
    """Talks to one git process; for one thread at a time.

    Args:
        process: `git cat-file --batch`, just started.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        self._ask = process.stdin
        self._answer = process.stdout
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._answer, selectors.EVENT_READ)
        self._rest = b""
        self._ahead: deque[str] = deque()
        self._asked: deque[str] = deque()
        self._kept: dict[str, bytes] = {}

    def expect(self, oids: Iterable[str]) -> None:
        """Say which objects are read next, in this order: git is asked for some of them ahead.

        Until the last of them was read, nothing else can be.
        """
        self._ahead.extend(check_oid(oid) for oid in oids)

    def keep(self, oids: Collection[str], limit_bytes: int) -> None:
        """Read blobs ahead and keep those that are not larger; each is given once by `read`."""
        wanted = [oid for oid in dict.fromkeys(oids) if oid not in self._kept]
        self.expect(wanted)
        for oid in wanted:
            with suppress(TooLarge):
                self._kept[oid] = self.read(oid, limit_bytes)

    def read(self, oid: str, limit_bytes: int, *, kind: str = "blob") -> bytes:
        """The content of an object.

        Raises:
            TooLarge: it has more bytes.
            Unreadable: the repository lacks it, or git can't read it.
            EnvironmentFault: git does not answer.
            SpecError: it is of another kind.
        """
        if oid in self._kept and kind == "blob":
            content = self._kept.pop(oid)
            if len(content) > limit_bytes:
                raise TooLarge(len(content))
            return content
        size = self._begin(oid, kind)
        if size > limit_bytes:
            self._pass(size)
            raise TooLarge(size)
        content = b"".join(self._take(size))
        self._end()
        return content

    def link(self, oid: str) -> str:
        """The target of a symlink as written; "" for one that is too long to be any."""
        try:
            return os.fsdecode(self.read(oid, LONGEST_TARGET_BYTES))
        except TooLarge:
            return ""

    def copy(self, oid: str, file: BinaryIO, limit_bytes: int) -> tuple[int, bytes]:
        """Write the content of a blob to a file, piece by piece.

        Returns:
            Its size, and its first bytes (at most 1 MiB).

        Raises:
            TooLarge: it has more bytes; nothing was written.
            Unreadable: the repository lacks it, or git can't read it.
            EnvironmentFault: git does not answer.
            SpecError: it is no blob.
            OSError: the file can't be written; the reader is of no use after that.
        """
        size = self._begin(oid, "blob")
        if size > limit_bytes:
            self._pass(size)
            raise TooLarge(size)
        first = b""
        for chunk in self._take(size):
            first = first or chunk
            file.write(chunk)
        self._end()
        return size, first

    def close(self) -> None:
        """Forget the pipe."""
        self._ready.close()

    def _begin(self, oid: str, kind: str) -> int:
        if not self._asked and not self._ahead:
            self._ahead.append(check_oid(oid))
        if len(self._asked) <= _WINDOW // 2:
            self._ask_for_more()
        if self._asked.popleft() != oid:
            raise ValueError("objects are read in another order than was said")
        words = self._line().split(b" ")
        if len(words) != 3:
            raise Unreadable(
                f"the mirror lacks the object {oid}", hint="the next fetch makes the mirror anew"
            )
        found, size = words[1].decode(), int(words[2])
        if found != kind:
            self._pass(size)
            raise SpecError(f"{oid} is a {found}, not a {kind}")
        return size

    def _ask_for_more(self) -> None:
        """Send requests; so few that they fit into the pipe while git waits for us to read."""
        more = [self._ahead.popleft() for _ in range(min(len(self._ahead), _WINDOW - len(self._asked)))]
        try:
            self._ask.write("".join(f"{oid}\n" for oid in more).encode())
            self._ask.flush()
        except BrokenPipeError:
            raise _gone() from None
        self._asked.extend(more)

    def _pass(self, size: int) -> None:
        for _ in self._take(size):
            pass
        self._end()

    def _end(self) -> None:
        for chunk in self._take(1):
            if chunk != b"\n":
                raise EnvironmentFault("git cat-file does not keep to its own format")

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            self._rest += self._more()
            if len(self._rest) > _CHUNK_BYTES and b"\n" not in self._rest:
                raise EnvironmentFault("git cat-file does not keep to its own format")
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _take(self, size: int) -> Iterator[bytes]:
        while size:
            chunk = self._rest or self._more()
            taken, self._rest = chunk[:size], chunk[size:]
            size -= len(taken)
            yield taken

    def _more(self) -> bytes:
        if not self._ready.select(LOCAL_TIMEOUT_S):
            raise EnvironmentFault(f"git cat-file said nothing for {LOCAL_TIMEOUT_S:.0f} s")
        chunk = os.read(self._answer.fileno(), _CHUNK_BYTES)
        if not chunk:
            raise _gone()
        return chunk


def _gone() -> Unreadable:
    hint = "the next fetch makes the mirror anew; look whether its disk is well"
    return Unreadable("git could not read an object of the mirror", hint=hint)


@contextmanager
def open_objects(around: Surroundings) -> Iterator[ObjectReader]:
    """A reader of a repository's objects.

    Raises:
        EnvironmentFault: git is not installed.
    """
    process = start_git(["cat-file", "--batch"], around)
    reader = ObjectReader(process)
    try:
        yield reader
    finally:
        reader.close()
        end_git(process)
