"""Names and values of data on a page: not too long, and never invisible. Imports nothing heavy."""

from fiat.builtin.view_text import count

LONGEST_NAME = 120
LONGEST_VALUE = 80


def cut(text: str, longest: int = LONGEST_VALUE) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def name_words(name: str) -> str:
    """A column's name, not too long; one that nobody could see in words."""
    if name.strip():
        return cut(name, LONGEST_NAME)
    return f"({count(len(name), 'blank')})" if name else "(no name)"


def value_words(text: str) -> str:
    """A value as a row of a table names it."""
    return cut(text) if text.strip() else ("(empty)" if not text else f"({count(len(text), 'blank')})")
