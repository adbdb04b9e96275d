"""Mask secrets in text: raw, and in the ways in which programs print them. Imports nothing of Fiat.

What is found, also when line breaks or terminal escape sequences stand within it, and split over chunks: the value
itself; as in JSON, Python's `repr`, HTML and URLs (percent and plus form); in hexadecimal digits of either case; in
base64 of either alphabet and at each of the three alignments that it can have inside a longer text. The lines of a
value of several lines, such as a key, are found one by one too.

What is not: parts of a value, and what a program does to hide it (reversed, encrypted, a letter a line). Code that is
given a secret can always pass it on: the best secret is the one that it is not given. A value of fewer than 4
characters is not masked at all, since the rest of the text would be unreadable; one of fewer than 8 is, but other
words that contain it are masked with it. Use long ones.
"""

import base64
import html
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 4
LINE_SHORTEST = 16

_MASK = MASK.encode()
_BREAKS = b"\r\n"
# Line breaks and escape sequences, the last one perhaps not complete yet.
_NOISE = re.compile(
    rb"[\r\n]+"
    rb"|\x1b\[[0-?]*[ -/]*(?:[@-~]|\Z)"
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|\Z)"
    rb"|\x1b(?:[ -/]*[0-Z\\-~]|\Z)"
)
# A whole line is held back for its end only when that much of a secret stands there: a prompt must be seen at once.
_HELD_OVER_LINES = 16
_HELD_BYTES = 1 << 16  # of line breaks in a row, say
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_UNESCAPED = ("", "/", "-_.!~*'()")  # of `quote`, its default, and JavaScript's encodeURIComponent


class Redactor:
    """Masks a fixed set of secrets. Immutable and safe to use from several threads.

    Args:
        values: the secrets.
    """

    def __init__(self, values: Sequence[str]) -> None:
        forms: set[bytes] = set()
        for value in values:
            forms.update(form for form in _forms(value) if len(form) >= SHORTEST)
        # Longest first, so that a secret that contains another is masked whole.
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._any = re.compile(b"|".join(map(re.escape, self._forms))) if forms else None

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return self._any is not None

    def text(self, text: str) -> str:
        """The text with `***` in place of each secret."""
        if self._any is None:
            return text
        masked = self.data(text.encode("utf-8", "surrogatepass"))
        return masked.decode("utf-8", "surrogatepass")

    def data(self, data: bytes) -> bytes:
        """The bytes with `***` in place of each secret."""
        view = _View(data)
        return view.masked(self._found(view.text), len(data))

    def head(self, data: bytes, size_bytes: int) -> bytes:
        """The beginning of the bytes, masked, which does not end with a part of a secret either."""
        masked = self.data(data)[:size_bytes]
        return masked[: len(masked) - self._begun(masked, 1)]

    def values(self, value: object) -> object:
        """A JSON value with each text in it masked, keys too."""
        if self._any is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.values(key): self.values(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.values(item) for item in value]
        return value

    def stream(self) -> "Stream":
        """Masks bytes that come piece by piece."""
        return Stream(self)

    def _found(self, text: bytes) -> list[tuple[int, int]]:
        # `in` for each is several times as fast as one pass of the expression, which nearly every chunk is spared.
        if self._any is None or not any(form in text for form in self._forms):
            return []
        return [match.span() for match in self._any.finditer(text)]

    def _begun(self, text: bytes, shortest: int) -> int:
        """Length of the longest end of the text that a secret begins with, 0 when it is below `shortest`."""
        longest = 0
        for form in self._forms:
            at = text.find(form[:shortest], max(0, len(text) - len(form) + 1))
            while at >= 0:
                length = len(text) - at
                if length <= longest:
                    break
                if form.startswith(text[at:]):
                    longest = length
                    break
                at = text.find(form[:shortest], at + 1)
        return longest if longest >= shortest else 0


class Stream:
    """One flow of bytes. What could be the beginning of a secret is held back until more has come."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Add bytes and get what can be shown by now.

        A line that has its end is held back only when it ends with 16 bytes or more that a secret begins with.
        """
        if not self._redactor:
            return chunk
        data = self._held + chunk
        view = _View(data)
        found = self._redactor._found(view.text)
        begun = self._redactor._begun(view.text, _HELD_OVER_LINES if data.endswith(b"\n") else 1)
        start = len(view.text) - begun
        if found and found[-1][1] > start:
            start = found[-1][1]
        end = view.place(start) if start < len(view.text) else len(data)
        if len(data) - end > _HELD_BYTES:
            end = len(data)
        self._held = data[end:]
        return view.masked(found, end)

    def close(self) -> bytes:
        """What was held back and turned out to be no secret."""
        held, self._held = self._held, b""
        return held


class _View:
    """Bytes without what may stand within a secret, and the way back to their places.

    Attributes:
        text: the bytes without line breaks and escape sequences.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._starts: list[int] | None = None
        self._skipped: list[int] = []
        if b"\x1b" in data:
            self.text = _NOISE.sub(b"", data)
        else:
            self.text = data.translate(None, _BREAKS) if b"\n" in data or b"\r" in data else data

    def place(self, at: int) -> int:
        """Place in the bytes of a place in the text, behind whatever was left out before it."""
        if self.text is self._data:
            return at
        if self._starts is None:
            self._starts = []
            skipped = 0
            for match in _NOISE.finditer(self._data):
                self._starts.append(match.start() - skipped)
                skipped += match.end() - match.start()
                self._skipped.append(skipped)
        index = bisect_right(self._starts, at)
        return at + (self._skipped[index - 1] if index else 0)

    def masked(self, found: Sequence[tuple[int, int]], end: int) -> bytes:
        """The bytes up to `end` with the found places masked; line breaks within them stay."""
        if not found:
            return self._data[:end]
        parts: list[bytes] = []
        at = 0
        for first, last in found:
            start, stop = self.place(first), self.place(last - 1) + 1
            breaks = self._data[start:stop].count(b"\n")
            parts += [self._data[at:start], _MASK, b"\n" * breaks + _MASK if breaks else b""]
            at = stop
        return b"".join([*parts, self._data[at:end]])


def _forms(value: str) -> Iterator[bytes]:
    """Every form of a secret, as the bytes without line breaks that are looked for."""
    if len(value) < SHORTEST:
        return
    lines = [line for line in value.splitlines() if len(line) >= LINE_SHORTEST]
    for part in {value, value.strip(), *lines}:
        raw = part.encode("utf-8", "surrogatepass")
        yield raw.translate(None, _BREAKS)
        yield from (text.encode("utf-8", "surrogatepass") for text in _escaped(part, raw))
        yield from _base64_forms(raw)
        yield raw.hex().encode()
        yield raw.hex().upper().encode()


def _escaped(value: str, raw: bytes) -> Iterator[str]:
    for ascii_only in (True, False):
        quoted = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        yield quoted
        yield quoted.replace("/", "\\/")
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    yield repr(raw)[2:-1]
    yield html.escape(value)
    for form in (*(quote(raw, safe=safe) for safe in _UNESCAPED), quote_plus(raw)):
        yield form
        yield _PERCENT.sub(lambda match: match[0].lower(), form)


def _base64_forms(raw: bytes) -> Iterator[bytes]:
    """The letters that depend on the value alone, wherever it begins in groups of three bytes.

    Source: RFC 4648, sections 4 and 5: six bits a letter, from the left.
    """
    for before in range(3):
        letters = base64.b64encode(bytes(before) + raw)
        inner = letters[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
