"""Follow the logs of running steps, line by line."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fiat.ports.report import Line

_CHUNK_BYTES = 1 << 20


@dataclass
class _Tail:
    path: Path
    offset: int
    rest: bytes = b""


@dataclass
class Tails:
    """Reads what was added to log files since the last look."""

    _tails: dict[str, _Tail] = field(default_factory=dict)

    def follow(self, step: str, path: Path) -> None:
        """Begin with what is written from now on; a step that is followed already goes on."""
        if step not in self._tails:
            self._tails[step] = _Tail(path, path.stat().st_size if path.exists() else 0)

    def read(self) -> list[Line]:
        """Whole lines that are new in any of the files, at most 1 MiB a file."""
        return [Line(step, text) for step, tail in self._tails.items() for text in _new_lines(tail)]

    def finish(self, step: str) -> Iterator[Line]:
        """The last lines of a step, the unfinished one too, however many; it is no longer followed."""
        tail = self._tails.pop(step, None)
        if tail is None:
            return
        while texts := _new_lines(tail):
            yield from (Line(step, text) for text in texts)
        if tail.rest:
            yield Line(step, tail.rest.decode("utf-8", "replace"))


def _new_lines(tail: _Tail) -> list[str]:
    try:
        with tail.path.open("rb") as file:
            file.seek(tail.offset)
            chunk = file.read(_CHUNK_BYTES)
    except FileNotFoundError:
        return []
    tail.offset += len(chunk)
    *lines, tail.rest = (tail.rest + chunk).split(b"\n")
    return [line.decode("utf-8", "replace") for line in lines]
