"""What a forge refuses, and what that means to the loop: wait, or stall until somebody acts."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fiat.builtin.forge_text import one_line
from fiat.errors import Stalled, Waiting

_LATER = (404, 408, 409, 425)
_HINTS = {
    401: "is the token right and not expired?",
    403: "which permissions does the credential have?",
    404: "is the commit pushed, and may the credential see the repository?",
}


class Refused(Exception):
    """The forge says no.

    Attributes:
        status: HTTP status, 400 to 499.
        said: its own words, one line.
        asked: method and path.
        later: it may say yes another time.
    """

    def __init__(self, status: int, said: str, asked: str, *, later: bool = False) -> None:
        super().__init__(said)
        self.status, self.said, self.asked = status, one_line(said, 200), asked
        self.later = later or status in _LATER


@contextmanager
def in_words(title: str) -> Iterator[None]:
    """Turn a refusal that nobody dealt with into Waiting or Stalled."""
    try:
        yield
    except Refused as refusal:
        message = f"{title} answers {refusal.status} to {refusal.asked}: {refusal.said}"
        hint = _HINTS.get(refusal.status, "")
        if refusal.later:
            raise Waiting(message, hint=hint) from refusal
        raise Stalled(message, hint=hint) from refusal


def field_of(data: Any, path: str) -> Any:
    """What stands at a dotted path, None when there is nothing."""
    for name in path.split("."):
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def said_in(content: bytes) -> str:
    """The words in the body of a refusal."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    found = field_of(data, "message") or field_of(data, "error") or ""
    return found if isinstance(found, str) else json.dumps(found)
