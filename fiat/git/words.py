"""Texts of other people made fit to show: names, messages, what a server said."""

from collections.abc import Sequence

from fiat.redaction import Redactor

MAX_CHARS = 400


def in_one_line(text: str, secrets: Sequence[str] = (), limit: int = MAX_CHARS) -> str:
    """One printable line without secrets.

    Args:
        text: anything, with control characters, escape codes, direction marks.
        secrets: what must not be in it, in no form that `Redactor` knows.
        limit: most characters; what is longer loses its middle.
    """
    if text and secrets:
        text = Redactor(secrets).text(text)
    lines = (" ".join(line.split()) for line in text.replace("\r", "\n").split("\n"))
    joined = "; ".join(line for line in lines if line)
    shown = "".join(letter if letter.isprintable() else "?" for letter in joined)
    if len(shown) > limit:
        half = (limit - 5) // 2
        shown = f"{shown[:half]} ... {shown[-half:]}"
    return shown


def show_path(path: str) -> str:
    """A path for people: as it is when it is harmless, else in Python's own notation."""
    return path if path.isprintable() else ascii(path)
