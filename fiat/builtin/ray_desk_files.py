"""What the desk of a Ray hands out: files that were listed, found again by their digest."""

import os
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from fiat.builtin.ray_travel_beneath import open_beneath
from fiat.builtin.ray_travel_parcel import Piece, Torn, hash_open, object_digest

_PLACES = 8
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
Stamp = tuple[int, ...]


class KnownFiles:
    """Used from many threads."""

    def __init__(self) -> None:
        self._places: dict[str, dict[Path, Stamp]] = {}
        self._hashed: dict[Stamp, str] = {}

    def digest(self, path: Path) -> str:
        """MD5 of a file that was laid out by us; a link counts as the file that it leads to.

        Raises:
            OSError: it can't be read.
        """
        real = Path(os.path.realpath(path))
        with real.open("rb") as file:
            return self._learn(real, file, object_digest(real))

    def digest_beneath(self, top: Path, path: str) -> str:
        """MD5 of a file below a folder that user code may write; see `open_beneath`.

        Raises:
            OSError: it can't be read.
        """
        with open_beneath(top, path) as file:
            return self._learn(top / path, file, "")

    def read(self, piece: Piece) -> bytes:
        """A part of a file.

        Raises:
            Torn: it has changed since it was listed, or is gone.
            OSError: the disk refused.
        """
        _, file = self._found(piece.digest)
        with file:
            file.seek(piece.offset)
            content = file.read(piece.size_bytes)
        if len(content) != piece.size_bytes:
            raise Torn("a file is shorter than it was")
        return content

    def place(self, digest: str) -> Path:
        """Where a content still is.

        Raises:
            Torn: nowhere.
        """
        path, file = self._found(digest)
        file.close()
        return path

    def _learn(self, path: Path, file: BufferedReader, named: str) -> str:
        about = os.fstat(file.fileno())
        stamp = (*_stamp(about), about.st_ctime_ns)
        digest = named or self._hashed.get(stamp) or hash_open(file)
        self._hashed[stamp] = digest
        places = self._places.setdefault(digest, {})
        places.pop(path, None)
        places[path] = _stamp(about)
        for old in list(places)[:-_PLACES]:
            places.pop(old, None)
        return digest

    def _found(self, digest: str) -> tuple[Path, BufferedReader]:
        """The very file that was listed: scratch folders of other jobs, which had it too, come and go."""
        for path, stamp in reversed(tuple(self._places.get(digest, {}).items())):
            with suppress(OSError):
                file = os.fdopen(os.open(path, _FILE), "rb")
                if _stamp(os.fstat(file.fileno())) == stamp:
                    return path, file
                file.close()
        raise Torn("a file changed or went while its job was on its way")


def _stamp(about: os.stat_result) -> Stamp:
    """Another file that is put in its place is told from it, also one of its size and time."""
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
