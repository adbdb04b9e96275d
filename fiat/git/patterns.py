"""Patterns of paths, as in `**/spec.yaml`."""

import re
from collections.abc import Callable, Iterable

_PIECES = re.compile(
    r"(?P<deep>\*\*/)|(?P<all>\*\*)|(?P<star>\*)|(?P<one>\?)|(?P<set>\[[^\]/]+\])|(?P<plain>.)", re.DOTALL
)


def pattern(text: str) -> "re.Pattern[str]":
    """A pattern of whole paths, compiled.

    `*` and `?` stay within one name, `**/` is any number of folders (also none), `**` at the end everything below,
    `[ab]` one of the characters.

    Args:
        text: relative to the top, with `/`.
    """
    parts = []
    for match in _PIECES.finditer(text):
        kind, piece = match.lastgroup, match[0]
        if kind == "set":
            inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            inner = f"^{inner[1:]}" if inner.startswith("!") else inner.replace("^", "\\^", 1)
            parts.append(f"(?!/)[{inner}]")
        else:
            plain = {"deep": "(?:[^/]+/)*", "all": ".*", "star": "[^/]*", "one": "[^/]"}
            parts.append(plain.get(kind or "", re.escape(piece)))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        return re.compile(re.escape(text))


def any_of(texts: Iterable[str]) -> Callable[[str], bool]:
    """Whether a path matches one of the patterns from end to end."""
    compiled = [pattern(text) for text in texts]

    def matches(path: str) -> bool:
        return any(each.fullmatch(path) for each in compiled)

    return matches
