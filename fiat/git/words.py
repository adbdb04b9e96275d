"""Texts of other people made fit to show: names, messages, what a server said."""

import base64
from collections.abc import Iterable
from urllib.parse import quote

MAX_CHARS = 400
_HIDDEN = "***"


def in_one_line(text: str, secrets: Iterable[str] = (), limit: int = MAX_CHARS) -> str:
    """One printable line without secrets.

    Args:
        text: anything, with control characters, escape codes, direction marks.
        secrets: what must not be in it, see `forms_of`.
        limit: most characters; what is longer loses its middle.
    """
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    lines = (" ".join(line.split()) for line in text.replace("\r", "\n").split("\n"))
    joined = "; ".join(line for line in lines if line)
    shown = "".join(letter if letter.isprintable() else "?" for letter in joined)
    if len(shown) > limit:
        half = (limit - 5) // 2
        shown = f"{shown[:half]} ... {shown[-half:]}"
    return shown


def forms_of(secret: str) -> tuple[str, ...]:
    """A secret as it may stand in a message: itself, quoted for URLs, in base64; longest first."""
    if not secret:
        return ()
    encoded = base64.b64encode(secret.encode()).decode()
    forms = {secret, quote(secret, safe=""), encoded, encoded.rstrip("=")}
    return tuple(sorted(forms, key=len, reverse=True))


def show_path(path: str) -> str:
    """A path for people: as it is when it is harmless, else in Python's own notation."""
    return path if path.isprintable() else ascii(path)
