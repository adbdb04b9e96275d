"""Protobuf's text format to messages with their places; what the fields mean is not known here.

Source: https://protobuf.dev/reference/protobuf/textformat-spec/
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fiat.errors import SpecError, Where

MOST_BYTES = 8 * 1024 * 1024
MOST_DEPTH = 32

_TOKEN = re.compile(
    r"(?P<space>(?:[ \t\r\n\f\v]|\#[^\n]*)+)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>0[xX][0-9a-fA-F]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fF]?)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\[^\n])*\"|'(?:[^'\\\n]|\\[^\n])*')"
    r"|(?P<symbol>[-{}<>\[\]:;,./])"
)
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|[xX](?P<hex>[0-9a-fA-F]{1,2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<char>.))"
)
_CHARS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "?": 63, "\\": 92, "'": 39, '"': 34}
_CLOSING = {"{": "}", "<": ">"}

Form = Literal["string", "number", "word"]


@dataclass(frozen=True)
class Token:
    """A piece of the text.

    Attributes:
        form: `string`, `number`, `word`, `symbol`, or `end`.
        text: as written.
        line: 1-based.
        column: 1-based.
    """

    form: str
    text: str
    line: int
    column: int


@dataclass(frozen=True)
class Scalar:
    """A value that is no message.

    Attributes:
        form: how it was written.
        text: of a string what it holds, else as written, with its sign.
    """

    form: Form
    text: str


@dataclass(frozen=True)
class Message:
    """Fields in order; a list is a field once for each item."""

    fields: "tuple[Field, ...]"


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        name: as written; extensions with their brackets.
        value: what it holds.
        line: 1-based, of the name.
        column: 1-based.
    """

    name: str
    value: Scalar | Message
    line: int
    column: int


def parse_pbtxt(text: str, name: str) -> Message:
    """Read a message in text format.

    Args:
        text: the file.
        name: how it is called in errors.

    Raises:
        SpecError: what is not text format, at its line and column.
    """
    size_bytes = len(text.encode("utf-8", errors="surrogatepass"))
    if size_bytes > MOST_BYTES:
        raise SpecError(
            f"the file has {size_bytes:,} bytes, at most {MOST_BYTES:,} are read", where=Where(name)
        )
    parser = _Parser(text.removeprefix("\ufeff"), name)
    return parser.fields("")


class _Parser:
    """One token ahead, and a method for each rule of the grammar."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.tokens = self._tokens(text)
        self.next = next(self.tokens)
        self.depth = 0

    def _tokens(self, text: str) -> Iterator[Token]:
        at, line, line_start = 0, 1, 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            place = (line, at - line_start + 1)
            if found is None:
                what = (
                    "a string does not end on its line" if text[at] in "\"'" else f"unexpected {text[at]!r}"
                )
                raise SpecError(what, where=Where(self.name, *place))
            form = str(found.lastgroup)
            if form == "space":
                n_lines = text.count("\n", at, found.end())
                if n_lines:
                    line, line_start = line + n_lines, text.rfind("\n", at, found.end()) + 1
            else:
                yield Token(form, found.group(), *place)
            at = found.end()
        yield Token("end", "", line, at - line_start + 1)

    def take(self) -> Token:
        token = self.next
        if token.form != "end":
            self.next = next(self.tokens)
        return token

    def took(self, *symbols: str) -> bool:
        if self.next.form == "symbol" and self.next.text in symbols:
            self.take()
            return True
        return False

    def fault(self, message: str, token: Token | None = None) -> SpecError:
        at = token or self.next
        return SpecError(message, where=Where(self.name, at.line, at.column))

    def fields(self, closing: str) -> Message:
        """Fields up to a closing bracket, or to the end of the text where there is none."""
        found: list[Field] = []
        while not (self.next.form == "end" if not closing else self.took(closing)):
            if self.next.form == "end":
                raise self.fault(f"expected `{closing}`, found the end of the file")
            found += self.field()
        return Message(tuple(found))

    def field(self) -> Iterator[Field]:
        start = self.next
        name = self.field_name()
        has_colon = self.took(":")
        if self.took("["):
            if not self.took("]"):
                while True:
                    yield Field(name, self.value(has_colon=True), start.line, start.column)
                    if self.took("]"):
                        break
                    if not self.took(","):
                        raise self.fault(f"expected `,` or `]`, found {_told(self.next)}")
        else:
            yield Field(name, self.value(has_colon=has_colon), start.line, start.column)
        self.took(",", ";")

    def field_name(self) -> str:
        token = self.take()
        if token.form == "word":
            return token.text
        if token.text == "[":
            parts = []
            while not self.took("]"):
                if self.next.form == "end" or self.next.text in "{}":
                    raise self.fault("expected `]` after the name of an extension")
                parts.append(self.take().text)
            return f"[{''.join(parts)}]"
        raise self.fault(f"expected the name of a field, found {_told(token)}", token)

    def value(self, *, has_colon: bool) -> Scalar | Message:
        token = self.take()
        if token.text in _CLOSING and token.form == "symbol":
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise self.fault(f"nested deeper than {MOST_DEPTH} levels", token)
            message = self.fields(_CLOSING[token.text])
            self.depth -= 1
            return message
        if not has_colon:
            raise self.fault(f"expected `:` or `{{`, found {_told(token)}", token)
        if token.form == "string":
            return self.string(token)
        sign = ""
        if token.text == "-":
            sign, token = "-", self.take()
        if token.form == "number":
            return Scalar("number", sign + token.text)
        if token.form == "word":
            return Scalar("word", sign + token.text)
        raise self.fault(f"expected a value, found {_told(token)}", token)

    def string(self, token: Token) -> Scalar:
        """A string, and those that follow it: they are one."""
        content = self.unescape(token)
        while self.next.form == "string":
            content += self.unescape(self.take())
        try:
            return Scalar("string", content.decode("utf-8"))
        except UnicodeDecodeError:
            raise self.fault("the string is not UTF-8", token) from None

    def unescape(self, token: Token) -> bytes:
        body, content, end = token.text[1:-1], b"", 0
        for found in _ESCAPE.finditer(body):
            content += body[end : found.start()].encode("utf-8", errors="surrogatepass")
            end = found.end()
            numbers = found.groupdict()
            if numbers["octal"]:
                content += bytes([int(numbers["octal"], 8) & 0xFF])
            elif numbers["hex"]:
                content += bytes([int(numbers["hex"], 16)])
            elif numbers["char"]:
                if numbers["char"] not in _CHARS:
                    raise self.fault(f"unknown escape `\\{numbers['char']}`", token)
                content += bytes([_CHARS[numbers["char"]]])
            else:
                code = int(numbers["short"] or numbers["long"], 16)
                if code > 0x10FFFF:
                    raise self.fault(f"there is no character U+{code:X}", token)
                content += chr(code).encode("utf-8", errors="surrogatepass")
        return content + body[end:].encode("utf-8", errors="surrogatepass")


def _told(token: Token) -> str:
    if token.form == "end":
        return "the end of the file"
    text = token.text if len(token.text) <= 40 else f"{token.text[:37]}..."
    return f"`{text}`"
