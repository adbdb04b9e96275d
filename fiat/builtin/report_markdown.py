"""Hostile text in Markdown: what users named, wrote and printed is shown as it is, and is nothing but text.

Forges look for mentions, references and addresses in the text that Markdown renders, after every escape is gone; only
code is left alone by all of them. So a word that is not plainly a word or a number is shown as code, and the rest is
escaped. What is made here is one line unless it says otherwise.

Source: CommonMark 0.31.2, 2.4 to 2.5, 6.1; GitHub Flavored Markdown 0.29, 6.9 (autolinks); "Autolinked references and
URLs" and "Basic writing and formatting syntax" of docs.github.com; "GitLab-specific references" and "Quick actions" of
docs.gitlab.com.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fiat.builtin.view_text import output_line, visible

MOST_CHARS = 60_000
"""GitHub takes 65,536 in a comment, and the marker and the forge plugin's own words must have room."""
LONGEST_NAME = 100
LONGEST_SENTENCE = 400
LONGEST_LOG_LINE = 200
# A line of a block of code begins with this: it can't close the block, and GitLab finds no `/merge` at its start.
_RULE = "│ "

_LETTER = r"(?:[A-Za-z0-9]|[^\x00-\x7f])"
_NUMBER = r"[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d{1,3})?%?"
_PLAIN = re.compile(rf"{_LETTER}+(?:['-]{_LETTER}+)*(?:={_NUMBER})?|{_NUMBER}(?:-{_NUMBER})?|\d+/\d+")
# What forges make a link of although it is all letters and digits: commits, tickets.
_REFERENCE = re.compile(r"[0-9a-fA-F]{7,}|[A-Za-z]-\d")
_OPENING, _CLOSING = "(['\"", ")],.;:!?'\""
_OPERATORS = frozenset(["<", ">", "<=", ">=", "=", "==", "!=", "->", "+", "-", "&", "%", "..."])
_ESCAPED = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "[": "\\[", "]": "\\]"}
_STARTS_BLOCK = re.compile(r"[-+=]+|\d+[.)]")
_STOPS = ",.;:!?"
_BREAKS_CODE = re.compile("([|`]+)")
# What our own sentences set off as a name or a value, of one word or more: `targets`, (`1 of 3`).
_SET_OFF = re.compile(r"(?<!\S)(\(?)`([^`|\s](?:[^`|]*[^`|\s])?)`([,.;:!?)]*)(?!\S)")
_ABOUT_STEPS = ("waits for ", "needs ", "comes after ")
_URL = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(?:/[A-Za-z0-9._~:/?#@!$&'+,=%-]*)?")


@dataclass(frozen=True)
class Part:
    """A part of a text that must not grow too long.

    Attributes:
        text: Markdown, one or more lines.
        name: what it shows, for the sentence that stands in its place; empty for a part that always stays.
        weight: parts of little weight go first.
    """

    text: str
    name: str = ""
    weight: int = 0


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def code(text: str, longest: int = LONGEST_NAME) -> str:
    """A name as code, as it is written; also within a table.

    Args:
        text: hostile.
        longest: characters of it that are shown.
    """
    pieces = _BREAKS_CODE.split(cut(visible(text), longest))
    if not any(pieces):
        return "(empty)"
    # A table would part its row at `|`, and a backtick would end the code: both stand beside it as character references.
    return "".join(
        "".join(f"&#{ord(char)};" for char in piece) if place % 2 else _span(piece)
        for place, piece in enumerate(pieces)
        if piece
    )


def _span(text: str) -> str:
    padded = f" {text} " if text[0] == text[-1] == " " and text.strip() else text
    return f"`{padded}`"


def prose(text: str, longest: int = LONGEST_SENTENCE) -> str:
    """A sentence: plain words and numbers as text, everything else as code.

    Args:
        text: hostile; blanks of all kinds become single ones.
        longest: characters of it that are shown.
    """
    whole = cut(" ".join(visible(text).split()), longest)
    told: list[str] = []
    end = 0
    for found in _SET_OFF.finditer(whole):
        told += _words(whole[end : found.start()], longest, is_first=not told)
        told.append(f"{found[1]}{code(found[2], longest)}{found[3]}")
        end = found.end()
    return " ".join([*told, *_words(whole[end:], longest, is_first=not told)])


def _words(text: str, longest: int, *, is_first: bool) -> list[str]:
    told: list[str] = []
    strange: list[str] = []
    for word in text.split():
        if _is_plain(word):
            if strange:
                told.append(code(" ".join(strange), longest))
                strange = []
            told.append(_plain(word, is_first=is_first and not told))
            continue
        middle = word.rstrip(_STOPS) or word
        strange.append(middle)
        if middle != word:
            told.append(code(" ".join(strange), longest) + word[len(middle) :])
            strange = []
    if strange:
        told.append(code(" ".join(strange), longest))
    return told


def steps_set_off(reason: str, names: Collection[str]) -> str:
    """Why a step waits or can't start, with the steps that it names set off for `prose`, all of them alike."""
    if not reason.startswith(_ABOUT_STEPS):
        return reason
    words = ((word, word.rstrip(_STOPS)) for word in reason.split(" "))
    return " ".join(f"`{name}`{word[len(name) :]}" if name in names else word for word, name in words)


def _plain(word: str, *, is_first: bool) -> str:
    escaped = "".join(_ESCAPED.get(char, char) for char in word)
    # The first word of a line must begin no list, rule or heading.
    return f"{escaped[:-1]}\\{escaped[-1]}" if is_first and _STARTS_BLOCK.fullmatch(word) else escaped


def _is_plain(word: str) -> bool:
    """Whether no renderer finds anything but text in a word, whatever stands before and behind it."""
    if word in _OPERATORS:
        return True
    middle = word.lstrip(_OPENING).rstrip(_CLOSING)
    if ("[" in word or "]" in word) and not re.fullmatch(_NUMBER, middle):
        return False
    return bool(_PLAIN.fullmatch(middle)) and not _REFERENCE.search(middle) and not middle.startswith("www")


def link(words: str, url: str) -> str:
    """A link of our own; only the words when there is no address, or one that could end the link.

    Args:
        words: Markdown.
        url: http or https, from the operator's settings.
    """
    return f"[{words}]({url})" if _URL.fullmatch(url) else words


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """A table of lines.

    Args:
        heads: Markdown.
        rows: Markdown, made by `code` and `prose`: neither has a line end or a bare `|`.
        right: columns of numbers.
    """
    rule = ["--:" if place in right else ":--" for place in range(len(heads))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def details(summary: str, body: str, *, is_open: bool = False) -> str:
    """Lines that can be folded away.

    Args:
        summary: our own words, no text of users: this line is HTML.
        body: Markdown.
        is_open: unfolded at first.
    """
    return f"<details{' open' if is_open else ''}>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def block(lines: Sequence[str]) -> str:
    """Lines of output as they were printed, without colours, each behind a rule and cut when it is long."""
    shown = (f"{_RULE}{cut(output_line(line), LONGEST_LOG_LINE)}".rstrip() for line in lines)
    return "\n".join(("```text", *shown, "```"))


def join(parts: Sequence[Part], most_chars: int = MOST_CHARS) -> str:
    """The parts below each other; when that is too long, the lightest give way to a sentence that says so.

    Args:
        parts: in reading order; empty ones are skipped.
        most_chars: of the whole, 1,000 or more.
    """
    kept = [part for part in parts if part.text]
    left_out: list[str] = []
    while True:
        told = [part.text for part in kept]
        if left_out:
            told.append(f"Left out, because the text would be too long: {', '.join(left_out)}.")
        whole = "\n\n".join(told)
        named = [part for part in kept if part.name]
        if len(whole) <= most_chars or not named:
            return whole if len(whole) <= most_chars else _cut_lines(whole, most_chars)
        lightest = min(named, key=lambda part: part.weight)
        kept.remove(lightest)
        left_out.append(lightest.name)


def _cut_lines(text: str, most_chars: int) -> str:
    """Whole lines only, so that no code, table row or link is torn."""
    end = text.rfind("\n", 0, most_chars - 40)
    return f"{text[: max(end, 0)]}\n\nThe rest is left out."
